"""Reads the weights of a head's kind of model from a folder; what is missing there is told, never drawn at random unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

from openr_data.errors import UsageError
from openr_data.prm.config import PRMConfig
from openr_data.prm.likelihood import likelihood_class
from openr_data.prm.process_reward import process_reward_class, token_classification_class
from openr_data.prm.value_head import value_head_class


def _causal(_config_class: type) -> Any:
    return AutoModelForCausalLM


KINDS: Mapping[str, Callable[[type], Any]] = {
    "causal": _causal,
    "token_classification": token_classification_class,
    "value": token_classification_class,
    "process_reward": process_reward_class,
    "value_head": value_head_class,
    "likelihood": likelihood_class,
}
"""By head: from the class of a model's configuration to the class of the model."""

LABELS: Mapping[str, int] = {"token_classification": 2, "value": 1, "process_reward": 2, "value_head": 1, "likelihood": 1}


def read_model_config(folder: Path) -> Any:
    """The `config.json` of transformers. Raises `UsageError` where it cannot be read."""
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"the configuration of the model in '{folder}' cannot be read: {first_line(error)}") from error


def read_weights(folder: Path, config: PRMConfig, number_format: torch.dtype, attention: str) -> Any:
    """The model with every weight from the files. Raises `UsageError` where one is missing or of another shape."""
    model, absent = open_weights(folder, config, number_format, attention)
    refuse_absent(folder, absent)
    return model


def open_weights(folder: Path, config: PRMConfig, number_format: torch.dtype, attention: str) -> tuple[Any, list[str]]:
    """The model, and the names of the weights that no file holds: those are drawn at random."""
    settings = read_model_config(folder)
    if config.head in LABELS:
        settings.num_labels = LABELS[config.head]
    if config.head == "likelihood":
        settings.step_tag_id = config.tag_id
    try:
        with quiet():
            model, info = KINDS[config.head](type(settings)).from_pretrained(
                folder,
                config=settings,
                dtype=number_format,
                use_safetensors=True,
                trust_remote_code=False,
                attn_implementation=_exact(attention, settings),
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, ImportError) as error:
        raise UsageError(f"the model in '{folder}' cannot be loaded: {first_line(error)}") from error
    return model, sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))


def _exact(attention: str, settings: Any) -> str:
    """Torch's attention would leave out the cap that Gemma 2 puts on its attention scores, without a word."""
    capped = getattr(settings.get_text_config(), "attn_logit_softcapping", None) is not None
    return "eager" if capped and attention == "sdpa" else attention


def refuse_absent(folder: Path, absent: list[str]) -> None:
    if absent:
        what = f"{len(absent)} weights are missing or of another shape, {absent[0]} among them"
        raise UsageError(f"the model in '{folder}' cannot be loaded: {what}")


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' bars and its report of missing weights: what is missing is told here, or meant."""
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def first_line(error: Exception) -> str:
    """What a library says, without its advice."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
