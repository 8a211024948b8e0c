"""How TRL trains: how much at a time, with which adapter, in which number format."""

from __future__ import annotations

from dataclasses import dataclass

from openr_data.errors import UsageError

PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True, slots=True)
class Scale:
    """`device_batch` solutions go through each device at a time; gradients are accumulated up to the update. `lora` is the rank
    of an adapter on all linear layers (0: all weights are trained), `alpha` its scale (0: twice the rank).

    `precision` bf16: the model computes in bfloat16, and what is trained is kept in float32. `checkpointing` computes activations
    again instead of keeping them. Raises `UsageError`.
    """

    device_batch: int = 8
    lora: int = 0
    alpha: int = 0
    precision: str = "fp32"
    checkpointing: bool = False

    def __post_init__(self) -> None:
        if self.device_batch < 1 or min(self.lora, self.alpha) < 0:
            raise UsageError("--device-batch is at least 1, and --lora and --lora-alpha are not below 0")
        if self.precision not in PRECISIONS:
            raise UsageError(f"there is no precision '{self.precision}'; choose one of: {', '.join(PRECISIONS)}")

    @property
    def in_bf16(self) -> bool:
        """Whether the model computes in bfloat16."""
        return self.precision == "bf16"

    def passes(self, questions: int, group: int, minibatches: int, processes: int) -> int:
        """How many forward passes each of `processes` makes of an update of `questions` with `group` solutions each, cut into
        `minibatches`. Raises `UsageError` for numbers that do not come out even.
        """
        if questions % processes:
            raise UsageError(f"{processes} processes cannot share {questions} --questions: ask a multiple of {processes}")
        solutions = questions // processes * group
        if solutions % self.device_batch:
            raise UsageError(
                f"{solutions} solutions of an update on each device are no multiple of --device-batch {self.device_batch}"
            )
        passes = solutions // self.device_batch
        if passes % minibatches:
            raise UsageError(
                f"{passes} forward passes of an update cannot be cut into {minibatches} --minibatches: "
                "choose another --device-batch"
            )
        return passes
