"""The training of a process reward model: which data, which model, how it is trained, and on what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openr_data.errors import UsageError

if TYPE_CHECKING:
    from openr_data.prm.config import LabelReading
    from openr_data.prm.train_config import ModelChoice

_DATA, _LABELS, _MODEL, _TRAINING, _MACHINE, _WATCHING = "Data", "Labels", "Model", "Training", "Machine", "Evaluation and logs"
_NEUTRAL = "PRM800K's neutral ratings: good, bad or none (no loss)."


@dataclass(frozen=True, slots=True)
class PRMDataOptions:
    splits: Annotated[
        str, typer.Option("--splits", help="Shares of train/validation/test by question.", rich_help_panel=_DATA)
    ] = "90/5/5"
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="FILE",
            help="Evaluation set whose questions are left out, such as MATH-500 or ProcessBench: file or Hub name (repeatable).",
            rich_help_panel=_DATA,
        ),
    ] = None
    ngram: Annotated[int, typer.Option("--ngram", min=1, help="Words in an n-gram of --against.", rich_help_panel=_DATA)] = 8
    overlap: Annotated[
        float,
        typer.Option("--overlap", help="Share of an evaluation question's n-grams that is too much.", rich_help_panel=_DATA),
    ] = 0.5
    limit: Annotated[int, typer.Option("--limit", min=0, help="Solutions of each data set (0: all).", rich_help_panel=_DATA)] = 0
    allow_dropped: Annotated[
        bool,
        typer.Option("--allow-dropped", help="Go on though more than 1 % of the rows are too long.", rich_help_panel=_DATA),
    ] = False

    def values(self) -> dict[str, Any]:
        from openr_data.pipelines.splits import parse_splits

        return {
            "splits": parse_splits(self.splits),
            "against": tuple(self.against or ()),
            "ngram": self.ngram,
            "overlap": self.overlap,
            "limit": self.limit,
        }


@dataclass(frozen=True, slots=True)
class PRMLabelOptions:
    soft: Annotated[
        bool | None,
        typer.Option(
            "--soft/--hard",
            help="Values as they were measured, or right and wrong. Default: hard; soft for the value head.",
            show_default=False,
            rich_help_panel=_LABELS,
        ),
    ] = None
    threshold: Annotated[
        float,
        typer.Option("--threshold", help="Hard: read values above this as right (0: as labelled).", rich_help_panel=_LABELS),
    ] = 0.0
    keep_after_error: Annotated[
        bool, typer.Option("--keep-after-error", help="Also train on steps after the first wrong one.", rich_help_panel=_LABELS)
    ] = False
    neutral: Annotated[str, typer.Option("--neutral", help=_NEUTRAL, rich_help_panel=_LABELS)] = "good"
    keep_uncertain: Annotated[
        bool,
        typer.Option("--keep-uncertain", help="Also labels that are only the likeliest one.", rich_help_panel=_LABELS),
    ] = False
    min_confidence: Annotated[
        float,
        typer.Option("--min-confidence", min=0, max=1, help="Leave out labels less sure than this.", rich_help_panel=_LABELS),
    ] = 0.0

    def reading(self, head: str) -> LabelReading:
        from openr_data.prm.config import LabelReading

        soft = head == "value" if self.soft is None else self.soft
        return LabelReading("soft" if soft else "hard", self.threshold, "keep" if self.keep_after_error else "mask")

    def values(self) -> dict[str, Any]:
        if self.neutral not in {"good", "bad", "none"}:
            raise UsageError(f"--neutral is good, bad or none, not '{self.neutral}'")
        names = ("neutral", "keep_uncertain", "min_confidence")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class PRMModelOptions:
    base: Annotated[
        str, typer.Option("--base", "-m", help="Model to begin with: builtin, a folder or a Hub name.", rich_help_panel=_MODEL)
    ] = "builtin"
    revision: Annotated[str, typer.Option("--revision", help="Revision of the base on the Hub.", rich_help_panel=_MODEL)] = ""
    head: Annotated[
        str,
        typer.Option(
            "--head",
            help="causal (+ or - at a tag), token_classification, value (a regression), process_reward, value_head, or "
            "likelihood (how likely the base finds the tokens of a step).",
            rich_help_panel=_MODEL,
        ),
    ] = "causal"
    template: Annotated[
        str, typer.Option("--template", help="auto, builtin, plain, chat, math-shepherd, qwen, ...", rich_help_panel=_MODEL)
    ] = "auto"
    tag: Annotated[str, typer.Option("--tag", help="Token that ends a step (auto: one not in use).", rich_help_panel=_MODEL)] = (
        "auto"
    )
    positive: Annotated[str, typer.Option("--positive", help="Token of a good step (causal).", rich_help_panel=_MODEL)] = ""
    negative: Annotated[str, typer.Option("--negative", help="Token of a wrong step (causal).", rich_help_panel=_MODEL)] = ""
    context: Annotated[
        int, typer.Option("--context", min=0, help="Longest row in tokens (0: the base's own).", rich_help_panel=_MODEL)
    ] = 0

    def choice(self) -> ModelChoice:
        from typing import get_args

        from openr_data.prm.config import Head
        from openr_data.prm.train_config import ModelChoice

        if self.head not in get_args(Head):
            raise UsageError(f"--head is one of {', '.join(get_args(Head))}, not '{self.head}'")
        names = ("base", "revision", "head", "template", "tag", "positive", "negative", "context")
        return ModelChoice(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True, slots=True)
class PRMTrainingOptions:
    loss: Annotated[
        str,
        typer.Option(
            "--loss", help="auto, cross_entropy, squared (auto for the value head) or ranking (PQM).", rich_help_panel=_TRAINING
        ),
    ] = "auto"
    ranking_margin: Annotated[
        float, typer.Option("--ranking-margin", help="Between good and wrong steps (ranking).", rich_help_panel=_TRAINING)
    ] = 4.0
    epochs: Annotated[float, typer.Option("--epochs", help="Times each row is seen.", rich_help_panel=_TRAINING)] = 1.0
    max_steps: Annotated[
        int, typer.Option("--steps", min=0, help="Optimiser steps, instead of epochs (0: by epochs).", rich_help_panel=_TRAINING)
    ] = 0
    batch: Annotated[
        int, typer.Option("--batch", min=1, help="Solutions in an optimiser step, over all devices.", rich_help_panel=_TRAINING)
    ] = 64
    rate: Annotated[
        float,
        typer.Option("--rate", help="Learning rate (0: by the size of the model and --lora).", rich_help_panel=_TRAINING),
    ] = 0.0
    schedule: Annotated[str, typer.Option("--schedule", help="Of the learning rate.", rich_help_panel=_TRAINING)] = "cosine"
    warmup: Annotated[float, typer.Option("--warmup", help="Share of the steps.", rich_help_panel=_TRAINING)] = 0.03
    weight_decay: Annotated[float, typer.Option("--weight-decay", help="Of AdamW.", rich_help_panel=_TRAINING)] = 0.01
    clip: Annotated[float, typer.Option("--clip", help="Largest norm of the gradient.", rich_help_panel=_TRAINING)] = 1.0
    positive_weight: Annotated[
        float,
        typer.Option(
            "--positive-weight", help="Weight of good steps (0: so that both classes weigh the same).", rich_help_panel=_TRAINING
        ),
    ] = 1.0
    smoothing: Annotated[float, typer.Option("--smoothing", help="Of labels.", rich_help_panel=_TRAINING)] = 0.0
    lora: Annotated[
        int, typer.Option("--lora", min=0, metavar="RANK", help="Low-rank adapters (0: all weights).", rich_help_panel=_TRAINING)
    ] = 0
    lora_alpha: Annotated[int, typer.Option("--lora-alpha", min=1, help="Their scale.", rich_help_panel=_TRAINING)] = 32
    lora_dropout: Annotated[float, typer.Option("--lora-dropout", help="Their dropout.", rich_help_panel=_TRAINING)] = 0.0
    lora_target: Annotated[
        list[str] | None,
        typer.Option("--lora-target", help="Layers that have them (repeatable; default: all linear).", rich_help_panel=_TRAINING),
    ] = None
    seed: Annotated[int, typer.Option("--seed", help="Of everything that is drawn.", rich_help_panel=_TRAINING)] = 0

    def values(self, head: str) -> dict[str, Any]:
        from openr_data.prm.train_config import Lora

        targets = tuple(self.lora_target or ("all-linear",))
        names = (
            "ranking_margin", "epochs", "max_steps", "batch", "rate", "schedule", "warmup", "weight_decay", "clip",
            "positive_weight", "smoothing", "seed",
        )  # fmt: skip
        return {
            **{name: getattr(self, name) for name in names},
            "loss": self._loss(head),
            "lora": Lora(self.lora, self.lora_alpha, self.lora_dropout, targets),
        }

    def _loss(self, head: str) -> str:
        if self.loss == "auto":
            return "squared" if head == "value" else "cross_entropy"
        if self.loss not in {"cross_entropy", "squared", "ranking"}:
            raise UsageError(f"--loss is auto, cross_entropy, squared or ranking, not '{self.loss}'")
        return self.loss


@dataclass(frozen=True, slots=True)
class PRMMachineOptions:
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.", rich_help_panel=_MACHINE)] = "auto"
    dtype: Annotated[
        str, typer.Option("--dtype", help="auto, float32 or bfloat16 (the head is in float32).", rich_help_panel=_MACHINE)
    ] = "auto"
    batch_tokens: Annotated[
        int, typer.Option("--batch-tokens", min=0, help="Most tokens of a forward pass (0: as suits).", rich_help_panel=_MACHINE)
    ] = 0
    accumulation: Annotated[
        int, typer.Option("--accumulation", min=1, help="Micro-batches of an optimiser step.", rich_help_panel=_MACHINE)
    ] = 1
    packing: Annotated[
        str, typer.Option("--packing", help="Rows without padding: auto, on or off.", rich_help_panel=_MACHINE)
    ] = "auto"
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Compute activations twice, to save memory.", rich_help_panel=_MACHINE)
    ] = False
    threads: Annotated[
        int, typer.Option("--threads", min=0, help="CPU threads (0: PyTorch's choice).", rich_help_panel=_MACHINE)
    ] = 0

    def values(self) -> dict[str, Any]:
        if self.packing not in {"auto", "on", "off"}:
            raise UsageError(f"--packing is auto, on or off, not '{self.packing}'")
        names = ("device", "dtype", "batch_tokens", "accumulation", "packing", "checkpointing")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class PRMWatchingOptions:
    evaluate_every: Annotated[
        int,
        typer.Option("--evaluate-every", min=0, help="Steps between evaluations (0: five in all).", rich_help_panel=_WATCHING),
    ] = 0
    save_every: Annotated[
        int, typer.Option("--save-every", min=0, help="Steps between checkpoints (0: as evaluated).", rich_help_panel=_WATCHING)
    ] = 0
    patience: Annotated[
        int,
        typer.Option(
            "--patience", min=0, help="End after so many evaluations without a better AUROC.", rich_help_panel=_WATCHING
        ),
    ] = 0
    validation_rows: Annotated[
        int, typer.Option("--validation-rows", min=0, help="Most rows of an evaluation (0: all).", rich_help_panel=_WATCHING)
    ] = 4096
    report_to: Annotated[
        list[str] | None,
        typer.Option("--report-to", help="trackio, wandb or tensorboard (repeatable).", rich_help_panel=_WATCHING),
    ] = None

    def values(self) -> dict[str, Any]:
        names = ("evaluate_every", "save_every", "patience")
        return {**{name: getattr(self, name) for name in names}, "report_to": tuple(self.report_to or ())}
