"""The tables of an evaluation as numbers: for every way to search and to choose, what it got right and spent on each question."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openr_data.aggregate import mean, sigmoid
from openr_data.order_statistics import powers_of_two
from openr_data.problems.digests import digest
from openr_data.search.curves import expected
from openr_data.search.nested import chosen
from openr_data.search.select import SELECTORS, Ballot
from openr_data.store.frames import Row
from openr_data.store.read import Cursor, RunReader
from openr_data.types import Problem

Floats = NDArray[np.float64]
PASS = "pass@n"  # noqa: S105 - no password
MAJORITY = "majority_vote"
INDEPENDENT = "best_of_n"
SUBSETS_OF = frozenset({INDEPENDENT, "forcing"})
"""Their candidates are independent: any of them are what a smaller budget would have brought."""
PROBE = 4
"""Samples from which the difficulty of a question is predicted."""


class Way(NamedTuple):
    """A way to answer: a strategy, its budget, and how one of its candidates is chosen."""

    strategy: str
    n: int
    selector: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Per question: the (expected) rightness of the answer, and the tokens generated for it, a summariser's among them."""

    right: Floats
    tokens: Floats


@dataclass(frozen=True, slots=True)
class Measured:
    """`difficulty` is pass@1 of one half of each question's independent samples, and `apart` what the other half brings.
    `predicted` is the mean score of its first samples (NaN: none), whose tokens are `probe`. `reasons` counts candidates without
    a verdict or a score and samples that were lost, by search and reason; `starved` counts questions whose cap left no answer;
    `costs` sums the bills.
    """

    problems: tuple[Problem, ...]
    ways: Mapping[Way, Outcome]
    apart: Mapping[Way, Outcome]
    difficulty: Floats
    predicted: Floats
    probe: Floats
    reasons: Mapping[str, int]
    starved: Mapping[str, int]
    costs: Mapping[str, Mapping[str, int]]


@dataclass(slots=True)
class _Lists:
    right: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome:
        return Outcome(np.array(self.right), np.array(self.tokens))


@dataclass(slots=True)
class _Sums:
    ways: dict[Way, _Lists] = field(default_factory=lambda: defaultdict(_Lists))
    apart: dict[Way, _Lists] = field(default_factory=lambda: defaultdict(_Lists))
    difficulty: list[float] = field(default_factory=list)
    predicted: list[float] = field(default_factory=list)
    probe: list[float] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    starved: Counter[str] = field(default_factory=Counter)
    costs: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


def measure(run: RunReader, *, subsets: int, seed: int) -> Measured:
    """Every question of the run, one at a time in memory."""
    problems, sums = [], _Sums()
    for problem, searches, candidates in _items(run):
        problems.append(problem)
        _add_question(sums, problem, searches, candidates, subsets, seed)
    difficulty, predicted, probe = (np.array(each) for each in (sums.difficulty, sums.predicted, sums.probe))
    return Measured(
        problems=tuple(problems),
        ways={way: found.outcome for way, found in sums.ways.items()},
        apart={way: found.outcome for way, found in sums.apart.items()},
        difficulty=difficulty,
        predicted=predicted,
        probe=probe,
        reasons=dict(sums.reasons.most_common()),
        starved=dict(sums.starved),
        costs=sums.costs,
    )


def _items(run: RunReader) -> Iterator[tuple[Problem, list[Row], dict[str, list[Row]]]]:
    searches, candidates = Cursor(run.rows("searches")), Cursor(run.rows("candidates"))
    for each in run.items(tables=()):
        found: dict[str, list[Row]] = defaultdict(list)
        for row in candidates.take(each.item):
            found[row["search"]].append(row)
        yield each.problem, searches.take(each.item), found


def _add_question(
    sums: _Sums, problem: Problem, searches: Sequence[Row], candidates: Mapping[str, list[Row]], subsets: int, seed: int
) -> None:
    for search in searches:
        rows = candidates.get(search["search"], [])
        sums.reasons.update(f"{search['search']}: {reason}" for row in rows for reason in _missing(row))
        sums.costs[search["search"]].update({name: search[name] for name in COSTS})
        if search["lost"]:
            sums.reasons[f"{search['search']}: lost by the engine"] += search["lost"]
        if search["stopped"] and not any(row["answer"] is not None for row in rows):
            sums.starved[search["search"]] += 1
        if search["strategy"] in SUBSETS_OF:
            _add_subsets(sums, problem, search, rows, subsets, seed)
        else:
            _add_choices(sums, search, rows)


