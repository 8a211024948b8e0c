"""Causal language models of transformers with every weight from their files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging


def read_weights(folder: Path, dtype: torch.dtype, **more: Any) -> Any:
    """Raises `ValueError` for weights that are missing or of another shape, which transformers would draw at random, and what
    transformers raises.
    """
    with without_bars():
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, output_loading_info=True, **more
        )
    model, info = loaded
    absent = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
    if absent:
        raise ValueError(f"{len(absent)} weights are missing or of another shape, {absent[0]} among them")
    return model


@contextmanager
def without_bars() -> Iterator[None]:
    """Without the progress bars of transformers."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
