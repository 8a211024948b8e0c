"""Each published style gives the ids and the scores of its authors' own code, written out here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import prm_third_party_models as made
import pytest
import torch
from prm_third_party_models import QUESTION, STEPS, TAG
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer, Qwen2Model

from openr_data.errors import InputError, UsageError
from openr_data.models.files import BUILTIN
from openr_data.prm.load import load_encoder, load_prm, read_config
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.open import open_scorer
from openr_data.prm.third_party import KNOWN, STYLES, recognise

Reference = Callable[[Path], tuple[list[int], list[float]]]
"""From the folder to the ids of the whole solution and the probability of each step, as the authors compute them."""


@pytest.fixture(autouse=True, scope="module")
def _single_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def causal(folder: Path, ids: list[int], candidates: list[int]) -> torch.Tensor:
    """P of the first candidate at every position."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        found: torch.Tensor = model(torch.tensor([ids])).logits[0][:, candidates].softmax(-1)[:, 0]
    return found


def as_math_shepherd(folder: Path) -> tuple[list[int], list[float]]:
    """Model card of peiyi9979/math-shepherd-mistral-7b-prm, and openr prm/infer_fns.py `_math_shepherd_infer_fn`."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    candidates = tokenizer.encode("+ -")[1:]
    tag = tokenizer.encode("ки")[-1]
    ids = tokenizer.encode(f"{QUESTION} " + "\n".join(f"{step} ки" for step in STEPS))
    scores = causal(folder, ids, candidates)
    return ids, scores[torch.tensor(ids) == tag].tolist()


def as_openr_scores(folder: Path) -> tuple[list[int], list[float]]:
    """reason/inference `replace_step_tag` and prm/infer_fns.py `_qwen_math_infer_fn`."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    candidates, tag = tokenizer.encode(" + -"), tokenizer.encode(TAG)
    assert (len(candidates), len(tag)) == (2, 1)
    ids = tokenizer.encode(f"{QUESTION} " + TAG.join(STEPS) + TAG)
    scores = causal(folder, ids, candidates)
    return ids, scores[torch.tensor(ids) == tag[0]].tolist()


def as_openr_trains(folder: Path) -> tuple[list[int], list[float]]:
    """preprocess (a blank on both sides of a tag) and prm/code/finetune_qwen.py: the loss shifts: tag - 1 predicts the label."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    candidates, tag = tokenizer.encode(" + -"), tokenizer.encode(TAG)[-1]
    ids = tokenizer.encode(f"{QUESTION} " + " ".join(f"{step}{TAG}" for step in STEPS))
    labels = [position for position, token in enumerate(ids) if token == tag]
    scores = causal(folder, ids, candidates)
    return ids, [float(scores[position - 1]) for position in labels]


def as_rlhflow(folder: Path) -> tuple[list[int], list[float]]:
    """math-rm/prm_evaluate.py `select_sample`: one pass a step over the growing dialogue, the logits of the third last token."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    candidates = [tokenizer.encode("+")[-1], tokenizer.encode("-")[-1]]
    conversation: list[dict[str, str]] = []
    ids: list[int] = []
    found = []
    for number, step in enumerate(STEPS):
        conversation.append({"content": step if number else f"{QUESTION} {step}", "role": "user"})
        conversation.append({"content": "+", "role": "assistant"})
        ids = tokenizer.apply_chat_template(conversation, return_dict=False)
        found.append(float(causal(folder, ids, candidates)[-3]))
    return ids[:-1], found  # the end of the last turn comes after all scores