COSTS = ("generated", "discarded", "forced", "prm_tokens", "summary_tokens", "requests", "lost")


def _missing(row: Row) -> Iterator[str]:
    if row["unscored"]:
        yield f"no score ({row['unscored']})"
    if row["verdict"] == "unknown":
        yield f"no verdict ({row['verdict_reason']})"


def _add_subsets(sums: _Sums, problem: Problem, search: Row, rows: Sequence[Row], subsets: int, seed: int) -> None:
    """Every smaller number of samples, by averages over subsets of those that were drawn.

    A sample that the engine lost was not drawn; where some are missing, the largest budgets have what there is.
    """
    drawn = max(len(rows), min(search["n"], search["requests"]) - search["lost"])
    empty = drawn - len(rows)  # cut before the first step: drawn, and no candidate
    groups = [row["answer"] for row in rows] + [None] * empty
    margins = [tuple(row["margins"]) for row in rows] + [()] * empty
    right = [_right(row) for row in rows] + [0.0] * empty
    sizes = powers_of_two(search["n"])
    number = digest("subsets", str(seed), problem.question)
    pool = _Pool(groups, margins, right)
    for way, accuracy in pool.outcomes(search["strategy"], sizes, subsets, number):
        _add(sums.ways, way, accuracy, _tokens(search) * way.n / search["n"])
    if search["strategy"] == INDEPENDENT:
        _add_difficulty(sums, search, pool, subsets, number)


@dataclass(frozen=True, slots=True)
class _Pool:
    """Independent candidates of one question: classes, margins, rightness."""

    groups: list[int | None]
    margins: list[tuple[float, ...]]
    right: list[float]

    def part(self, places: Sequence[int]) -> _Pool:
        return _Pool([self.groups[at] for at in places], [self.margins[at] for at in places], [self.right[at] for at in places])

    def outcomes(self, strategy: str, sizes: Sequence[int], subsets: int, seed: int) -> Iterator[tuple[Way, float]]:
        there = [min(n, len(self.groups)) for n in sizes]
        for selector, accuracies in expected(self.groups, self.margins, self.right, there, subsets, seed).items():
            for n, accuracy in zip(sizes, accuracies, strict=True):
                yield Way(strategy, n, selector), accuracy


def _add_difficulty(sums: _Sums, search: Row, pool: _Pool, subsets: int, seed: int) -> None:
    """How hard a question is, by one half of its samples; and what the other half brings, which must not have decided that."""
    order = Random(seed).sample(range(len(pool.right)), len(pool.right))
    half = len(order) // 2
    known, others = (pool.part(order[:half]), pool.part(order[half:])) if half else (pool, pool)
    sums.difficulty.append(sum(known.right) / len(known.right))
    for way, accuracy in others.outcomes(INDEPENDENT, powers_of_two(max(1, search["n"] // 2)), subsets, seed):
        _add(sums.apart, way, accuracy, _tokens(search) * way.n / search["n"])
    scores = [mean([sigmoid(each) for each in row]) for row in pool.margins[:PROBE] if row]
    sums.predicted.append(sum(scores) / len(scores) if scores else float("nan"))
    sums.probe.append(search["generated"] * min(PROBE, search["n"]) / search["n"])


def _add_choices(sums: _Sums, search: Row, rows: Sequence[Row]) -> None:
    ballots = [Ballot(row["answer"], tuple(row["margins"])) for row in rows]
    chains = [row["chain"] for row in rows]
    for selector in SELECTORS:
        place = chosen(ballots, chains, selector)
        right = 0.0 if place is None else _right(rows[place])
        _add(sums.ways, Way(search["strategy"], search["n"], selector), right, _tokens(search))
    _add(sums.ways, Way(search["strategy"], search["n"], PASS), float(any(map(_right, rows))), _tokens(search))


def _add(found: dict[Way, _Lists], way: Way, right: float, tokens: float) -> None:
    found[way].right.append(right)
    found[way].tokens.append(tokens)


def _tokens(search: Row) -> float:
    """All that was generated for the answer, by whomever."""
    return float(search["generated"] + search["summary_tokens"])


def _right(row: Mapping[str, Any]) -> float:
    return float(row["verdict"] == "right")
