"""A step is judged by how likely the language model finds its tokens: by the formula, in every family, however it is computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import PeftModel
from prm_families import FAMILIES, save_family
from prm_training import losses

from openr_data.aggregate import sigmoid
from openr_data.errors import UsageError
from openr_data.models.files import BUILTIN
from openr_data.prm import likelihood
from openr_data.prm.build import build
from openr_data.prm.config import LabelReading, PRMConfig
from openr_data.prm.encode import Encoded, RowError
from openr_data.prm.examples import Example
from openr_data.prm.export import TARGETS
from openr_data.prm.heads import judging, plain
from openr_data.prm.likelihood import log_probabilities, step_features
from openr_data.prm.load import PRM, load_prm
from openr_data.prm.prepare import Prepared, prepare
from openr_data.prm.rows import tokenised
from openr_data.prm.score.pooling import engine_options
from openr_data.prm.score.transformers import TransformersBackend
from openr_data.prm.tags import choose_break
from openr_data.prm.train import train
from openr_data.prm.train_config import Lora, ModelChoice, TrainConfig
from openr_data.problems.arithmetic import make_problem, parse_question, write_solution

QUESTION, STEPS = "Start with 5. Step 1: add 3. What is the result?", ("Step 1: 5 + 3 = 8", "", "The answer is 8")


def prepared_of(base: Path | str = "builtin", **options: Any) -> Prepared:
    return prepare(ModelChoice(base=str(base), head="likelihood", **options), LabelReading())


def saved(prepared: Prepared, folder: Path, model: Any = None) -> PRM:
    plain(model or build(prepared, dtype=torch.float32)).save_pretrained(folder)
    prepared.tokenizer.save_pretrained(folder)
    prepared.config.save(folder)
    return load_prm(folder, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def builtin(tmp_path_factory: pytest.TempPathFactory) -> PRM:
    return saved(prepared_of(), tmp_path_factory.mktemp("likelihood"))


def margins(model: Any, row: Encoded) -> list[float]:
    with torch.no_grad():
        found: list[float] = model(input_ids=torch.tensor([row.ids])).logits[0, list(row.reads), 0].tolist()
    return found


def solutions(prm: PRM, count: int = 12) -> list[Encoded]:
    found = []
    for number in range(count):
        problem = make_problem(0, number % 4, difficulty=2 + number % 4)
        steps = write_solution(parse_question(problem.question))[: 1 + number % 5]
        found.append(prm.encoder.encode(problem.question, (*steps[:-1], f"{steps[-1]}{number}")))
    return found


def test_the_numbers_of_a_step_by_hand() -> None:
    """Two sequences packed in one row: the second one's question belongs to no step, and its first token has no chance."""
    ids = torch.tensor([[1, 9, 2, 3, 9, 9, 4, 5, 9, 6, 9]])
    places = torch.tensor([[0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4]])
    chances = torch.tensor([[-7.0, -1.0, -3.0, -7.0, -7.0, -8.0, -8.0, -7.0, -2.0, -7.0]])
    found = step_features(chances, ids, 9, places)[0]
    assert found[[4, 5, 10]].tolist() == [[-3.0, -4.0], [0.0, 0.0], [-2.0, -2.0]]
    alone = step_features(chances[:, 6:], ids[:, 6:], 9)[0]
    assert alone[4].tolist() == [-2.0, -2.0]


def test_padding_and_what_follows_change_no_step() -> None:
    ids, chances = torch.tensor([[1, 9, 2, 9, 5, 9, 0, 0]]), torch.full((1, 7), -1.0)
    before = step_features(chances[:, :3], ids[:, :4], 9)[0, 3]
    assert torch.equal(step_features(chances, ids, 9)[0, 3], before)


