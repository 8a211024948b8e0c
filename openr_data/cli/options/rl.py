"""Reinforcement learning: what is rewarded, how the policy learns from it, and when a run is stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from openr_data.cli.options.shared import option

if TYPE_CHECKING:
    from openr_data.pipelines.rl.scaled.config import Scale
    from openr_data.rl.credit import Credit
    from openr_data.rl.curriculum import Curriculum
    from openr_data.rl.guards import Guards
    from openr_data.rl.learner import LearnConfig
    from openr_data.rl.losses import PolicyLoss
    from openr_data.types import Sampling

_CREDIT, _LEARN, _GUARDS, _CURRICULUM, _SCALE = "Rewards", "Learning", "Guards", "Curriculum", "Scale"


@dataclass(frozen=True, slots=True)
class CreditOptions:
    """Checked by the values that they become."""

    credit: Annotated[
        str,
        option(
            "--credit",
            "outcome (the answer), process (steps from here on), progress (what a step changed), min (the worst) or sum (all).",
            _CREDIT,
        ),
    ] = "outcome"
    process_weight: Annotated[float, option("--process-weight", "Of the steps' part.", _CREDIT)] = 1.0
    outcome_weight: Annotated[float, option("--outcome-weight", "Of the answer's part (0: scores alone).", _CREDIT)] = 1.0
    negative_weight: Annotated[
        float, option("--negative-weight", "Of the answer's part where it is below 0 (0: wrong answers teach nothing).", _CREDIT)
    ] = 1.0
    carry: Annotated[
        bool,
        option("--carry/--no-carry", "Of process and progress: behind a wrong step no score is higher.", _CREDIT),
    ] = True
    step_baseline: Annotated[
        bool,
        option("--step-baseline/--no-step-baseline", "Of process and progress: less the others' mean at the same step.", _CREDIT),
    ] = True
    scale_rewards: Annotated[
        bool, option("--scale-rewards/--no-scale-rewards", "Divide by the deviation of the group.", _CREDIT)
    ] = True
    min_temperature: Annotated[float, option("--min-temperature", "Of the soft minimum.", _CREDIT)] = 0.1

    def value(self) -> Credit:
        from openr_data.rl.credit import Credit

        return Credit(
            self.credit,  # type: ignore[arg-type]  # `Credit` says what is wrong with it
            process_weight=self.process_weight,
            outcome_weight=self.outcome_weight,
            carry=self.carry,
            baseline=self.step_baseline,
            negative_weight=self.negative_weight,
            scale=self.scale_rewards,
            temperature=self.min_temperature,
        )


@dataclass(frozen=True, slots=True)
class CurriculumOptions:
    """Questions that are neither too easy nor too hard."""

    curriculum: Annotated[
        bool, option("--curriculum", "Ask one difficulty at a time, which follows the share of right answers.", _CURRICULUM)
    ] = False
    easiest: Annotated[
        int, option("--easiest", "Of the built-in task: from this difficulty up to --difficulty.", _CURRICULUM, min=0)
    ] = 0
    too_hard: Annotated[float, option("--too-hard", "Below this share of right answers it gets easier.", _CURRICULUM)] = 0.2
    too_easy: Annotated[float, option("--too-easy", "Above it, harder.", _CURRICULUM)] = 0.8

    def value(self) -> Curriculum | None:
        from openr_data.rl.curriculum import Curriculum

        return Curriculum(self.too_hard, self.too_easy) if self.curriculum or self.easiest else None


@dataclass(frozen=True, slots=True)
class LearnOptions:
    """How the policy learns, whatever from."""

    rate: Annotated[float, option("--rate", "Learning rate.", _LEARN)] = 1e-4
    schedule: Annotated[str, option("--schedule", "constant, linear (falls over the last three fifths) or cosine.", _LEARN)] = (
        "linear"
    )
    warmup: Annotated[int, option("--warmup", "Updates until the rate is reached.", _LEARN, min=0)] = 5
    clip_gradient: Annotated[float, option("--clip-gradient", "Norm of the gradient.", _LEARN)] = 1.0
    weight_decay: Annotated[float, option("--weight-decay", "Of the optimizer.", _LEARN, min=0.0)] = 0.0
    optimizer: Annotated[str, option("--optimizer", "adamw, or muon for the matrices.", _LEARN)] = "adamw"
    batch_tokens: Annotated[int, option("--batch-tokens", "Most ids of a forward pass.", _LEARN, min=1)] = 16384

    def value(self, sampling: Sampling, ratio: RatioOptions | None = None) -> LearnConfig:
        from openr_data.rl.learner import LearnConfig

        passes = {} if ratio is None else {"loss": ratio.loss(), "epochs": ratio.epochs, "minibatches": ratio.minibatches}
        return LearnConfig(
            rate=self.rate,
            schedule=self.schedule,
            warmup=self.warmup,
            clip=self.clip_gradient,
            weight_decay=self.weight_decay,
            optimizer=self.optimizer,
            batch_tokens=self.batch_tokens,
            temperature=sampling.temperature,
            length=sampling.max_tokens,
            **passes,  # type: ignore[arg-type]
        )


@dataclass(frozen=True, slots=True)
class RatioOptions:
    """Several passes over the same solutions, and how far the policy may go in them."""

    epochs: Annotated[int, option("--epochs", "Passes over the solutions of an update.", _LEARN, min=1)] = 1
    minibatches: Annotated[int, option("--minibatches", "Parts of a pass, each with a step.", _LEARN, min=1)] = 1
    clip_low: Annotated[float, option("--clip-low", "How far below 1 the ratio may fall.", _LEARN)] = 0.2
    clip_high: Annotated[float, option("--clip-high", "How far above 1 it may rise.", _LEARN)] = 0.2
    ratio: Annotated[str, option("--ratio", "Of each token, step or sequence.", _LEARN)] = "token"
    reduction: Annotated[str, option("--reduction", "dapo, grpo or dr_grpo.", _LEARN)] = "dapo"
    beta: Annotated[float, option("--beta", "Weight of the penalty for leaving the reference model.", _LEARN, min=0.0)] = 0.0

    def loss(self) -> PolicyLoss:
        from openr_data.rl.losses import PolicyLoss

        return PolicyLoss(self.clip_low, self.clip_high, self.ratio, self.reduction, self.beta)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class GuardOptions:
    """0 switches one off."""

    guard_window: Annotated[int, option("--guard-window", "Updates that are compared with the first ones.", _GUARDS, min=1)] = 5
    guard_steps: Annotated[float, option("--guard-steps", "Times as many steps per solution.", _GUARDS, min=0.0)] = 2.0
    guard_tokens: Annotated[float, option("--guard-tokens", "Times as many tokens per step.", _GUARDS, min=0.0)] = 3.0
    guard_repeats: Annotated[float, option("--guard-repeats", "Share of repeated steps.", _GUARDS, min=0.0)] = 0.3
    guard_gap: Annotated[float, option("--guard-gap", "Fall of right answers while step rewards rise.", _GUARDS, min=0.0)] = 0.15
    guard_kl: Annotated[
        float, option("--guard-kl", "Nats per token from the reference model (with --beta).", _GUARDS, min=0.0)
    ] = 0.0

    def value(self) -> Guards:
        from openr_data.rl.guards import Guards

        return Guards(self.guard_window, self.guard_steps, self.guard_tokens, self.guard_repeats, self.guard_gap, self.guard_kl)


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What measures a run, and what nobody may learn from."""

    held_out: Annotated[
        str,
        option(
            "--held-out",
            "Questions that measure the policy: file, Hub name, or builtin. Default: other questions of the built-in task.",
            "Evaluation",
        ),
    ] = ""
    held_out_count: Annotated[int, option("--held-out-count", "At most so many of them.", "Evaluation", min=1)] = 300
    evaluate_every: Annotated[int, option("--evaluate-every", "Updates between measurements.", "Evaluation", min=1)] = 20
    save_every: Annotated[int, option("--save-every", "Updates between checkpoints.", "Evaluation", min=1)] = 10
    against: Annotated[
        list[str] | None,
        option("--against", "Evaluation set whose questions are left out (repeatable).", "Evaluation", metavar="FILE"),
    ] = None
    report_to: Annotated[list[str] | None, option("--report-to", "trackio, wandb or tensorboard (repeatable).", "Evaluation")] = (
        None
    )


