"""From the labels of one solution to what a model should say of each of its steps: the readings, as pure functions.

Hard targets are `LabeledSolution.hard_labels`: 1 before the first error and 0 from it on, or the labels as they were published,
which need not be monotone. A threshold above 0 reads the probabilities again instead, each prefix a test of its own.

Soft targets are probabilities. Which estimators are some is said here once: shares, posteriors and published values in 0 .. 1;
a person's rating -1, 0, 1 becomes 0, .5, 1; a ratio (`progress`) or a difference (`advantage`) is none, and the counts beside it
are read. A step that was not measured takes the hard label where that is proven: good before the first error, wrong at it
(OmegaPRM's search skips steps that a later hit proves); behind it nothing is known, and it carries no loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from openr_data.prm.config import LabelReading
from openr_data.types import NO_ERROR, Estimate, LabeledSolution, StepLabel

Targets = tuple[float | None, ...]

PROBABILITIES = frozenset({"mean", "stopped", "verdict", "posterior", "scan", "entropy", "label", "value"})
"""Estimators whose values are probabilities, or are trained on as such by their authors (SCAN, ER-PRM)."""
RELATIVE = frozenset({"progress", "advantage"})
"""Estimators that compare a step with the one before it: GenPRM's ratio, PAV's difference."""
RATING = "rating"


class NoTargets(Exception):
    """Why a solution is no training row. `reason` is a short code to count by."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def targets(labelled: LabeledSolution, reading: LabelReading) -> Targets:
    """One target per step in 0 .. 1, or `None` where the step carries no loss; at least one is not `None`.

    With `after_error="mask"` the first wrong step keeps its loss and later ones have none. Raises `NoTargets` for a solution that
    is undecided, has no steps, or whose labels leave nothing to learn.
    """
    if not labelled.solution.steps:
        raise NoTargets("no_steps", "it has no steps")
    hard = labelled.hard_labels
    if all(label is None for label in hard):
        raise NoTargets("undecided", f"its first error is not decided ({labelled.reason})")
    if reading.kind == "soft":
        found = _soft(labelled)
    else:
        hard = _above(labelled, reading.threshold) if reading.threshold else hard
        found = tuple(None if label is None else float(label) for label in hard)
    if reading.after_error == "mask":
        found = _masked(found, hard)
    if all(target is None for target in found):
        raise NoTargets("no_label", "none of its steps has a label that can be trained on")
    return found


def probabilities(labelled: LabeledSolution) -> Targets:
    """What was measured or published of each step as a probability; `None` where that is not known.

    Raises `NoTargets` where such a value lies outside 0 .. 1.
    """
    estimates = labelled.estimates or (None,) * len(labelled.labels)
    # Where a method has made readings, a count that it left unread may be biased (drawing stopped at the first hit).
    counted = not any(estimates) or any(each and each.estimator in RELATIVE for each in estimates)
    found = tuple(_probability(*pair, counted=counted) for pair in zip(labelled.labels, estimates, strict=True))
    for number, value in enumerate(found, 1):
        if value is not None and not (isfinite(value) and 0 <= value <= 1):
            raise NoTargets("out_of_range", f"the value of its step {number} is {value}, which is no probability")
    return found


def _probability(label: StepLabel | None, estimate: Estimate | None, *, counted: bool) -> float | None:
    if estimate and estimate.estimator in PROBABILITIES:
        return estimate.value
    if estimate and estimate.estimator == RATING:
        return (estimate.value + 1) / 2
    return label.value if label and counted else None


def _soft(labelled: LabeledSolution) -> Targets:
    proven = labelled.hard or _proven(labelled.first_error, len(labelled.labels))
    filled = (None if label is None else float(label) for label in proven)
    return tuple(fallback if value is None else value for value, fallback in zip(probabilities(labelled), filled, strict=True))


def _proven(first_error: int | None, steps: int) -> tuple[bool | None, ...]:
    """Good before the first error, wrong at it, `None` after it."""
    if first_error is None:
        return (None,) * steps
    good = steps if first_error == NO_ERROR else first_error
    return tuple(True if step < good else False if step == good else None for step in range(steps))


def _above(labelled: LabeledSolution, threshold: float) -> tuple[bool | None, ...]:
    """Is the probability above the threshold? Ratings and hard labels stay as they are.

    A step that was not measured is good if a later one is above, and open otherwise.
    """
    rated = any(each and each.estimator == RATING for each in labelled.estimates)
    values = probabilities(labelled)
    if rated or all(value is None for value in values):
        return labelled.hard_labels
    last = max((step for step, value in enumerate(values) if value is not None and value > threshold), default=-1)
    return tuple((True if step < last else None) if value is None else value > threshold for step, value in enumerate(values))


def _masked(found: Targets, hard: Sequence[bool | None]) -> Targets:
    wrong = next((step for step, label in enumerate(hard) if label is False), len(hard))
    return tuple(target if step <= wrong else None for step, target in enumerate(found))
