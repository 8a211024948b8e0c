"""Intervals by resampling whole problems, since solutions and steps of one problem are alike. Knows numbers only.

A statistic is a function of how often each problem was drawn: [draws, problems] -> [draws]. Two statistics under the same draws
are paired, so their difference is a statistic as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from openr_data.prm.metrics import Bools, Floats, Ints

Statistic = Callable[[Floats], Floats]

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its percentile interval; `None` bounds where there are fewer than two problems to draw from."""

    value: float
    low: float | None = None
    high: float | None = None


def resampled(problems: int, draws: int = DRAWS, seed: int = 0) -> Floats:
    """How often each problem is drawn, with replacement, `problems` at a time: [draws, problems]."""
    chosen = np.random.default_rng(seed).integers(0, max(1, problems), size=(draws, problems))
    counts = np.zeros((draws, problems))
    np.add.at(counts, (np.arange(draws)[:, None], chosen), 1.0)
    return counts


def interval(statistic: Statistic, weights: Floats, level: float = LEVEL) -> Interval:
    """The statistic of the data as they are, and the percentile bootstrap interval (Efron 1979) over `weights` of `resampled`.

    Draws in which it is not defined (one class only) are left out. Raises `ValueError` where it is not defined of the data.
    """
    value = float(statistic(np.ones((1, weights.shape[1])))[0])
    if np.isnan(value):
        raise ValueError("the statistic is not defined of these data")
    if weights.shape[1] < 2:
        return Interval(value)
    drawn = statistic(weights)
    low, high = np.quantile(drawn[~np.isnan(drawn)], [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def difference(first: Statistic, second: Statistic) -> Statistic:
    return lambda weights: first(weights) - second(weights)


def share(parts: Floats, wholes: Floats | None = None) -> Statistic:
    """The sum of `parts` over the sum of `wholes` (by default 1 of each problem: the mean), both per problem."""
    known = np.ones_like(parts) if wholes is None else wholes

    def of(weights: Floats) -> Floats:
        part, whole = weights @ parts, weights @ known
        return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)

    return of


def auroc(scores: Floats, good: Bools, problems: Ints) -> Statistic:
    """The area under the ROC curve of steps, each of which counts as often as its problem was drawn; ties count half."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) != 0]) if len(scores) else order
    right, owner = good[order], problems[order]

    def of(weights: Floats) -> Floats:
        return np.array([_area(row[owner], right, starts) for row in weights])

    return of


def _area(weights: Floats, right: Bools, starts: Ints) -> float:
    if not len(weights):
        return float("nan")
    above = np.add.reduceat(weights * right, starts)
    below = np.add.reduceat(weights * ~right, starts)
    pairs = above.sum() * below.sum()
    return float((above * (np.cumsum(below) - below / 2)).sum() / pairs) if pairs else float("nan")
