"""Exported with another head, a model scores as before: through `load_prm`, and as other programs read the folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from prm_families import save_family, tokenizer_of
from test_prm_prepare import prepared_of, save, scores

from openr_data.errors import UsageError
from openr_data.prm.build import build
from openr_data.prm.config import Head, PRMConfig
from openr_data.prm.export import TARGETS, Exported, export
from openr_data.prm.exports.qwen2 import qwen_head
from openr_data.prm.exports.rows import Rows, rows_of
from openr_data.prm.load import load_prm
from openr_data.prm.tokenizer_files import save_tokenizer


def trained(folder: Path, family: str = "qwen2", head: Head = "causal", **options: Any) -> Path:
    """A saved model whose head says something. `options` are of the base's configuration."""
    base = "builtin" if family == "builtin" else save_family(folder / "base", family, **options)
    prepared = prepared_of(base, head=head)
    model = build(prepared, dtype=torch.float32)
    if head != "causal":
        torch.manual_seed(3)
        for value in model.score.parameters():
            torch.nn.init.normal_(value, std=0.5)
    return save(model, prepared, folder / "prm")


def exported(model: Path, to: str, dtype: str = "float32") -> Exported:
    return export(load_prm(model, device="cpu", dtype=dtype), to, model.parent / to)


CASES = [
    ("builtin", "causal", "token-classification", "LlamaForTokenClassification"),
    ("builtin", "causal", "qwen-prm", "Qwen2ForProcessRewardModel"),
    ("llama", "causal", "token-classification", "LlamaForTokenClassification"),
    ("llama", "causal", "qwen-prm", "Qwen2ForProcessRewardModel"),
    ("llama", "token_classification", "qwen-prm", "Qwen2ForProcessRewardModel"),
    ("llama", "value", "token-classification", "LlamaForTokenClassification"),
    ("qwen2", "causal", "causal", "Qwen2ForCausalLM"),
    ("qwen2", "causal", "qwen-prm", "Qwen2ForProcessRewardModel"),
    ("qwen2", "value", "qwen-prm", "Qwen2ForProcessRewardModel"),
    ("qwen2", "process_reward", "qwen-prm", "Qwen2ForProcessRewardModel"),
    ("qwen3", "causal", "token-classification", "Qwen3ForTokenClassification"),
    ("mistral", "causal", "token-classification", "MistralForTokenClassification"),
    ("gemma", "token_classification", "token-classification", "GemmaForTokenClassification"),
]


@pytest.mark.parametrize(("family", "head", "to", "architecture"), CASES)
def test_the_exported_folder_scores_as_the_model(family: str, head: Head, to: str, architecture: str, tmp_path: Path) -> None:
    folder = trained(tmp_path, family, head)
    source = load_prm(folder, device="cpu")
    before = scores(source.model, source)
    done = exported(folder, to)
    found = load_prm(done.folder, device="cpu")
    assert torch.allclose(scores(found.model, found), before, atol=1e-5, rtol=0)
    assert before.std() > 0.005
    assert done.difference <= 1e-5
    assert json.loads((done.folder / "config.json").read_text())["architectures"] == [architecture] == [done.architecture]
    assert not list(done.folder.glob("*.py"))
    same = {"head": source.config.head, "positive": "", "positive_id": -1, "negative": "", "negative_id": -1}
    assert replace(found.config, **same) == replace(source.config, **same)  # type: ignore[arg-type]  # names of fields


def test_transformers_reads_a_token_classification_of_ours_as_its_own(tmp_path: Path) -> None:
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    folder = trained(tmp_path)
    source = load_prm(folder, device="cpu")
    before = scores(source.model, source)
    done = exported(folder, "token-classification")
    model: Any = AutoModelForTokenClassification.from_pretrained(done.folder)
    assert model.config.id2label == {0: "LABEL_0", 1: "LABEL_1"}
    assert scores(model.eval(), source) == pytest.approx(before.tolist(), abs=1e-5)
    assert AutoTokenizer.from_pretrained(done.folder).encode("It is 7.\n\n") == source.tokenizer.encode("It is 7.\n\n")


def test_formats_of_the_weights_are_kept(tmp_path: Path) -> None:
    done = exported(trained(tmp_path, "llama"), "qwen-prm", dtype="bfloat16")
    found = load_prm(done.folder, device="cpu", dtype="bfloat16")
    assert {value.dtype for value in found.model.state_dict().values()} == {torch.bfloat16}
    assert json.loads((done.folder / "config.json").read_text())["dtype"] == "bfloat16"
    assert done.difference <= 1e-4, "of logits in the tens"