def test_a_margin_is_the_formula_over_the_language_models_own_probabilities(builtin: PRM) -> None:
    from transformers import AutoModelForCausalLM

    language: Any = AutoModelForCausalLM.from_pretrained(BUILTIN, dtype=torch.float32)
    row = builtin.encoder.encode(QUESTION, STEPS)
    with torch.no_grad():
        chances = language(input_ids=torch.tensor([row.ids])).logits[0].log_softmax(-1)
    wanted, start = [], row.prompt
    for read in row.reads:
        own = [float(chances[place - 1, row.ids[place]]) for place in range(start, read)]
        wanted.append(3.0 + 1.0 * min([0.0, *own]) + 0.5 * sum(own))
        start = read + 1
    assert margins(builtin.model, row) == pytest.approx(wanted, abs=1e-5)
    assert wanted[0] > 2.9 > wanted[2] - 3, "the policy is sure of its right step"


def test_a_solution_is_written_as_the_policy_writes_it(builtin: PRM) -> None:
    row = builtin.encoder.encode(QUESTION, STEPS)
    assert builtin.tokenizer.decode(row.ids) == f"{QUESTION}\n{STEPS[0]}\n\n{STEPS[2]}\n"
    assert (builtin.config.tag, builtin.config.template.name) == ("\n", "lines")
    assert {row.ids[place] for place in (row.prompt - 1, *row.reads)} == {builtin.config.tag_id}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_built_saved_and_read_again_with_the_same_scores(family: str, tmp_path: Path) -> None:
    """A chance is that of the family's own logits, whatever it does to them (Gemma 2 caps them)."""
    prepared = prepared_of(
        save_family(tmp_path / "base", family), template="lines", tag="<|quad_end|>" if "qwen" in family else "+"
    )
    model = judging(build(prepared, dtype=torch.float32).eval(), prepared.config)
    row = prepared.encoder.encode("What is 3 4?", ("We have 3 4", "The answer is 7"))
    ids = torch.tensor([row.ids])
    with torch.no_grad():
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
        found = log_probabilities(model, hidden[:, :-1], ids[:, 1:])
        family_class: Any = type(model).__mro__[1]
        own = family_class.forward(model, input_ids=ids, use_cache=False).logits[:, :-1].float().log_softmax(-1)
    assert torch.allclose(found, own.gather(2, ids[:, 1:, None])[..., 0], atol=1e-5)
    read = saved(prepared, tmp_path / "prm", model)
    assert margins(read.model, row) == margins(judging(model, prepared.config), row)


def test_logits_in_parts_change_nothing(builtin: PRM, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    hidden = torch.randn(2, 7, 192, requires_grad=True)
    tokens = torch.randint(320, (2, 7))
    found = []
    for size in (2**24, 320 * 3):
        monkeypatch.setattr(likelihood, "_LOGITS", size)
        values = log_probabilities(builtin.model, hidden, tokens)
        found.append((values, *torch.autograd.grad(values.sum(), hidden)))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-5)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-4)