@dataclass(frozen=True, slots=True)
class ScaleOptions:
    """Who trains: the reference trainer on one device, or TRL."""

    trainer: Annotated[
        str,
        option("--trainer", "reference (one device), or trl: adapters, bfloat16, more devices by `accelerate launch`.", _SCALE),
    ] = "reference"
    device_batch: Annotated[int, option("--device-batch", "Solutions of a forward pass on each device.", _SCALE, min=1)] = 8
    lora: Annotated[int, option("--lora", "Rank of an adapter on all linear layers (0: all weights).", _SCALE, min=0)] = 0
    lora_alpha: Annotated[int, option("--lora-alpha", "Its scale (0: twice the rank).", _SCALE, min=0)] = 0
    precision: Annotated[str, option("--precision", "fp32 or bf16.", _SCALE)] = "fp32"
    checkpointing: Annotated[bool, option("--checkpointing", "Compute activations again to save memory.", _SCALE)] = False

    def value(self) -> Scale | None:
        from openr_data.errors import UsageError
        from openr_data.pipelines.rl.scaled.config import Scale

        found = Scale(self.device_batch, self.lora, self.lora_alpha, self.precision, self.checkpointing)
        if self.trainer not in {"reference", "trl"}:
            raise UsageError(f"there is no trainer '{self.trainer}'; choose reference or trl")
        if self.trainer == "reference" and found != Scale():
            raise UsageError("--device-batch, --lora, --precision and --checkpointing go with --trainer trl")
        return found if self.trainer == "trl" else None
