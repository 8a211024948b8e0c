"""From counts to a value: which estimator is honest depends on when the drawing stopped. Knows only counts."""

from __future__ import annotations

from typing import Literal

from openr_data.types import Estimate, StepLabel

Estimator = Literal["mean", "stopped", "verdict"]


def estimated(label: StepLabel | None, estimator: Estimator) -> Estimate | None:
    """The value of a count under the estimator that fits how it was drawn; `None` without a count.

    >>> estimated(StepLabel(3, 8), "mean").value, estimated(StepLabel(1, 3), "stopped").value
    (0.375, 0.375)
    """
    if label is None:
        return None
    return Estimate(beta_mean(label) if estimator == "stopped" else label.value, estimator)


def beta_mean(label: StepLabel) -> float:
    """The mean of the Beta posterior under Jeffreys' prior, (hits + 1/2) / (rollouts + 1).

    A posterior does not depend on the stopping rule, as hits / rollouts does: where drawing ends at the first hit, that share
    is 1 for every prefix whose first rollout was right. It shrinks towards 1/2 and is not unbiased either.
    """
    return (label.hits + 0.5) / (label.rollouts + 1)
