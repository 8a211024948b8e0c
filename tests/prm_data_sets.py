"""Labelled data and a tiny base model for the tests of `prm train`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from local_models import save_llama

from openr_data.models.files import BUILTIN
from openr_data.pipelines.prm.config import PRMRunConfig, SourceSpec
from openr_data.pipelines.splits import Splits
from openr_data.prm.load import load_tokenizer
from openr_data.prm.train_config import ModelChoice, TrainConfig

SPLITS = Splits(0.8, 0.2, 0.0)


def save_base(folder: Path) -> Path:
    """A tiny model with the built-in tokenizer."""
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return save_llama(folder, tokenizer=load_tokenizer(BUILTIN), num_key_value_heads=2, max_position_embeddings=128, **sizes)


def row(number: int, **changes: Any) -> dict[str, Any]:
    steps = [f"{number} + 1 = {number + 1}", f"{number + 1} + 1 = {number + 2}"]
    label = 1 if number % 2 else -1
    usual = {"id": f"r{number}", "generator": "m", "problem": f"Start with {number}.", "steps": steps, "label": label}
    return {**usual, "final_answer_correct": label == -1, **changes}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
    return path


def asked(base: Path, *sources: Path, **changes: Any) -> PRMRunConfig:
    train = TrainConfig(ModelChoice(str(base)), batch=8, rate=1e-3, device="cpu", **changes.pop("train", {}))
    return PRMRunConfig(tuple(SourceSpec(str(source)) for source in sources), train=train, **{"splits": SPLITS, **changes})
