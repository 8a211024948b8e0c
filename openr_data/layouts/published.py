"""A published solution as a record: labels and values per step as they came, and what they say of the first error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from openr_data.types import NO_ERROR, Cost, Estimate, LabeledSolution, Solution, Verdict, hard_labels

NOT_GRADED = Verdict("unknown", "not_graded")
PUBLISHED = "published"
RIGHT, WRONG = Verdict("right", PUBLISHED), Verdict("wrong", PUBLISHED)
"""What was published of the final answer."""


def published(
    layout: str,
    steps: Sequence[str],
    *,
    hard: Sequence[bool | None],
    values: Sequence[float | None] = (),
    estimator: str = "",
    id: str = "",  # noqa: A002 - the field's name
    verdict: Verdict = NOT_GRADED,
    sampler: str = "",
    notes: Mapping[str, str] | None = None,
) -> LabeledSolution:
    """One solution. `hard` are its labels as they are read, `values` what was published of each step, in terms of `estimator`."""
    first, labels = first_error(hard), tuple(hard)
    return LabeledSolution(
        solution=Solution(id, "", tuple(steps), verdict, sampler=sampler),
        labels=(None,) * len(steps),
        first_error=first,
        method=layout,
        cost=Cost(),
        reason=PUBLISHED,
        estimates=tuple(None if value is None else Estimate(value, estimator) for value in values),
        notes=notes or {},
        hard=() if labels == hard_labels(first, len(labels)) else labels,
    )


def first_error(hard: Sequence[bool | None]) -> int | None:
    """The first step labelled wrong (steps without a label are passed over); without one, `NO_ERROR` where the last is right.

    `None` otherwise: nothing is known of how the solution ends.

    >>> first_error([True, None, False, True]), first_error([None, True]), first_error([True, None])
    (2, -1, None)
    """
    wrong = next((index for index, label in enumerate(hard) if label is False), None)
    if wrong is not None:
        return wrong
    return NO_ERROR if hard and hard[-1] else None


def above(value: float | None, threshold: float | None, default: float) -> bool | None:
    """A soft value as a hard label: at least the threshold; above 0 where that is 0.

    >>> above(0.0, None, 0.0), above(0.1, None, 0.0), above(0.5, 0.5, 0.0)
    (False, True, True)
    """
    if value is None:
        return None
    bound = default if threshold is None else threshold
    return value >= bound if bound else value > 0
