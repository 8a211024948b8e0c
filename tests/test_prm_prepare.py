"""From a base model of any family to a process reward model that is saved, read again and scores the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from prm_families import FAMILIES, save_family
from safetensors.torch import load_file, save_file

from openr_data.errors import InputError, UsageError
from openr_data.models.files import BUILTIN
from openr_data.prm.build import build
from openr_data.prm.config import Head, LabelReading
from openr_data.prm.heads import judging, margins, plain
from openr_data.prm.load import load_prm
from openr_data.prm.prepare import Prepared, prepare
from openr_data.prm.train_config import ModelChoice

QUESTION, STEPS = "What is 3 + 4?", ("We have 3 + 4 = 7.\n\n", "", "The answer is 7.")
SMALL: tuple[Head, ...] = ("token_classification", "value", "process_reward")


def prepared_of(base: Path | str, **options: Any) -> Prepared:
    return prepare(ModelChoice(base=str(base), **options), LabelReading("soft", 0.5, "keep"))


def scores(model: Any, prepared: Any, question: str = QUESTION) -> torch.Tensor:
    found = prepared.encoder.encode(question, STEPS)
    with torch.no_grad():
        return margins(model(input_ids=torch.tensor([found.ids])).logits)[0, list(found.reads)]


def save(model: Any, prepared: Prepared, folder: Path) -> Path:
    plain(model).save_pretrained(folder)
    prepared.tokenizer.save_pretrained(folder)
    prepared.config.save(folder)
    return folder


@pytest.mark.parametrize("template", ["plain", "chat"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_built_saved_and_read_again_with_the_same_scores(family: str, template: str, tmp_path: Path) -> None:
    prepared = prepared_of(save_family(tmp_path / "base", family), template=template)
    assert prepared.config.template.name == template
    assert prepared.new_tag == (family == "mistral")
    model = build(prepared, dtype=torch.float32).eval()
    assert model.get_input_embeddings().weight.shape[0] == model.config.vocab_size > prepared.config.tag_id
    before = scores(judging(model, prepared.config), prepared)
    read = load_prm(save(model, prepared, tmp_path / "prm"), device="cpu")
    assert read.encoder.encode(QUESTION, STEPS) == prepared.encoder.encode(QUESTION, STEPS)
    assert torch.equal(scores(read.model, read), before)
    assert before.std() > 0.01


@pytest.mark.parametrize(
    ("head", "family"),
    [*((head, "qwen2") for head in SMALL), ("value", "llama"), ("process_reward", "mistral"), ("token_classification", "gemma2")],
)
def test_every_small_head_is_built_saved_and_read_again(head: Head, family: str, tmp_path: Path) -> None:
    prepared = prepared_of(save_family(tmp_path / "base", family), head=head)
    assert (prepared.new_head, prepared.config.positive_id) == (True, -1)
    torch.manual_seed(0)
    model = build(prepared, dtype=torch.float32)
    assert model.training
    assert all(module.p == 0 for module in model.modules() if isinstance(module, torch.nn.Dropout))
    before = scores(judging(model.eval(), prepared.config), prepared)
    assert 0 < before.abs().max() < 0.1, "a new head says nearly nothing"
    read = load_prm(save(model, prepared, tmp_path / "prm"), device="cpu")
    assert torch.allclose(scores(read.model, read), before, atol=1e-7, rtol=0)


def test_the_head_of_qwens_model_has_its_names_and_is_its_formula(tmp_path: Path) -> None:
    prepared = prepared_of(save_family(tmp_path, "qwen2"), head="process_reward")
    model = build(prepared, dtype=torch.float32).eval()
    assert type(model).__name__ == "Qwen2ForProcessRewardModel"
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items() if name.startswith("score.")}
    assert shapes == {"score.0.weight": (16, 16), "score.0.bias": (16,), "score.2.weight": (2, 16), "score.2.bias": (2,)}
    ids = torch.tensor([prepared.encoder.encode(QUESTION, STEPS).ids])
    with torch.no_grad():
        hidden = model.model(ids).last_hidden_state
        expected = model.score[2](torch.clamp(model.score[0](hidden), min=0))
        assert torch.allclose(model(ids).logits, expected, atol=1e-7)


def test_a_new_tag_has_the_mean_embedding_and_the_others_are_unchanged(tmp_path: Path) -> None:
    folder = save_family(tmp_path, "mistral")
    prepared = prepared_of(folder)
    rows = load_file(folder / "model.safetensors")["model.embed_tokens.weight"]
    built = build(prepared, dtype=torch.float32).get_input_embeddings().weight.detach()
    assert prepared.config.tag_id == len(rows)
    assert torch.allclose(built[-1], rows.mean(0), atol=1e-6)
    assert torch.equal(built[:-1], rows)
    assert torch.equal(build(prepared, dtype=torch.float32).get_input_embeddings().weight, built), "nothing is drawn"


def test_a_new_tag_takes_a_row_of_padding_where_there_is_one(tmp_path: Path) -> None:
    folder = save_family(tmp_path, "mistral", vocab_size=512, tie_word_embeddings=True)
    prepared = prepared_of(folder)
    model = build(prepared, dtype=torch.float32)
    rows = load_file(folder / "model.safetensors")["model.embed_tokens.weight"]
    tag = prepared.config.tag_id
    assert model.config.vocab_size == 512
    assert torch.allclose(model.lm_head.weight[tag], rows[:tag].mean(0), atol=1e-6)
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_a_model_whose_embeddings_cannot_grow_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import MistralForCausalLM

    prepared = prepared_of(save_family(tmp_path, "mistral"))

    def refuse(*_args: object, **_options: object) -> None:
        raise NotImplementedError("quantised embeddings\nwith advice")

    monkeypatch.setattr(MistralForCausalLM, "resize_token_embeddings", refuse)
    with pytest.raises(UsageError, match=r"cannot grow by the tag '<step>' \(quantised embeddings\); name a control token"):
        build(prepared, dtype=torch.float32)


def test_the_built_in_model_is_prepared_as_its_policy_writes() -> None:
    prepared = prepared_of("builtin")
    config = prepared.config
    assert (config.template.name, config.tag, config.context, config.base_model) == ("builtin", "<step>", 512, "builtin")
    assert (config.positive, config.negative, config.labels) == (" +", " -", LabelReading("soft", 0.5, "keep"))
    assert prepared.folder == BUILTIN


def test_the_context_is_the_models_or_less(tmp_path: Path) -> None:
    folder = save_family(tmp_path, "llama")
    assert [prepared_of(folder, context=wanted).config.context for wanted in (0, 100, 10_000)] == [512, 100, 512]


def test_weights_that_are_missing_are_refused_but_those_of_a_new_head(tmp_path: Path) -> None:
    folder = save_family(tmp_path, "llama")
    file = folder / "model.safetensors"
    weights = load_file(file)
    weights.pop("model.norm.weight")
    save_file(weights, file, metadata={"format": "pt"})
    for head in ("causal", "value"):
        with pytest.raises(UsageError, match=r"1 weights are missing or of another shape, model\.norm\.weight among them"):
            build(prepared_of(folder, head=head), dtype=torch.float32)


def test_a_saved_head_must_be_there_when_it_is_read(tmp_path: Path) -> None:
    prepared = prepared_of(save_family(tmp_path / "base", "llama"), head="value")
    folder = save(build(prepared, dtype=torch.float32), prepared, tmp_path / "prm")
    file = folder / "model.safetensors"
    weights = load_file(file)
    weights.pop("score.bias")
    save_file(weights, file, metadata={"format": "pt"})
    for read in (lambda: load_prm(folder, device="cpu"), lambda: build(prepared_of(folder), dtype=torch.float32)):
        with pytest.raises(UsageError, match=r"1 weights are missing or of another shape, score\.bias among them"):
            read()


def test_a_causal_model_without_its_head_is_refused(tmp_path: Path) -> None:
    prepared = prepared_of(save_family(tmp_path / "base", "llama"), head="token_classification")
    folder = tmp_path / "other"
    build(prepared, dtype=torch.float32).save_pretrained(folder)
    prepared.tokenizer.save_pretrained(folder)
    with pytest.raises(UsageError, match=r"lm_head\.weight among them"):
        build(prepared_of(folder), dtype=torch.float32)


def test_gemma_3_has_no_small_head(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no token classification over a 'gemma3_text' model: its head stays causal"):
        build(prepared_of(save_family(tmp_path, "gemma3"), head="value"), dtype=torch.float32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A process reward model, calibrated, of its own template."""
    folder = tmp_path_factory.mktemp("trained")
    prepared = prepared_of(save_family(folder / "base", "qwen2"), template="math-shepherd", tag=" +", context=64)
    model = build(prepared, dtype=torch.float32)
    config = replace(prepared.config, scale=0.5, shift=1.0)
    return save(model, replace(prepared, config=config), folder / "prm")


