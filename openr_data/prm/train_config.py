"""What a training run of a process reward model is: frozen, saved beside the model. Knows neither data sets nor devices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from openr_data.errors import UsageError
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
    """`batch` is solutions per optimiser step over all processes; `accumulation` splits it into that many micro-batches, and
    `batch_tokens` (0: 2,048 on a CPU, 16,384 on CUDA) splits those further: the most tokens of one forward pass, padding
    included. Neither changes the loss.

    `rate` 0 is 1e-4 with LoRA, 1e-3 for models below 10 M parameters, else 2e-6. `warmup` is a share of the steps.
    `positive_weight` multiplies the loss of targets above .5 (0: such that both classes weigh the same). `evaluate_every` and
    `save_every` are in optimiser steps, 0: five times a run; with evaluations, `save_every` is a multiple of `evaluate_every`.
    `patience` evaluations without a better AUROC end the run (0: never). `dtype` `auto` is bfloat16 on CUDA (autocast over
    weights in float32), float32 on a CPU. `packing` `auto` packs where flash attention is there. `report_to` names trackers of
    transformers (trackio, wandb, tensorboard). Raises `UsageError` naming the first value that cannot be used.
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
    batch_tokens: int = 0
    evaluate_every: int = 0
    save_every: int = 0
    patience: int = 0
    seed: int = 0
    device: str = "auto"
    report_to: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, (lowest, highest) in _RANGES.items():
            if not lowest <= getattr(self, name) <= highest:
                raise UsageError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it lies from {lowest:g} to {highest:g}")
        if not self.max_steps and not self.epochs:
            raise UsageError("a training of no epochs and no steps trains nothing")
        if self.loss == "ranking" and (self.smoothing or self.positive_weight != 1):
            raise UsageError("the ranking loss compares steps: it knows neither label smoothing nor a weight of good steps")
        if self.save_every % (self.evaluate_every or 1):
            raise UsageError("--save-every is a multiple of --evaluate-every: the best checkpoint is one that was measured")


_MANY = float(2**31)
_RANGES = {
    "ranking_margin": (0.0, _MANY),
    "epochs": (0.0, _MANY),
    "max_steps": (0, _MANY),
    "batch": (1, _MANY),
    "accumulation": (1, _MANY),
    "rate": (0.0, 1.0),
    "warmup": (0.0, 1.0),
    "weight_decay": (0.0, _MANY),
    "clip": (0.0, _MANY),
    "positive_weight": (0.0, _MANY),
    "smoothing": (0.0, 1.0),
    "batch_tokens": (0, _MANY),
    "evaluate_every": (0, _MANY),
    "save_every": (0, _MANY),
    "patience": (0, _MANY),
}
