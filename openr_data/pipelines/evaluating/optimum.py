"""The compute-optimal choice: by how hard a question is, the way to answer it, found on other questions (arXiv 2408.03314)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from openr_data.pipelines.evaluating.measured import INDEPENDENT, Floats, Measured, Outcome, Way
from openr_data.pipelines.evaluating.points import Point
from openr_data.prm.intervals import interval, share
from openr_data.search.optimal import Choice, compute_optimal

ORACLE, PREDICTED = "oracle", "predicted"
BINS = 5
LEAST = 4 * BINS
"""Questions below which a bin of a fold has hardly one."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """One budget: the accuracy of the choices on the questions that they were not made on. `choices` as `compute_optimal` has."""

    difficulty: str
    budget: int
    point: Point
    choices: tuple[Choice, ...]


def optima(measured: Measured, selectors: tuple[str, ...], weights: Floats, seed: int) -> list[Optimum]:
    """At the mean tokens of each number of independent samples. Empty where there is nothing to choose between.

    `oracle` knows each question's pass@1, and does not pay for it: independent samples are then those that did not tell it.
    `predicted` has the mean score of its first samples and pays.
    """
    ways = {way: outcome for way, outcome in measured.ways.items() if way.selector in selectors}
    if len({way.strategy for way in ways}) < 2 or len(measured.problems) < LEAST or not len(measured.difficulty):
        return []
    apart = {way: outcome for way, outcome in measured.apart.items() if way.selector in selectors}
    blind = apart | {way: outcome for way, outcome in ways.items() if way.strategy != INDEPENDENT}
    found = [_optimum(blind, ORACLE, measured.difficulty, None, budget, weights, seed) for budget in _budgets(blind)]
    if not np.isnan(measured.predicted).all():
        known = np.where(np.isnan(measured.predicted), np.nanmean(measured.predicted), measured.predicted)
        left = [(n, tokens - float(measured.probe.mean())) for n, tokens in _budgets(ways)]
        found += [_optimum(ways, PREDICTED, known, measured.probe, budget, weights, seed) for budget in left if budget[1] > 0]
    return found


def _budgets(ways: Mapping[Way, Outcome]) -> list[tuple[int, float]]:
    """Numbers n and the mean tokens of n independent samples."""
    found = {way.n: float(outcome.tokens.mean()) for way, outcome in ways.items() if way.strategy == INDEPENDENT}
    return sorted(found.items())


def _optimum(
    ways: Mapping[Way, Outcome],
    kind: str,
    difficulty: Floats,
    probe: Floats | None,
    budget: tuple[int, float],
    weights: Floats,
    seed: int,
) -> Optimum:
    names = {f"{way.strategy}-{way.n} {way.selector}": outcome for way, outcome in ways.items()}
    best = compute_optimal(
        {name: each.right for name, each in names.items()},
        {name: each.tokens for name, each in names.items()},
        difficulty,
        bins=BINS,
        budget=budget[1],
        probe=probe,
        seed=seed,
    )
    way = Way(f"compute-optimal ({kind})", budget[0], "chosen")
    point = Point(way, interval(share(best.right), weights), interval(share(best.tokens), weights), None)
    return Optimum(kind, budget[0], point, best.choices)
