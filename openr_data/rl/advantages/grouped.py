"""Advantages of whole solutions against the others of their group: GRPO (arXiv 2402.03300, 4.1.2) and RLOO (2402.14740)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

EPSILON = 1e-4
"""Added to the standard deviation, as in TRL: rewards that are all equal have advantages of 0, up to rounding."""


def grpo(rewards: Sequence[float | None], *, scale: bool = True) -> list[float]:
    """(R - mean) / (std + EPSILON) over the group; without `scale`, R - mean (Dr. GRPO, arXiv 2503.20783).

    `std` is that of a sample (divided by n - 1), as in TRL. One entry per solution: 0 for a reward that is not known.

    >>> grpo([1.0, 0.0, None, 0.0, 1.0], scale=False)
    [0.5, -0.5, 0.0, -0.5, 0.5]
    """
    known = [each for each in rewards if each is not None]
    centre, width = standard(known, scale=scale)
    return [0.0 if each is None else (each - centre) / width for each in rewards]


def rloo(rewards: Sequence[float | None]) -> list[float]:
    """R minus the mean reward of the others of the group; 0 where there are no others.

    >>> rloo([1.0, 0.0, 0.5])
    [0.75, -0.75, 0.0]
    """
    known = [each for each in rewards if each is not None]
    if len(known) < 2:
        return [0.0] * len(rewards)
    total, others = sum(known), len(known) - 1
    return [0.0 if each is None else each - (total - each) / others for each in rewards]


def standard(values: Sequence[float], *, scale: bool = True) -> tuple[float, float]:
    """Mean, and what to divide by: the standard deviation plus EPSILON, or 1. Of fewer than two values that is EPSILON alone.

    >>> standard([1.0, 3.0], scale=False)
    (2.0, 1.0)
    """
    centre = fmean(values) if values else 0.0
    if not scale:
        return centre, 1.0
    return centre, (stdev(values) if len(values) > 1 else 0.0) + EPSILON
