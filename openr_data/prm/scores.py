"""What a process reward model says of the steps of one solution. Knows numbers only."""

from __future__ import annotations

from dataclasses import dataclass

from openr_data.aggregate import sigmoid


@dataclass(frozen=True, slots=True)
class StepScores:
    """`margins[i]` is the calibrated logit difference of step i, log p(+) - log p(-); rank by it, since probabilities near 1 tie.

    Where a solution could not be scored, `margins` is empty and `reason` says why: a missing score is never a bad one.
    `tokens` is the length of what the model read for it, question and marks included; 0 where that is not known.
    """

    margins: tuple[float, ...]
    reason: str = ""
    tokens: int = 0

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Each step's p(+).

        >>> StepScores((0.0, 2.0)).probabilities
        (0.5, 0.8807970779778823)
        """
        return tuple(sigmoid(margin) for margin in self.margins)