def as_qwen(folder: Path) -> tuple[list[int], list[float]]:
    """Model card of Qwen/Qwen2.5-Math-PRM-7B: `make_step_rewards` over the chat, with the published head."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    messages = [
        {"role": "system", "content": "Please reason step by step, and put your final answer within \\boxed{}."},
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "<extra_0>".join(STEPS) + "<extra_0>"},
    ]
    ids = tokenizer.encode(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False))
    weights = load_file(folder / "model.safetensors")
    hidden = qwen2_states(folder, ids) @ weights["score.0.weight"].T + weights["score.0.bias"]
    logits = hidden.relu() @ weights["score.2.weight"].T + weights["score.2.bias"]
    tags = torch.tensor(ids) == tokenizer.encode("<extra_0>")[0]
    last = [position for position, token in enumerate(tags.tolist()) if token][-1]
    return ids[: last + 1], logits.softmax(-1)[tags][:, 1].tolist()


def as_skywork(folder: Path) -> tuple[list[int], list[float]]:
    """skywork-o1-prm-inference: `prepare_input`, the value head of its `PRM_MODEL`, `derive_step_rewards`."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.encode(tokenizer.bos_token + QUESTION + "\n")
    flags = [0] * len(ids)
    for step in STEPS:
        more = [*tokenizer.encode(step), tokenizer.encode("\n")[-1]]
        ids += more
        flags += [0] * (len(more) - 1) + [1]
    weights = load_file(folder / "model.safetensors")
    values = (qwen2_states(folder, ids) @ weights["v_head.summary.weight"].T + weights["v_head.summary.bias"]).squeeze(-1)
    return ids, values.sigmoid()[torch.tensor(flags) == 1].tolist()


def qwen2_states(folder: Path, ids: list[int]) -> torch.Tensor:
    model: Any = Qwen2Model.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        found: torch.Tensor = model(torch.tensor([ids])).last_hidden_state[0]
    return found


