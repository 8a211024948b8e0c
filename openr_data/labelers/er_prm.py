"""ER-PRM: entropy-regularised values of every prefix (arXiv 2412.11006). Knows no tree search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from openr_data.labelers.math_shepherd import EveryPrefix, label_every_prefix
from openr_data.labelers.monte_carlo import MonteCarlo
from openr_data.labelers.readings import entropy_values
from openr_data.types import Estimate, LabeledSolution, Labeling, Problem, Solution

METHOD = "er-prm"


@dataclass(frozen=True, slots=True)
class ErPrm:
    """Counts on every prefix of right and wrong solutions, read as (1 / eta) ln mean_j exp(eta r_j): estimates `entropy`.

    Always a fixed number of rollouts (16 in the paper): the value is a reading of shares. `first_error` is the first prefix of a
    wrong solution without a hit, as in Math-Shepherd; the paper gives values only.
    """

    measure: MonteCarlo
    rollouts: int = 8
    eta: float = 1.0

    async def __call__(self, problem: Problem, solutions: Sequence[Solution], /) -> Labeling:
        every = EveryPrefix(self.rollouts, right_too=True, exact=True, passing=False)
        labeling = await label_every_prefix(problem, solutions, self.measure, every, method=METHOD)
        return replace(labeling, solutions=tuple(self._read(each) for each in labeling.solutions))

    def _read(self, labelled: LabeledSolution) -> LabeledSolution:
        values = entropy_values(labelled.labels, self.eta)
        estimates = tuple(None if value is None else Estimate(value, "entropy") for value in values)
        return replace(labelled, estimates=estimates if any(estimates) else ())
