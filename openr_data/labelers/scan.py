"""SCAN: prefixes from left to right, up to the first without a hit (arXiv 2509.16548). Knows no tree search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from openr_data.labelers.answers import with_labels
from openr_data.labelers.estimates import Estimator
from openr_data.labelers.math_shepherd import first_failure
from openr_data.labelers.monte_carlo import MonteCarlo
from openr_data.labelers.path import Path
from openr_data.labelers.rooted import hopeless, label_beside_root
from openr_data.types import NO_ERROR, Estimate, LabeledSolution, Labeling, Node, Problem, Solution, StepLabel

METHOD = "scan"
TOLERANCE = 2
"""Steps before the first error whose label is soft: the policy repairs errors mostly within a few steps, so these may be late."""


@dataclass(frozen=True, slots=True)
class Scan:
    """Questions on which the policy is sure of itself, and of them the wrong solutions only.

    `root_rollouts` from the question give its self-confidence SC, the share of right ones; below `confidence_floor` (.75 in the
    paper; 0 keeps all that have a hit) the question is dropped. A prefix is left at its first hit unless `exact`, and the two
    before the error are then drawn up to all `rollouts`: every label is that of `exact`, with fewer rollouts.

    Estimates (`scan`): min(1, MC / SC) for the two steps before the error, 1 for those before them, 0 for the error and nothing
    after it; 1 for every step of a right solution.
    """

    measure: MonteCarlo
    rollouts: int = 8
    root_rollouts: int = 32
    confidence_floor: float = 0.0
    exact: bool = False
    passing: bool = False

    async def __call__(self, problem: Problem, solutions: Sequence[Solution], /) -> Labeling:
        labeling = await label_beside_root(
            problem,
            solutions,
            self.measure,
            self._search,
            method=METHOD,
            root_rollouts=self.root_rollouts or self.rollouts,
            skip=self._skip,
            passing=self.passing and not self.exact,
        )
        return replace(labeling, solutions=tuple(_right_throughout(each) for each in labeling.solutions))

    def _skip(self, root: Node) -> str:
        sure = root.label is not None and root.label.value >= self.confidence_floor
        return hopeless(root) or ("" if sure else "low_confidence")

    async def _search(self, path: Path, solution: Solution, root: Node) -> LabeledSolution:
        depth = 1
        while depth < len(path.steps) and _hit(await path.probe(depth, self.rollouts, exact=self.exact)):
            depth += 1
        error = first_failure(path.labels(self.rollouts)[: depth + 1])
        estimator: Estimator = "mean" if self.exact else "stopped"
        if error is None:
            why = f"unknown_rollouts:{path.why_undecided(depth)}"
            return with_labels(solution, path.labels(self.rollouts), None, why, method=METHOD, estimator=estimator)
        soft = range(max(1, error - TOLERANCE + 1), error + 1)
        for each in soft:
            await path.draw(each, self.rollouts - path.drawn[each])
        labelled = with_labels(solution, path.labels(self.rollouts), error, "scan", method=METHOD)
        return replace(labelled, estimates=_estimates(path, error, soft, root.label))


def _hit(label: StepLabel | None) -> bool:
    return label is not None and label.hits > 0


def _estimates(path: Path, error: int, soft: range, root: StepLabel | None) -> tuple[Estimate | None, ...]:
    values: list[float | None] = [1.0] * error + [0.0] + [None] * (len(path.steps) - error - 1)
    for depth in soft:
        own = path.own_label(depth)
        values[depth - 1] = relative_confidence(own, root) if own else None
    return tuple(None if value is None else Estimate(value, METHOD) for value in values)


def relative_confidence(label: StepLabel, root: StepLabel | None) -> float:
    """min(1, MC / SC): a prefix from which the policy does as well as from the question is right.

    >>> relative_confidence(StepLabel(3, 8), StepLabel(24, 32)), relative_confidence(StepLabel(8, 8), StepLabel(24, 32))
    (0.5, 1.0)
    """
    return min(1.0, label.value / root.value) if root and root.hits else label.value


def _right_throughout(labelled: LabeledSolution) -> LabeledSolution:
    if labelled.first_error != NO_ERROR:
        return labelled
    return replace(labelled, estimates=(Estimate(1.0, METHOD),) * len(labelled.labels))
