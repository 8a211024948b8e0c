"""Readings of stored counts: hard and soft labels, thresholds, first errors. Labels keep counts; a verdict is made only here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from openr_data.types import NO_ERROR, LabeledSolution, StepLabel

Rule = Literal["first_failure", "last_success"]
"""Where evidence that is not monotone puts the error: at the first prefix that failed (Math-Shepherd), or after the last one
that succeeded, since one success proves every shorter prefix (OmegaPRM's binary search). Monotone counts read the same."""

HALF = 0.5
"""OpenR labels a step right iff MC > 0.5, not iff MC > 0 as the paper does: the threshold that emulates its data."""


def soft_labels(labels: Sequence[StepLabel | None]) -> tuple[float | None, ...]:
    """The share of right rollouts of each step's prefix (SE, arXiv 2312.08935 Eq. 4; MC, 2406.06592 Eq. 1); `None`: not measured.

    >>> soft_labels([StepLabel(3, 4), None, StepLabel(0, 1)])
    (0.75, None, 0.0)
    """
    return tuple(label.value if label else None for label in labels)


def hard_labels(labels: Sequence[StepLabel | None], threshold: float = 0.0) -> tuple[bool | None, ...]:
    """Is the share above the threshold? 0 is the papers' hard label (HE, 2312.08935 Eq. 3: any hit), `HALF` is OpenR's.

    >>> labels = [StepLabel(3, 4), None, StepLabel(1, 4), StepLabel(0, 1)]
    >>> hard_labels(labels), hard_labels(labels, HALF)
    ((True, None, True, False), (True, None, False, False))
    """
    return tuple(label.value > threshold if label else None for label in labels)


def first_error(labels: Sequence[StepLabel | None], threshold: float = 0.0, rule: Rule = "last_success") -> int | None:
    """The 0-based first wrong step by the counts alone, `NO_ERROR`, or `None` where the counts leave it open.

    A step that was not measured is good if a later one is above the threshold; a gap right before the failure leaves it open.

    >>> skipped = [None, StepLabel(1, 8), StepLabel(0, 8), None, StepLabel(0, 1)]
    >>> first_error(skipped), first_error([None, StepLabel(0, 8)]), first_error([None, StepLabel(1, 1)])
    (2, None, -1)
    """
    hard = hard_labels(labels, threshold)
    start = max((i + 1 for i, good in enumerate(hard) if good), default=0) if rule == "last_success" else 0
    failed = next((i for i in range(start, len(hard)) if hard[i] is False), None)
    if failed is None:
        return NO_ERROR if hard and hard[-1] else None
    return failed if failed == 0 or hard[failed - 1] else None


def process_labels(labelled: LabeledSolution) -> tuple[bool | None, ...]:
    """One training label per step from the first error: good before it, wrong at it, `None` after it (nothing is known there).

    Steps that a search skipped before the error are good: a later prefix still had a hit. All `None` if undecided.
    """
    length, error = len(labelled.labels), labelled.first_error
    if error is None:
        return (None,) * length
    good = length if error == NO_ERROR else error
    return tuple(True if i < good else False if i == good else None for i in range(length))
