"""One row of training data: a solution and what each of its steps should be called. Knows no tokens."""

from __future__ import annotations

from dataclasses import dataclass

from openr_data.types import Steps


@dataclass(frozen=True, slots=True)
class Example:
    """`targets[i]` is what the model should say of step i, in 0 .. 1; `None` carries no loss. `id` names the row in messages and
    `source` the data set; `weight` multiplies its loss.
    """

    id: str
    question: str
    steps: Steps
    targets: tuple[float | None, ...]
    source: str = ""
    weight: float = 1.0

    def __post_init__(self) -> None:
        if len(self.targets) != len(self.steps):
            raise ValueError(f"row {self.id} has {len(self.steps)} steps and {len(self.targets)} targets")