@pytest.mark.parametrize("way", [{"budget": 300}, {"budget": 100_000}, {"budget": 300, "packed": True}])
def test_scores_do_not_depend_on_their_company(builtin: PRM, way: dict[str, Any]) -> None:
    batch = solutions(builtin)
    found = TransformersBackend(builtin, **way).margins(batch)
    for one, other in zip(found, [margins(builtin.model, row) for row in batch], strict=True):
        assert [sigmoid(value) for value in one] == pytest.approx([sigmoid(value) for value in other], abs=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_scores_as_the_cpu(builtin: PRM) -> None:
    there = load_prm(builtin.folder, device="cuda", dtype="float32")
    batch = solutions(builtin)
    for one, other in zip(TransformersBackend(there).margins(batch), [margins(builtin.model, row) for row in batch], strict=True):
        assert [sigmoid(value) for value in one] == pytest.approx([sigmoid(value) for value in other], abs=1e-5)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Any:
    prepared, found = prepared_of(), []
    for number in range(16):
        problem = make_problem(1, number, difficulty=3)
        right = write_solution(parse_question(problem.question))
        wrong = number % 2
        steps = (*right[:2], f"{right[2]}{number}") if wrong else right
        found.append(Example(f"row-{number}", problem.question, steps, (1.0, 1.0, 0.0) if wrong else (1.0,) * len(right)))
    return tokenised(found, prepared.encoder, tmp_path_factory.mktemp("rows")).dataset


BASE = TrainConfig(model=ModelChoice(head="likelihood"), batch=8, max_steps=4, rate=3e-4, evaluate_every=2, save_every=2)


def trained(rows: Any, folder: Path, config: TrainConfig) -> Any:
    prepared = prepared_of()
    model = build(prepared, dtype=torch.float32)
    return train(model, prepared.tokenizer, prepared.config, config, rows, rows, folder)


def test_the_cut_of_a_batch_changes_no_loss_and_a_trained_model_is_read_again(rows: Any, tmp_path: Path) -> None:
    whole = trained(rows, tmp_path / "whole", BASE)
    changes: dict[str, dict[str, Any]] = {
        "four": {"accumulation": 4},
        "packed": {"packing": "on"},
        "small": {"batch_tokens": 150},
    }
    for name, change in changes.items():
        assert losses(trained(rows, tmp_path / name, replace(BASE, **change))) == pytest.approx(losses(whole), abs=1e-6), name
    read = load_prm(tmp_path / "whole", device="cpu")
    assert not torch.equal(read.model.score.weight, torch.tensor([[1.0, 0.5]])), "the map of the two numbers learns too"


def test_merging_adapters_is_exact(rows: Any, tmp_path: Path) -> None:
    trained(rows, tmp_path / "out", replace(BASE, lora=Lora(rank=2, alpha=4)))
    read = load_prm(tmp_path / "out", device="cpu")
    fresh = judging(build(prepared_of(), dtype=torch.float32), read.config).eval()
    adapted = PeftModel.from_pretrained(fresh, str(tmp_path / "out" / "adapter"))
    row = read.encoder.encode(QUESTION, STEPS)
    assert margins(read.model, row) == pytest.approx(margins(adapted, row), abs=1e-6)


def test_a_tag_within_a_step_is_refused(builtin: PRM) -> None:
    with pytest.raises(RowError, match=r"its step 2 holds the tag '\\n', which ends a step"):
        builtin.encoder.encode(QUESTION, ("Step 1: 5 + 3 = 8", "The answer\nis 8"))
    builtin.encoder.encode("Start with 5.\nWhat is the result?", STEPS)


def test_what_it_cannot_be_is_told(builtin: PRM) -> None:
    with pytest.raises(UsageError, match="needs the template lines or chat-lines, and not 'plain'"):
        prepared_of(template="plain")
    for target in TARGETS.values():
        with pytest.raises(UsageError, match="likelihood"):
            target(builtin.model, builtin.config)
    with pytest.raises(UsageError, match="vLLM does not pool the likelihood of steps"):
        engine_options(builtin.encoder, "LlamaForStepLikelihood", "float32", on_cpu=True)
    with pytest.raises(UsageError, match="no line break is one token"):
        choose_break(SimpleNamespace(encode=lambda text, add_special_tokens: [1, *text.encode()]))


def test_a_chat_model_gets_its_chat_and_the_break_of_its_texts(tmp_path: Path) -> None:
    prepared = prepared_of(save_family(tmp_path / "qwen2", "qwen2"))
    assert (prepared.config.template.name, prepared.config.tag, prepared.new_tag) == ("chat-lines", "\n", False), (
        "this small tokenizer has no longer break"
    )
    row = prepared.encoder.encode("What is 3 + 4?", ("We have 3 + 4 = 7.", "The answer is 7."))
    text = prepared.tokenizer.decode(row.ids)
    assert text.endswith("<|im_start|>assistant\n\nWe have 3 + 4 = 7.\nThe answer is 7.\n")
    prepared.config.save(tmp_path)
    assert PRMConfig.load(tmp_path) == prepared.config
