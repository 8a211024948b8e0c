"""Best of n: does choosing by the model beat the majority? Over the candidates of a run, the same for every way to choose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from openr_data.aggregate import AGGREGATES
from openr_data.errors import InputError
from openr_data.order_statistics import Subsets, best_of, majority, pass_at, powers_of_two, weighted_vote
from openr_data.pipelines.prm.evaluation.candidates import Pool, Pools
from openr_data.pipelines.prm.evaluation.config import EvaluationConfig
from openr_data.pipelines.prm.evaluation.scored import score_steps
from openr_data.pipelines.progress import Report
from openr_data.prm.intervals import Interval, difference, interval, resampled, share
from openr_data.prm.score.base import Scorer
from openr_data.prm.scores import StepScores
from openr_data.problems.digests import digest

PASS, MAJORITY = "pass@n", "majority"
VOTES = ("min", "last", "product", "mean")
"""Aggregations whose value is a weight in 0 .. 1."""
_BY_MARGIN = frozenset({"min", "max", "last"})
"""Aggregations that are some step's own score: by its margin, sure ones do not tie."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidates of a problem that were scored, in the order of the run."""

    pool: Pool
    margins: tuple[tuple[float, ...], ...]

    @property
    def right(self) -> list[float]:
        return [float(each.verdict.outcome == "right") for each in self.pool.candidates]


@dataclass(frozen=True, slots=True)
class Point:
    """Expected accuracy of one way to choose among n, and how much that is above the majority's."""

    n: int
    accuracy: Interval
    lift: Interval


@dataclass(frozen=True, slots=True)
class BestOfNReport:
    """`curves` by the name of the way to choose. `elsewhere` counts questions that are not looked at, `without`
    those that had no candidate, `smaller` those with fewer than the largest n: for an n above their number all of them are
    taken. `last_step` of `several` candidates with more than one step have their lowest score at the last one.
    """

    source: str
    told: str
    questions: int
    elsewhere: int
    without: int
    smaller: int
    candidates: int
    excluded: Mapping[str, int]
    sizes: tuple[int, ...]
    subsets: int
    curves: Mapping[str, tuple[Point, ...]]
    last_step: int
    several: int


def evaluate_best_of_n(
    scorer: Scorer, found: Pools, config: EvaluationConfig, report: Report
) -> tuple[BestOfNReport, tuple[Choice, ...], Mapping[str, np.ndarray]]:
    """The report, the candidates, and accuracies by way to choose, [questions, sizes].

    Raises `InputError` where no candidate is left.
    """
    requests = [(pool.question, each.steps) for pool in found.pools for each in pool.candidates]
    scores = score_steps(scorer, requests, "best of n", report)
    choices, unscored = with_scores(found.pools, scores)
    if not choices:
        raise InputError(f"no candidate of {found.source} could be scored: {next(iter(unscored), '')}")
    sizes = powers_of_two(max(pool.drawn for pool in found.pools))
    rows = [accuracies(each, sizes, config) for each in choices]
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    several = [each for choice in choices for each in choice.margins if len(each) > 1]
    return (
        BestOfNReport(
            source=found.source,
            told=config.told,
            questions=len(choices),
            elsewhere=found.elsewhere,
            without=len(found.pools) - len(choices),
            smaller=sum(len(choice.margins) < sizes[-1] for choice in choices),
            candidates=sum(len(choice.margins) for choice in choices),
            excluded={**found.excluded, **{f"no score: {reason}": count for reason, count in unscored.items()}},
            sizes=sizes,
            subsets=config.subsets,
            curves=curves(table, sizes, config),
            last_step=sum(each[-1] < min(each[:-1]) for each in several),
            several=len(several),
        ),
        choices,
        table,
    )


def with_scores(pools: Sequence[Pool], scores: Sequence[StepScores]) -> tuple[tuple[Choice, ...], Counter[str]]:
    """Problems with what was scored of their candidates; the others are left out, and counted by reason."""
    left = iter(scores)
    unscored: Counter[str] = Counter()
    choices = []
    for pool in pools:
        rows = [(each, answer, next(left)) for each, answer in zip(pool.candidates, pool.answers, strict=True)]
        unscored.update(found.reason for _, _, found in rows if not found.margins)
        there = [row for row in rows if row[2].margins]
        if there:
            solutions, answers, found = zip(*there, strict=True)
            kept = Pool(pool.problem, pool.question, solutions, pool.drawn, answers)
            choices.append(Choice(kept, tuple(each.margins for each in found)))
    return tuple(choices), unscored


def accuracies(choice: Choice, sizes: Sequence[int], config: EvaluationConfig) -> dict[str, list[float]]:
    """Of one problem: the expected rightness of each way to choose, for each n. Weighted votes alone are averages over random
    subsets, the same ones for all of them; everything else is exact.
    """
    right, answers = choice.right, np.unique(np.array(choice.pool.answers), return_inverse=True)[1]
    votes = np.bincount(answers)
    rights = np.bincount(answers, weights=right) / votes
    ns = [min(n, len(right)) for n in sizes]
    found = {
        PASS: [pass_at(int(sum(right)), len(right), n) for n in ns],
        MAJORITY: [float(majority(votes.tolist(), n) @ rights) for n in ns],
    }
    for name in AGGREGATES:
        found[name] = [best_of(chosen_by(name, choice.margins), right, n) for n in ns]
    seed = digest("subsets", str(config.seed), choice.pool.question)
    subsets = Subsets.draw(len(right), sorted(set(ns)), config.subsets, seed)
    for name in VOTES:
        weights = [AGGREGATES[name](StepScores(each).probabilities) for each in choice.margins]
        found[f"{name}-vote"] = [weighted_vote(weights, answers, rights, subsets, n) for n in ns]
    return found


def chosen_by(name: str, margins: Sequence[tuple[float, ...]]) -> list[float]:
    """What an aggregation ranks candidates by."""
    return [AGGREGATES[name](each if name in _BY_MARGIN else StepScores(each).probabilities) for each in margins]


def curves(table: Mapping[str, np.ndarray], sizes: Sequence[int], config: EvaluationConfig) -> dict[str, tuple[Point, ...]]:
    """With intervals over problems. Every lift is of the same resampled problems, so it is a paired one."""
    weights = resampled(len(table[MAJORITY]), config.draws, config.seed)

    def point(name: str, place: int) -> Point:
        mine, most = share(table[name][:, place]), share(table[MAJORITY][:, place])
        return Point(sizes[place], interval(mine, weights), interval(difference(mine, most), weights))

    return {name: tuple(point(name, place) for place in range(len(sizes))) for name in table}
