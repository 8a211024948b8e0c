"""RECIPE.json, beside the weights of the built-in policy: how they were made, what was measured, and their checksums."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from openr_data.errors import InputError
from openr_data.pipelines.builtin_config import BuiltinTraining
from openr_data.pipelines.builtin_evaluate import BuiltinEvaluation, DifficultyReport

NAME = "RECIPE.json"
_FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that makes the model."""
    return {name: sha256((folder / name).read_bytes()).hexdigest() for name in _FILES}


def write_recipe(folder: Path, config: BuiltinTraining, *, parameters: int, tokens: int, seconds: float) -> None:
    """Record a finished training. `tokens` counts every token of every batch, `seconds` the wall time over all resumes."""
    import torch
    import transformers

    _write(
        folder,
        {
            "command": "openr-data builtin train",
            "training": asdict(config),
            "parameters": parameters,
            "tokens": tokens,
            "seconds": round(seconds),
            "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
            "sha256": checksums(folder),
        },
    )


def add_evaluation(folder: Path, config: BuiltinEvaluation, reports: Sequence[DifficultyReport]) -> None:
    """Record what was measured, in place of an earlier measurement."""
    measured = {"config": asdict(config), "difficulties": [report.as_json() for report in reports]}
    _write(folder, {**read_recipe(folder), "evaluation": measured})


def read_recipe(folder: Path) -> Mapping[str, Any]:
    """The recipe of a model folder; `InputError` where there is none."""
    try:
        recipe: Mapping[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} holds no readable {NAME}; train a model with `openr-data builtin train`") from error
    return recipe


def _write(folder: Path, recipe: Mapping[str, Any]) -> None:
    (folder / NAME).write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")
