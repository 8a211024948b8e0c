"""Loads a process reward model: weights, tokenizer and `prm_config.json`, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from openr_data.errors import EngineError, InputError, UsageError
from openr_data.models.devices import choose_device, choose_dtype
from openr_data.prm.config import NAME, PRMConfig
from openr_data.prm.encode import Encoder, check_fingerprint
from openr_data.prm.heads import judging
from openr_data.prm.weights import first_line, read_weights


@dataclass(frozen=True, slots=True)
class PRM:
    """A model in evaluation mode whose output has the judgements alone (see `heads.judging`), and how it is asked."""

    model: Any
    tokenizer: Any
    config: PRMConfig
    encoder: Encoder
    folder: Path


def load_prm(folder: Path, *, device: str = "auto", dtype: str = "auto", attention: str = "sdpa", style: str = "") -> PRM:
    """`dtype` `auto` is float32 on a CPU and bfloat16 on CUDA; the head is in float32 always. `style`: see `read_config`.

    Raises `InputError` for what is no process reward model, `UsageError` for what cannot be run here and `EngineError` for one
    that does not fit the memory.
    """
    place = choose_device(device)
    number_format = choose_dtype(dtype, place)
    encoder = load_encoder(folder, style)
    config = encoder.config
    try:
        model = read_weights(folder, config, number_format, attention).to(place).eval()
    except torch.OutOfMemoryError as error:
        raise EngineError(f"the model in '{folder}' does not fit the memory of {place}") from error
    return PRM(judging(model, config), encoder.tokenizer, config, encoder, folder)


def load_encoder(folder: Path, style: str = "") -> Encoder:
    """How the model in the folder is asked, without its weights. Raises as `load_prm` does."""
    config, tokenizer = read_config(folder, style), load_tokenizer(folder)
    check_ids(tokenizer, config, folder)
    encoder = Encoder(tokenizer, config)
    check_fingerprint(encoder, folder)
    return encoder


def read_config(folder: Path, style: str = "") -> PRMConfig:
    """What was saved beside the model, else what a third-party model is recognised as, or asked as in the named style.

    Raises `InputError` for neither, and `UsageError` for a style that is unknown, needed or not wanted.
    """
    if not (folder / NAME).exists():
        from openr_data.prm.third_party import recognise

        return recognise(folder, style) or PRMConfig.load(folder)
    if style:
        raise UsageError(f"{folder} says itself how it is asked ({NAME}); leave --style out")
    return PRMConfig.load(folder)


def load_tokenizer(folder: Path) -> Any:
    """Of a model that openr-data saved, the tokenizer that was saved; transformers would build another for some model types
    (a Qwen2 gets Qwen2's rules for cutting words, whatever its files say).
    """
    saved = (folder / NAME).is_file() and (folder / "tokenizer.json").is_file()
    kind: Any = PreTrainedTokenizerFast if saved else AutoTokenizer
    try:
        return kind.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UsageError(f"the folder '{folder}' holds no tokenizer that can be read: {first_line(error)}") from error


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
