"""OmegaPRM's binary search for the first error of a wrong solution (arXiv 2406.06592). Knows one path, no tree."""

from __future__ import annotations

from collections.abc import Sequence

from openr_data.labelers.answers import with_labels
from openr_data.labelers.estimates import Estimator
from openr_data.labelers.path import Path
from openr_data.types import Cost, LabeledSolution, Solution, StepLabel

METHOD = "omegaprm"


def bounds(labels: Sequence[StepLabel | None]) -> tuple[int, int]:
    """The longest prefix known good and the shortest longer one known bad, in steps; `labels[t]` belongs to the first t steps.

    One hit proves a prefix and, by logic, every shorter one (its counts stay its own). The empty prefix is taken as good and
    the whole solution, `len(labels)` steps, as bad: neither is ever probed.

    >>> bounds([None, None, StepLabel(1, 8), None, StepLabel(0, 8), None])
    (2, 4)
    """
    good = max((t for t, label in enumerate(labels) if label and label.hits), default=0)
    bad = next((t for t in range(good + 1, len(labels)) if (label := labels[t]) and not label.hits), len(labels))
    return good, bad


def midpoint(labels: Sequence[StepLabel | None]) -> int | None:
    """The prefix to measure next, or `None` when the first error is found.

    >>> midpoint([None] * 8), midpoint([None] * 4 + [StepLabel(1, 4)] + [None] * 3), midpoint([StepLabel(1, 4)])
    (4, 6, None)
    """
    good, bad = bounds(labels)
    return (good + bad) // 2 if bad - good > 1 else None


async def search(path: Path, k: int, *, exact: bool = False) -> None:
    """Probe midpoints until the first error is found, a prefix cannot be decided, or the tree's limit is spent."""
    while (middle := midpoint(path.labels(k))) is not None:
        if await path.probe(middle, k, exact=exact) is None or not path.decided(middle, k):
            return


def found(path: Path, solution: Solution, k: int, cost: Cost, *, exact: bool = False) -> LabeledSolution:
    """What the path now says of its solution. Steps that were skipped keep no label; those before the error are good."""
    labels = path.labels(k)
    estimator: Estimator = "mean" if exact else "stopped"
    middle = midpoint(labels)
    if middle is None:
        error, reason = bounds(labels)[1] - 1, "binary_search"
        return with_labels(solution, labels, error, reason, method=METHOD, cost=cost, estimator=estimator)
    asked = path.counts(middle).total >= k
    reason = f"unknown_rollouts:{path.why_undecided(middle)}" if asked else "rollout_limit"
    return with_labels(solution, labels, None, reason, method=METHOD, cost=cost, estimator=estimator)
