"""Points and differences with intervals. Questions are drawn anew for all ways to answer alike: every difference is paired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from openr_data.pipelines.evaluating.measured import INDEPENDENT, MAJORITY, PASS, Floats, Measured, Outcome, Way
from openr_data.pipelines.levels import natural
from openr_data.prm.intervals import Interval, Statistic, difference, interval, share


@dataclass(frozen=True, slots=True)
class Point:
    """Accuracy and mean generated tokens per question of one way to answer. `lift` is the paired difference to the majority of as
    many independent samples, where there are as many.
    """

    way: Way
    accuracy: Interval
    tokens: Interval
    lift: Interval | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A way to answer against independent samples with the same selector at equal tokens: the paired difference, with the curve
    of the independent samples interpolated in log2 tokens inside every draw.
    """

    way: Way
    against: str
    tokens: float
    difference: Interval


def points(measured: Measured, weights: Floats, *, only: Floats | None = None) -> list[Point]:
    """`weights`: [draws, questions]; `only`: 1 for the questions that count (default: all)."""
    return [_point(measured, way, outcome, weights, only) for way, outcome in measured.ways.items()]


def _point(measured: Measured, way: Way, outcome: Outcome, weights: Floats, only: Floats | None) -> Point:
    majority = measured.ways.get(Way(INDEPENDENT, way.n, MAJORITY))
    mine = _mean(outcome.right, only)
    lift = None if majority is None else _interval(difference(mine, _mean(majority.right, only)), weights, only)
    return Point(way, _interval(mine, weights, only), _interval(_mean(outcome.tokens, only), weights, only), lift)


def _interval(statistic: Statistic, weights: Floats, only: Floats | None) -> Interval:
    """Without bounds where a single question counts: nothing can be drawn anew."""
    found = interval(statistic, weights)
    return found if only is None or only.sum() > 1 else Interval(found.value)


def _mean(values: Floats, only: Floats | None) -> Statistic:
    return share(values) if only is None else share(values * only, only)


def comparisons(measured: Measured, weights: Floats) -> list[Comparison]:
    """Every guided point whose tokens lie within the curve of independent samples."""
    return [
        found
        for way, outcome in measured.ways.items()
        if way.strategy != INDEPENDENT and way.selector != PASS and (found := compare(measured, way, outcome, weights))
    ]


def compare(measured: Measured, way: Way, outcome: Outcome, weights: Floats) -> Comparison | None:
    """`None` where there is no such curve, or where the tokens of the data as they are lie outside it."""
    curve = {
        each.n: found for each, found in measured.ways.items() if each.strategy == INDEPENDENT and each.selector == way.selector
    }
    sizes = sorted(curve)
    if not sizes:
        return None
    low, high = (float(curve[n].tokens.mean()) for n in (sizes[0], sizes[-1]))
    tokens = float(outcome.tokens.mean())
    if not low <= tokens <= high:
        return None
    statistic = difference(share(outcome.right), _interpolated([curve[n] for n in sizes], outcome.tokens))
    return Comparison(way, way.selector, tokens, interval(statistic, weights))


def _interpolated(curve: Sequence[Outcome], tokens: Floats) -> Statistic:
    """The curve's accuracy at the mean of `tokens`, in log2 tokens; at its ends where a draw goes beyond them."""

    def of(weights: Floats) -> Floats:
        where = np.log2(share(tokens)(weights))
        spent = np.stack([np.log2(share(each.tokens)(weights)) for each in curve], axis=1)
        right = np.stack([share(each.right)(weights) for each in curve], axis=1)
        return np.array([np.interp(x, xs, ys) for x, xs, ys in zip(where, spent, right, strict=True)])

    return of


def groups(measured: Measured) -> Mapping[str, Mapping[str, Floats]]:
    """Masks of the questions by level and by subject, where the source tells more than one."""
    levels = [problem.difficulty for problem in measured.problems]
    subjects = [problem.metadata.get("subject") or problem.metadata.get("type", "") for problem in measured.problems]
    found = {"level": _masks(levels), "subject": _masks(subjects)}
    return {name: masks for name, masks in found.items() if len(masks) > 1}


def _masks(names: Sequence[str]) -> dict[str, Floats]:
    column = np.array(names)
    return {name: (column == name).astype(np.float64) for name in sorted(set(names), key=natural)}