def as_trl(folder: Path, separator: str = "\n") -> tuple[list[int], list[float]]:
    """PRMTrainer's `tokenize_row` (to trl 1.13): start token, prompt, then step and separator, each encoded alone."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32).eval()
    ids = [tokenizer.bos_token_id, *tokenizer(QUESTION, add_special_tokens=False)["input_ids"]]
    found = []
    for step in STEPS:
        ids += tokenizer(step, add_special_tokens=False)["input_ids"] + tokenizer.encode(separator, add_special_tokens=False)
        with torch.inference_mode():
            found.append(float(model(torch.tensor([ids])).logits[0, -1].softmax(-1)[1]))
    return ids, found


def as_trl_blank_line(folder: Path) -> tuple[list[int], list[float]]:
    return as_trl(folder, "\n\n")


CASES: dict[str, tuple[Callable[[Path], Path], str, Reference]] = {
    "math-shepherd": (made.math_shepherd, "math-shepherd", as_math_shepherd),
    "rlhflow": (made.rlhflow, "rlhflow", as_rlhflow),
    "openr": (made.openr, "openr", as_openr_trains),
    "openr-published": (made.openr, "openr-published", as_openr_scores),
    "qwen": (made.qwen, "", as_qwen),
    "skywork": (made.skywork, "", as_skywork),
    "trl": (made.trl, "trl", as_trl),
    "trl-blank-line": (made.trl, "trl-blank-line", as_trl_blank_line),
}


@pytest.mark.parametrize("name", CASES)
def test_ids_and_scores_are_the_authors_own(name: str, tmp_path: Path) -> None:
    make, style, reference = CASES[name]
    folder = make(tmp_path / "model")
    ids, probabilities = reference(folder)
    encoder = load_encoder(folder, style)
    assert encoder.config == recognise(folder, name)  # what the files tell is what the style says
    assert list(encoder.encode(QUESTION, STEPS).ids) == ids
    (scores,) = open_scorer(ScorerSpec(str(folder), dtype="float32", device="cpu", style=style)).score([(QUESTION, STEPS)])
    assert scores.reason == ""
    assert len(probabilities) == len(STEPS)
    assert scores.probabilities == pytest.approx(probabilities, abs=1e-6)
    assert len({round(probability, 4) for probability in probabilities}) == len(STEPS)  # else equality would say little


def test_every_style_is_tested_against_its_authors() -> None:
    assert set(CASES) == set(STYLES)
    assert set(KNOWN.values()) <= set(STYLES)


def test_ids_are_looked_up_in_the_tokenizer(tmp_path: Path) -> None:
    tokenizer: Any = made.sentence_pieces()
    config = read_config(made.math_shepherd(tmp_path), "math-shepherd")
    names = tokenizer.convert_ids_to_tokens([config.tag_id, config.positive_id, config.negative_id])
    assert names == ["▁ки", "▁+", "▁-"]
    assert (config.head, config.read_offset, config.context, config.tag) == ("causal", 0, 512, "ки")


def test_where_the_answer_is_read() -> None:
    offsets = {name: style.read_offset for name, style in STYLES.items() if style.read_offset}
    assert offsets == {"rlhflow": -1, "openr": -1}


@pytest.mark.parametrize(
    ("make", "fitting"), [(made.openr, ("math-shepherd", "rlhflow", "openr")), (made.trl, ("trl", "trl-blank-line"))]
)
def test_files_that_do_not_tell_need_a_style(make: Callable[[Path], Path], fitting: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"do not say how it is asked; name it with --style") as told:
        load_prm(make(tmp_path))
    assert all(name in str(told.value) for name in fitting)
    assert "skywork" not in str(told.value)


@pytest.mark.parametrize(
    ("hub", "style"), [("openreasoner/Math-psa", "openr"), ("RLHFlow/Llama3.1-8B-PRM-Mistral-Data", "rlhflow")]
)
def test_known_models_of_the_hub_need_none(hub: str, style: str, tmp_path: Path) -> None:
    folder = tmp_path / f"models--{hub.replace('/', '--')}" / "snapshots" / "0f"
    make = {"openr": made.openr, "rlhflow": made.rlhflow}[style]
    found = recognise(make(folder))
    assert found is not None
    assert (found.template.name, found.base_model) == (style, hub)


def test_a_value_head_beside_a_language_model_is_seen_in_its_weights(tmp_path: Path) -> None:
    folder = made.skywork(tmp_path)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "architectures": ["Qwen2ForCausalLM"]}))
    assert read_config(folder).head == "value_head"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"architectures": ["BertForMaskedLM"]}, "holds a 'BertForMaskedLM' and no prm_config.json, which is no process reward"),
        ({"architectures": []}, "holds a model of no named architecture and no prm_config.json"),
        (
            {"architectures": ["LlamaForTokenClassification"], "id2label": {"0": "a", "1": "b", "2": "c"}},
            "no process reward model",
        ),
    ],
)
def test_an_unknown_checkpoint_is_told_in_one_sentence(settings: dict[str, Any], told: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError) as fault:
        read_config(tmp_path)
    assert told in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_folder_without_a_model_is_none(tmp_path: Path) -> None:
    assert recognise(tmp_path) is None
    with pytest.raises(InputError, match="holds no process reward model"):
        read_config(tmp_path)


def test_styles_that_cannot_be(tmp_path: Path) -> None:
    folder = made.openr(tmp_path)
    with pytest.raises(UsageError, match="there is no style 'chess' of process reward models; choose one of: math-shepherd"):
        read_config(folder, "chess")
    with pytest.raises(UsageError, match="holds a 'Qwen2ForCausalLM', which cannot be asked in the style 'qwen'"):
        read_config(folder, "qwen")
    with pytest.raises(
        InputError, match=r"cannot be asked in the style 'math-shepherd': ' ки' is \d tokens of its tokenizer, not one"
    ):
        read_config(folder, "math-shepherd")


def test_a_model_that_says_itself_how_it_is_asked_takes_no_style(tmp_path: Path) -> None:
    folder = made.openr(tmp_path)
    read_config(folder, "openr").save(folder)
    assert read_config(folder).template.name == "openr"
    with pytest.raises(UsageError, match="leave --style out"):
        read_config(folder, "openr")


def test_the_builtin_policy_is_no_reward_model() -> None:
    with pytest.raises(UsageError, match=r"'LlamaForCausalLM' and no prm_config\.json"):
        read_config(BUILTIN)
