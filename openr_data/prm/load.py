"""Loads a process reward model: weights, tokenizer and `prm_config.json`, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from openr_data.errors import EngineError, InputError, UsageError
from openr_data.models.devices import choose_device, choose_dtype
from openr_data.prm.config import NAME, PRMConfig
from openr_data.prm.encode import Encoder
from openr_data.prm.heads import judging


@dataclass(frozen=True, slots=True)
class PRM:
    """A model in evaluation mode whose output has the judgements alone (see `heads.judging`), and how it is asked."""

    model: Any
    tokenizer: Any
    config: PRMConfig
    encoder: Encoder
    folder: Path


def load_prm(folder: Path, *, device: str = "auto", dtype: str = "auto", attention: str = "sdpa") -> PRM:
    """`dtype` `auto` is float32 on a CPU and bfloat16 on CUDA; the head is in float32 always.

    Raises `InputError` for what is no process reward model, `UsageError` for what cannot be run here and `EngineError` for one
    that does not fit the memory.
    """
    place = choose_device(device)
    number_format = choose_dtype(dtype, place)
    config, tokenizer = read_config(folder), load_tokenizer(folder)
    check_ids(tokenizer, config, folder)
    try:
        model = read_weights(folder, config, number_format, attention).to(place).eval()
    except torch.OutOfMemoryError as error:
        raise EngineError(f"the model in '{folder}' does not fit the memory of {place}") from error
    return PRM(judging(model, config), tokenizer, config, Encoder(tokenizer, config), folder)


def read_config(folder: Path) -> PRMConfig:
    """What was saved beside the model, else what a third-party model is recognised as. Raises `InputError` for neither."""
    if (folder / NAME).exists():
        return PRMConfig.load(folder)
    from openr_data.prm.third_party import recognise

    return recognise(folder) or PRMConfig.load(folder)


def load_tokenizer(folder: Path) -> Any:
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"the folder '{folder}' holds no tokenizer that can be read: {reason}") from error


def check_ids(tokenizer: Any, config: PRMConfig, folder: Path) -> None:
    """Raises `InputError` where the tokenizer gives the tag or a judgement another id than the model was trained with."""
    named = [(config.tag, config.tag_id), (config.positive, config.positive_id), (config.negative, config.negative_id)]
    for text, token in named:
        if token < 0:
            continue
        ids = list(tokenizer.encode(text, add_special_tokens=False))
        if token not in ids and tokenizer.convert_tokens_to_ids(text) != token:
            raise InputError(
                f"{folder} was trained with '{text}' as token {token}, and its tokenizer makes {ids} of it: "
                "the checkpoint belongs to another tokenizer or template"
            )


def read_weights(folder: Path, config: PRMConfig, number_format: torch.dtype, attention: str) -> Any:
    """The model of the head's kind, with every weight from the files: transformers would draw what is missing at random."""
    kind: Any = AutoModelForCausalLM if config.head == "causal" else AutoModelForTokenClassification
    try:
        model, info = kind.from_pretrained(
            folder,
            dtype=number_format,
            use_safetensors=True,
            trust_remote_code=False,
            attn_implementation=attention,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, ImportError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"the model in '{folder}' cannot be loaded: {reason}") from error
    absent = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
    if absent:
        what = f"{len(absent)} weights are missing or of another shape, {absent[0]} among them"
        raise UsageError(f"the model in '{folder}' cannot be loaded: {what}")
    return model