def test_training_goes_on_with_the_configuration_of_a_process_reward_model(trained: Path) -> None:
    prepared = prepared_of(trained)
    config = prepared.config
    assert (config.template.name, config.tag, config.context) == ("math-shepherd", " +", 64)
    assert (config.scale, config.shift) == (1.0, 0.0), "a calibration belongs to the weights it was fitted to"
    assert (config.labels, config.base_model) == (LabelReading("soft", 0.5, "keep"), str(trained))
    assert not prepared.new_head
    assert prepared_of(trained, template="math-shepherd", tag=" +", positive=" +", negative=" -").config == config


@pytest.mark.parametrize(
    "options",
    [{"template": "plain"}, {"tag": "<|quad_end|>"}, {"head": "value"}, {"positive": "good", "negative": "bad"}],
    ids=lambda options: next(iter(options)),
)
def test_another_template_tag_or_head_than_the_bases_own_is_refused(options: dict[str, str], trained: Path) -> None:
    name = next(iter(options))
    with pytest.raises(UsageError, match=rf"is a process reward model with the {name}.* and cannot go on with '{options[name]}"):
        prepared_of(trained, **options)


def test_a_base_whose_tokenizer_changed_since_is_refused(trained: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(trained, tmp_path / "prm"))
    file = folder / "tokenizer.json"
    values = json.loads(file.read_text())
    values["normalizer"] = {"type": "Lowercase"}
    file.write_text(json.dumps(values))
    with pytest.raises(InputError, match="does not encode texts as it did in training"):
        prepared_of(folder)


def test_both_judgements_are_named_or_neither(tmp_path: Path) -> None:
    folder = save_family(tmp_path, "llama")
    with pytest.raises(UsageError, match="--positive and --negative go together"):
        prepared_of(folder, positive="+")
    named = prepared_of(folder, positive=" is", negative=" answer").config
    assert (named.positive, named.negative) == (" is", " answer")


def test_a_damaged_configuration_is_told(tmp_path: Path) -> None:
    folder = save_family(tmp_path, "llama")
    (folder / "config.json").write_text('{"model_type": "no such family"}')
    with pytest.raises(UsageError, match="cannot be read"):
        prepared_of(folder)


def test_every_head_is_known() -> None:
    from openr_data.prm.weights import KINDS, LABELS

    assert set(KINDS) == set(get_args(Head)) == {"causal", *LABELS}
