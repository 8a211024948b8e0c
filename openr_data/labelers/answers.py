"""What follows from a solution's answer alone, without a rollout. Knows no engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from openr_data.labelers.estimates import Estimator, estimated
from openr_data.types import NO_ERROR, Cost, LabeledSolution, Solution, StepLabel

NOTHING = Cost()


def from_answer(
    solution: Solution, method: str, path: Sequence[StepLabel | None] = (), estimator: Estimator = "mean"
) -> LabeledSolution | None:
    """The label of a solution that needs no search, or `None` for a wrong solution with steps.

    A right answer proves its own prefixes, so it has no error; an unknown verdict stays undecided, and so does a solution
    without a step to blame. `path` is what happens to be known of its prefixes (see `with_labels`).
    """
    if solution.verdict.outcome == "right":
        return with_labels(solution, path, NO_ERROR, "right_answer", method=method, estimator=estimator)
    if solution.verdict.outcome == "unknown":
        return with_labels(solution, path, None, f"unknown_answer:{solution.verdict.reason}", method=method, estimator=estimator)
    if not solution.steps:
        return with_labels(solution, path, None, "no_steps", method=method, estimator=estimator)
    return None


def with_labels(
    solution: Solution,
    path: Sequence[StepLabel | None],
    first_error: int | None,
    reason: str,
    *,
    method: str,
    cost: Cost = NOTHING,
    estimator: Estimator = "mean",
    notes: Mapping[str, str] = MappingProxyType({}),
) -> LabeledSolution:
    """A labelled solution from the counts of its proper prefixes; `path[t]` belongs to the first t steps, the rest is unknown.

    The whole solution is a prefix too, and needs no rollouts: its count is its own verdict, 1/1 or 0/1. `estimator` says how the
    rollouts were drawn, and so how the counts are to be read.
    """
    length = len(solution.steps)
    known = list(path[1:length])
    labels = [*known, *[None] * (length - len(known))]
    estimates = [estimated(label, estimator) for label in labels]
    if labels and solution.verdict.outcome != "unknown":
        labels[-1] = StepLabel(int(solution.verdict.outcome == "right"), 1)
        estimates[-1] = estimated(labels[-1], "verdict")
    kept = tuple(estimates) if any(estimates) else ()
    return LabeledSolution(solution, tuple(labels), first_error, method, cost, reason, estimates=kept, notes=dict(notes))
