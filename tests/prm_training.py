"""Tiny models and rows for the tests of the trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForTokenClassification

from openr_data.prm.config import LabelReading
from openr_data.prm.examples import Example
from openr_data.prm.prepare import Prepared, prepare
from openr_data.prm.rows import tokenised
from openr_data.prm.train import TrainResult, train
from openr_data.prm.train_config import ModelChoice, TrainConfig


@cache
def prepared() -> Prepared:
    """The built-in tokenizer with the tag that it has."""
    return prepare(ModelChoice(), LabelReading())


def tiny(*, tied: bool = True, head: str = "causal", layers: int = 1, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    settings: Any = LlamaConfig(
        vocab_size=320,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=tied,
        pad_token_id=0,
    )
    settings.num_labels = 1 if head == "value" else 2
    return (LlamaForCausalLM if head == "causal" else LlamaForTokenClassification)(settings)


def examples(count: int, seed: int = 0, targets: Sequence[float] = (0.0, 1.0)) -> list[Example]:
    """A local rule: a step is good where it ends in a large digit. Solutions of one to four steps."""
    rng = Random(seed)
    found = []
    for number in range(count):
        digits = [rng.randrange(10) for _ in range(rng.randint(1, 4))]
        steps = tuple("x" * rng.randint(0, 3) + str(digit) for digit in digits)
        labels = tuple(targets[digit > 4] for digit in digits)
        found.append(Example(f"row-{number}", "ab"[: rng.randint(1, 2)], steps, labels, weight=1.0 + number % 3))
    return found


def rows(folder: Path, count: int = 12, seed: int = 0) -> Any:
    return tokenised(examples(count, seed), prepared().encoder, folder).dataset


def run(folder: Path, found: Any, config: TrainConfig, **others: Any) -> TrainResult:
    """A training of a fresh tiny model into `folder`, evaluated on the rows themselves."""
    model = others.pop("model", None) or tiny(head=config.model.head)
    asked = replace(prepared().config, head=config.model.head, labels=config.labels)
    evaluated = others.pop("evaluated", found)
    return train(model, prepared().tokenizer, asked, config, found, evaluated, folder, **others)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def furthest(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> float:
    """The largest difference of any weight."""
    assert left.keys() == right.keys()
    return max(float((left[name] - right[name]).abs().max()) for name in left)


def losses(result: TrainResult) -> list[float]:
    return [each["loss"] for each in result.history if "loss" in each]
