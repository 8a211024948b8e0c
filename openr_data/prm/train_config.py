"""What a training run of a process reward model is: frozen, saved beside the model. Knows neither data sets nor devices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from openr_data.prm.config import Head, LabelReading

Loss = Literal["cross_entropy", "squared", "ranking"]
Packing = Literal["auto", "on", "off"]


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model that is trained further and what it is asked. `auto` is chosen by its tokenizer (`prm.prepare`).

    `base` is `builtin`, a folder or a Hub name. `context` 0 is the model's own.
    """

    base: str = "builtin"
    revision: str = ""
    head: Head = "causal"
    template: str = "auto"
    tag: str = "auto"
    positive: str = ""
    negative: str = ""
    context: int = 0


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters (arXiv 2106.09685) instead of all weights; `rank` 0 trains everything. Merged at the end."""

    rank: int = 0
    alpha: int = 32
    dropout: float = 0.0
    targets: tuple[str, ...] = ("all-linear",)


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """`batch` is solutions per optimiser step over all processes; `accumulation` splits it into that many forward passes.

    `rate` 0 is 1e-4 with LoRA, 1e-3 for models below 10 M parameters, else 2e-6. `positive_weight` multiplies the loss of targets
    above .5 (0: such that both classes weigh the same). `evaluate_every` and `save_every` are in optimiser steps, 0: five times a
    run. `patience` evaluations without a better AUROC end the run (0: never). `dtype` `auto` is bfloat16 on CUDA, float32 on a
    CPU. `packing` `auto` packs where flash attention is there. `report_to` names trackers of transformers (trackio, wandb,
    tensorboard).
    """

    model: ModelChoice = field(default_factory=ModelChoice)
    labels: LabelReading = field(default_factory=LabelReading)
    loss: Loss = "cross_entropy"
    ranking_margin: float = 4.0
    lora: Lora = field(default_factory=Lora)
    epochs: float = 1.0
    max_steps: int = 0
    batch: int = 64
    accumulation: int = 1
    rate: float = 0.0
    schedule: str = "cosine"
    warmup: float = 0.03
    weight_decay: float = 0.01
    clip: float = 1.0
    positive_weight: float = 1.0
    smoothing: float = 0.0
    dtype: str = "auto"
    checkpointing: bool = False
    packing: Packing = "auto"
    batch_tokens: int = 8192
    evaluate_every: int = 0
    save_every: int = 0
    patience: int = 0
    seed: int = 0
    device: str = "auto"
    report_to: tuple[str, ...] = ()