def test_the_head_of_qwens_model_by_hand() -> None:
    """n = [1, 2, 0, 0, 0] with bias 3, p = [0, -1, 1, 0, 0] with bias -1, h = [2, -5, 1, 9, 9]: n h + 3 = -5 and p h - 1 = 5."""
    rows = Rows(torch.tensor([[1.0, 2, 0, 0, 0], [0, -1, 1, 0, 0]]), torch.tensor([3.0, -1]))
    state = qwen_head(rows)
    assert state["score.0.weight"].tolist() == [[1, 2, 0, 0, 0], [-1, -2, 0, 0, 0], [0, -1, 1, 0, 0], [0, 1, -1, 0, 0], [0] * 5]
    assert state["score.0.bias"].tolist() == [3, -3, -1, 1, 0]
    assert state["score.2.weight"].tolist() == [[1, -1, 0, 0, 0], [0, 0, 1, -1, 0]]
    assert state["score.2.bias"].tolist() == [0, 0]
    hidden = torch.relu(state["score.0.weight"] @ torch.tensor([2.0, -5, 1, 9, 9]) + state["score.0.bias"])
    assert hidden.tolist() == [0, 5, 5, 0, 0]
    assert (state["score.2.weight"] @ hidden + state["score.2.bias"]).tolist() == [-5, 5]


def test_rows_of_a_causal_head_are_those_of_its_judgements(tmp_path: Path) -> None:
    prm = load_prm(trained(tmp_path), device="cpu")
    rows = rows_of(prm.model, prm.config)
    weight = prm.model.lm_head.weight
    assert torch.equal(rows.weight, weight[[prm.config.negative_id, prm.config.positive_id]])
    assert rows.bias.tolist() == [0, 0]


def test_rows_of_a_value_are_nothing_and_itself(tmp_path: Path) -> None:
    prm = load_prm(trained(tmp_path, head="value"), device="cpu")
    rows = rows_of(prm.model, prm.config)
    assert torch.equal(rows.weight[1], prm.model.score.weight[0])
    assert (rows.weight[0].abs().sum().item(), rows.bias[0].item()) == (0, 0)


@pytest.mark.parametrize(
    ("family", "head", "to", "said"),
    [
        ("gemma", "causal", "qwen-prm", "a 'gemma' model cannot be written as a Qwen2: its layers compute something else"),
        ("qwen3", "causal", "qwen-prm", "a 'qwen3' model cannot be written as a Qwen2"),
        ("mistral", "causal", "qwen-prm", "it sees 24 tokens back, fewer than the context of 512"),
        ("gemma2", "causal", "token-classification", "caps its logits, which no linear head does"),
        ("gemma3", "causal", "token-classification", "no token classification over a 'gemma3_text' model"),
        ("qwen2", "value", "causal", "a model with the head 'value' has no language head"),
        ("qwen2", "process_reward", "token-classification", r"not linear \(process_reward\)"),
    ],
)
def test_what_a_layout_cannot_hold_is_refused_in_one_sentence(
    family: str, head: Head, to: str, said: str, tmp_path: Path
) -> None:
    folder = trained(tmp_path, family, head)
    with pytest.raises(UsageError, match=said) as refused:
        exported(folder, to)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / to).exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attention_bias": True}, "its layers have biases of their own"),
        ({"mlp_bias": True}, "its layers have biases of their own"),
        ({"head_dim": 16}, "its attention heads are not of the width"),
    ],
)
def test_a_llama_of_another_geometry_is_no_qwen2(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        exported(trained(tmp_path, "llama", **options), "qwen-prm")


def test_a_mistral_whose_window_holds_the_context_is_a_qwen2(tmp_path: Path) -> None:
    done = exported(trained(tmp_path, "mistral", sliding_window=512), "qwen-prm")
    assert (done.architecture, done.difference <= 1e-5) == ("Qwen2ForProcessRewardModel", True)


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no layout 'gguf'.*causal, token-classification, qwen-prm"):
        exported(trained(tmp_path), "gguf")


def test_the_command_knows_the_same_layouts() -> None:
    from openr_data.cli.prm.export import Layout

    assert set(get_args(Layout)) == set(TARGETS)


def test_what_other_programs_do_otherwise_is_noted(tmp_path: Path) -> None:
    """A tokenizer that transformers would replace by the model type's own, and a calibration that only we apply."""
    folder = trained(tmp_path, "llama")
    config = PRMConfig.load(folder)
    replace(config, scale=0.5).save(folder)
    notes = exported(folder, "qwen-prm").notes
    assert [note.split(",")[0] for note in notes] == [
        "transformers chooses Qwen2Tokenizer for this model type",
        "its calibration stands in prm_config.json alone: other programs give the scores before it",
    ]


def test_tokenizer_files_are_for_older_readers_too(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("llama")
    save_tokenizer(tokenizer, tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert not {"backend", "is_local", "local_files_only", "extra_special_tokens"} & set(settings)
    save_tokenizer(tokenizer_of("qwen2"), tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert settings["additional_special_tokens"] == ["<|im_start|>", "<|im_end|>", "<|quad_end|>"]
