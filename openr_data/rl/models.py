"""Causal language models that are trained: loaded in float32, saved with their tokenizer, as transformers keeps them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from openr_data.errors import UsageError
from openr_data.models.files import POLICY
from openr_data.models.weights import read_weights, without_bars

_WEIGHTS = {".safetensors", ".bin", ".pt", ".h5", ".msgpack", ".gguf"}
_OTHERS = frozenset({"config.json", "manifest.json", "RECIPE.json", "training.json", "model.safetensors.index.json", POLICY})


def load_policy(folder: Path, device: torch.device, dtype: torch.dtype = torch.float32) -> Any:
    """A model in training mode, with every weight from the files. Raises `UsageError` for a folder that holds none."""
    try:
        model = read_weights(folder, dtype)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"the model in '{folder}' cannot be loaded for training: {reason}") from error
    trained: Any = model.to(device).train()
    return trained


def save_policy(
    model: Any,
    base: Path,
    folder: Path,
    prompt: tuple[str, str],
    dtype: torch.dtype | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Weights and configuration of `model`, everything else from `base`, and `prompt`: the template that it was trained with and
    what separates its steps.

    `dtype` is that of the saved weights (`None`: as they are), `weights` what is saved instead of the model's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: Mapping[str, Tensor] = model.state_dict() if weights is None else weights
    saved = found if dtype is None else {name: each.to(dtype) for name, each in found.items()}
    with without_bars():
        model.save_pretrained(folder, state_dict=saved)
    for path in base.iterdir():
        if path.is_file() and path.suffix not in _WEIGHTS and path.name not in _OTHERS:
            shutil.copyfile(path, folder / path.name)
    template, separator = prompt
    (folder / POLICY).write_text(json.dumps({"template": template, "separator": separator}) + "\n", encoding="utf-8")
