"""MiPS: the share of right continuations of every prefix, as a soft label (arXiv 2402.02658). Knows no tree search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openr_data.labelers.math_shepherd import EveryPrefix, label_every_prefix
from openr_data.labelers.monte_carlo import MonteCarlo
from openr_data.types import Labeling, Problem, Solution


@dataclass(frozen=True, slots=True)
class Mips:
    """Counts on every prefix of right and wrong solutions alike: the label is `StepLabel.value`, a proportion.

    It is Math-Shepherd's measurement with the soft reading; the paper's own part is how step scores become a solution's score
    (`aggregate`). `first_error` is the first prefix of a wrong solution without a hit, as in Math-Shepherd. Without `exact` only
    that hard reading is left: right solutions cost nothing, and a prefix is left at its first hit.
    """

    measure: MonteCarlo
    rollouts: int = 8
    exact: bool = True
    passing: bool = False

    async def __call__(self, problem: Problem, solutions: Sequence[Solution], /) -> Labeling:
        every = EveryPrefix(self.rollouts, self.exact, self.exact, self.passing)
        return await label_every_prefix(problem, solutions, self.measure, every, method="mips")
