"""TRL's own trainers take what `export` writes: run by `make test-consumers`, skipped where TRL is not installed."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from export_runs import mixed_items, write_run

from openr_data.pipelines.exporting.config import ExportConfig
from openr_data.pipelines.exporting.export import export

trl = pytest.importorskip("trl", reason="TRL is installed by `make test-consumers` only")

SEPARATOR = "\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("consumers") / "run", mixed_items(4))


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """One token per UTF-8 byte, made here: no model is downloaded."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<s>", "</s>", *alphabet])}
    tokens = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokens, **special)


def exported(run: Path, folder: Path, layout: str) -> Any:
    from datasets import load_dataset

    export(run, ExportConfig(layout), folder / "data")
    return load_dataset(str(folder / "data"), split="train", cache_dir=str(folder / "cache"))


def sizes(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "pad_token_id": tokenizer.pad_token_id,
    }


def arguments(folder: Path) -> dict[str, Any]:
    return {
        "output_dir": str(folder / "model"),
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "report_to": [],
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
    }


def test_the_prm_trainer_trains_and_its_labels_stand_on_the_separators(run: Path, tmp_path: Path, tokenizer: Any) -> None:
    from transformers import LlamaConfig, LlamaForTokenClassification

    prm = pytest.importorskip("trl.experimental.prm")
    data = exported(run, tmp_path, "trl")
    model = LlamaForTokenClassification(LlamaConfig(**sizes(tokenizer)))
    config = prm.PRMConfig(**arguments(tmp_path), max_length=None, step_separator=SEPARATOR)
    trainer = prm.PRMTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)

    (separator,) = tokenizer.encode(SEPARATOR, add_special_tokens=False)
    assert len(trainer.train_dataset) == len(data) > 0
    for tokens, row in zip(trainer.train_dataset, data, strict=True):
        marked = [place for place, label in enumerate(tokens["labels"]) if label != -100]
        assert [tokens["labels"][place] for place in marked] == [int(label) for label in row["labels"]]
        assert [tokens["input_ids"][place] for place in marked] == [separator] * len(row["completions"])
        text = tokenizer.decode(tokens["input_ids"], skip_special_tokens=True)
        assert text == row["prompt"] + "".join(step + SEPARATOR for step in row["completions"])

    before = model.score.weight.detach().clone()
    result = trainer.train()
    assert result.global_step == 2
    assert result.training_loss > 0
    assert not before.equal(model.score.weight)


@pytest.mark.parametrize("layout", ["preference", "step-dpo"])
def test_the_dpo_trainer_trains_on_pairs(run: Path, tmp_path: Path, tokenizer: Any, layout: str) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    data = exported(run, tmp_path, layout)
    if layout == "step-dpo":  # as Step-DPO's own training script joins them
        data = data.map(lambda row: {"prompt": row["prompt"] + SEPARATOR + row["initial_reason_steps"]})
    data = data.select_columns(["prompt", "chosen", "rejected"])
    model = LlamaForCausalLM(LlamaConfig(**sizes(tokenizer)))
    config = trl.DPOConfig(**arguments(tmp_path), max_length=None)
    trainer = trl.DPOTrainer(model=model, ref_model=deepcopy(model), args=config, train_dataset=data, processing_class=tokenizer)
    assert trainer.train().global_step == 2


def test_the_sft_trainer_trains_on_right_solutions(run: Path, tmp_path: Path, tokenizer: Any) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    data = exported(run, tmp_path, "sft")
    model = LlamaForCausalLM(LlamaConfig(**sizes(tokenizer)))
    config = trl.SFTConfig(**arguments(tmp_path), max_length=None)
    trainer = trl.SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)
    assert trainer.train().global_step == 2
