"""An adapter merged into its base scores as the adapter, and none of another base is merged."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from prm_families import save_family
from safetensors.torch import load_file, save_file
from test_prm_prepare import prepared_of, save, scores

from openr_data.errors import InputError, UsageError
from openr_data.prm.adapters import adapted
from openr_data.prm.build import build
from openr_data.prm.config import Head
from openr_data.prm.heads import judging
from openr_data.prm.load import load_prm
from openr_data.prm.merge import merge, refuse_adapter
from openr_data.prm.train_config import Lora


def adapter_of(base: Path | str, folder: Path, head: Head = "causal", **options: Any) -> torch.Tensor:
    """Writes an adapter as the trainer does, with weights that say something; its own scores."""
    prepared = prepared_of(base, head=head, **options)
    model = judging(build(prepared, dtype=torch.float32), prepared.config)
    adapter = adapted(model, prepared.config, Lora(rank=2, alpha=4, targets=("q_proj", "v_proj", "down_proj"))).eval()
    torch.manual_seed(2)
    for value in adapter.parameters():
        if value.requires_grad:
            torch.nn.init.normal_(value, std=0.2)
    found = scores(adapter, prepared)
    adapter.save_pretrained(folder, save_embedding_layers=False)
    prepared.config.save(folder)
    return found


@pytest.mark.parametrize(
    ("family", "head"),
    [("builtin", "causal"), ("qwen2", "causal"), ("mistral", "causal"), ("gemma", "value"), ("qwen2", "process_reward")],
)
def test_a_merged_adapter_scores_as_the_adapter(family: str, head: Head, tmp_path: Path) -> None:
    """With a tag of the base, tied embeddings (Qwen2, Gemma), a new tag (Mistral), and a head of its own."""
    base = "builtin" if family == "builtin" else save_family(tmp_path / "base", family)
    before = adapter_of(base, tmp_path / "adapter", head)
    done = merge(tmp_path / "adapter", tmp_path / "out")
    found = load_prm(tmp_path / "out", device="cpu")
    after = scores(found.model, found)
    assert torch.allclose(after, before, atol=2e-5, rtol=1e-5)
    unadapted = prepared_of(base, head=head)
    plain = scores(judging(build(unadapted, dtype=torch.float32), unadapted.config).eval(), unadapted)
    assert (before - plain).abs().max() > 0.05, "the adapter says something else than its base"
    assert (done.base, done.weights) == (str(base), 3 * found.model.config.num_hidden_layers)
    assert not list((tmp_path / "out").glob("adapter*"))


def test_a_new_tag_is_trained_with_the_adapter_and_merged(tmp_path: Path) -> None:
    """Its row would stay the mean of all others: no adapter reaches an embedding that is not named."""
    base = save_family(tmp_path / "base", "mistral")
    adapter_of(base, tmp_path / "adapter")
    merge(tmp_path / "adapter", tmp_path / "out")
    before = load_file(base / "model.safetensors")["model.embed_tokens.weight"]
    after = load_file(tmp_path / "out" / "model.safetensors")["model.embed_tokens.weight"]
    assert torch.equal(after[:-1], before)
    assert (after[-1] - before.mean(0)).abs().max() > 0.1


def test_the_configuration_may_stand_one_folder_up(tmp_path: Path) -> None:
    base = save_family(tmp_path / "base", "llama")
    adapter_of(base, tmp_path / "prm" / "adapter")
    shutil.move(tmp_path / "prm" / "adapter" / "prm_config.json", tmp_path / "prm" / "prm_config.json")
    assert merge(tmp_path / "prm" / "adapter", tmp_path / "out").record == tmp_path / "prm"


def test_half_the_size_is_asked_for(tmp_path: Path) -> None:
    adapter_of(save_family(tmp_path / "base", "llama"), tmp_path / "adapter")
    merge(tmp_path / "adapter", tmp_path / "out", dtype=torch.bfloat16)
    assert {value.dtype for value in load_file(tmp_path / "out" / "model.safetensors").values()} == {torch.bfloat16}


def test_a_base_that_moved_is_named_and_one_that_changed_is_refused(tmp_path: Path) -> None:
    base = save_family(tmp_path / "base", "llama")
    before = adapter_of(base, tmp_path / "adapter")
    moved = Path(shutil.move(base, tmp_path / "moved"))
    with pytest.raises(UsageError, match="there is no model folder"):
        merge(tmp_path / "adapter", tmp_path / "none")
    merge(tmp_path / "adapter", tmp_path / "out", base=str(moved))
    found = load_prm(tmp_path / "out", device="cpu")
    assert torch.allclose(scores(found.model, found), before, atol=2e-5, rtol=1e-5)

    weights = load_file(moved / "model.safetensors")
    save_file({**weights, "model.norm.weight": weights["model.norm.weight"] + 1}, moved / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"was trained on other weights than those of .*; name its base with --base"):
        merge(tmp_path / "adapter", tmp_path / "other", base=str(moved))


@pytest.mark.parametrize(
    ("other", "options", "said"),
    [
        ("gemma", {}, "does not encode texts as it did in training|belongs to another tokenizer"),
        ("llama", {"hidden_size": 32}, "does not fit"),
    ],
)
def test_an_adapter_of_another_base_is_refused(other: str, options: dict[str, int], said: str, tmp_path: Path) -> None:
    """Also where nobody wrote down what the base's weights were."""
    adapter = tmp_path / "adapter"
    adapter_of(save_family(tmp_path / "base", "llama"), adapter)
    replace(prepared_of(tmp_path / "base").config, base_digest="").save(adapter)
    foreign = save_family(tmp_path / "foreign", other, **options)
    with pytest.raises(InputError, match=said) as refused:
        merge(adapter, tmp_path / "out", base=str(foreign))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_an_adapter_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter_of(save_family(tmp_path / "base", "llama"), adapter, "value")
    weights = load_file(adapter / "adapter_model.safetensors")
    kept = {name: value for name, value in weights.items() if ".score." not in name}
    save_file(kept, adapter / "adapter_model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="does not fit"):
        merge(adapter, tmp_path / "out")


def test_a_folder_that_is_no_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no adapter: there is no adapter_config\.json in it"):
        merge(tmp_path, tmp_path / "out")
    (tmp_path / "adapter_config.json").write_text("[]")
    with pytest.raises(InputError, match="not what peft writes"):
        merge(tmp_path, tmp_path / "out")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "x"}))
    with pytest.raises(InputError, match="holds no process reward model"):
        merge(tmp_path, tmp_path / "out")
    with pytest.raises(UsageError, match="holds an adapter and no model; `openr-data prm merge`"):
        refuse_adapter(tmp_path)


def test_the_saved_model_of_a_training_is_the_base_of_the_next(tmp_path: Path) -> None:
    """An adapter on a process reward model: its head is in the base."""
    prepared = prepared_of(save_family(tmp_path / "base", "qwen2"), head="value")
    first = save(build(prepared, dtype=torch.float32), prepared, tmp_path / "first")
    before = adapter_of(first, tmp_path / "adapter", "value")
    merge(tmp_path / "adapter", tmp_path / "out")
    found = load_prm(tmp_path / "out", device="cpu")
    assert torch.allclose(scores(found.model, found), before, atol=2e-5, rtol=1e-5)
