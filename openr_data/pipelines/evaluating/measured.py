"""The tables of an evaluation as numbers: for every way to search and to choose, what it got right and spent on each question."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
PROBE = 4
"""Samples from which the difficulty of a question is predicted."""


class Way(NamedTuple):
    """A way to answer: a strategy, its budget, and how one of its candidates is chosen."""

    strategy: str
    n: int
    selector: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Per question: the (expected) rightness of the answer, and the tokens generated for it."""

    right: Floats
    tokens: Floats


@dataclass(frozen=True, slots=True)
class Measured:
    """`difficulty` is pass@1 of each question and `predicted` the mean score of its first samples (NaN: none), whose tokens
    are `probe`. `reasons` counts candidates without a verdict or a score, by search and reason; `costs` sums the bills.
    """

    problems: tuple[Problem, ...]
    ways: Mapping[Way, Outcome]
    difficulty: Floats
    predicted: Floats
    probe: Floats
    reasons: Mapping[str, int]
    costs: Mapping[str, Mapping[str, int]]


@dataclass(slots=True)
class _Sums:
    right: dict[Way, list[float]] = field(default_factory=lambda: defaultdict(list))
    tokens: dict[Way, list[float]] = field(default_factory=lambda: defaultdict(list))
    difficulty: list[float] = field(default_factory=list)
    predicted: list[float] = field(default_factory=list)
    probe: list[float] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    costs: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


def measure(run: RunReader, *, subsets: int, seed: int) -> Measured:
    """Every question of the run, one at a time in memory."""
    problems, sums = [], _Sums()
    for problem, searches, candidates in _items(run):
        problems.append(problem)
        _add_question(sums, problem, searches, candidates, subsets, seed)
    ways = {way: Outcome(np.array(sums.right[way]), np.array(sums.tokens[way])) for way in sums.right}
    difficulty, predicted, probe = (np.array(each) for each in (sums.difficulty, sums.predicted, sums.probe))
    return Measured(tuple(problems), ways, difficulty, predicted, probe, dict(sums.reasons.most_common()), sums.costs)


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
        if search["strategy"] == INDEPENDENT:
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
    """Every smaller number of samples, by averages over subsets of those that were drawn."""
    drawn = search["n"]
    empty = drawn - len(rows)  # lost, or cut before the first step: drawn, and no candidate
    groups = [row["answer"] for row in rows] + [None] * empty
    margins = [tuple(row["margins"]) for row in rows] + [()] * empty
    right = [_right(row) for row in rows] + [0.0] * empty
    sizes = powers_of_two(drawn)
    values = expected(groups, margins, right, sizes, subsets, digest("subsets", str(seed), problem.question))
    for selector, accuracies in values.items():
        for n, accuracy in zip(sizes, accuracies, strict=True):
            _add(sums, Way(INDEPENDENT, n, selector), accuracy, search["generated"] * n / drawn)
    sums.difficulty.append(sum(right) / drawn)
    scores = [mean([sigmoid(each) for each in row]) for row in margins[:PROBE] if row]
    sums.predicted.append(sum(scores) / len(scores) if scores else float("nan"))
    sums.probe.append(search["generated"] * min(PROBE, drawn) / drawn)


def _add_choices(sums: _Sums, search: Row, rows: Sequence[Row]) -> None:
    ballots = [Ballot(row["answer"], tuple(row["margins"])) for row in rows]
    chains = [row["chain"] for row in rows]
    for selector in SELECTORS:
        place = chosen(ballots, chains, selector)
        _add(
            sums,
            Way(search["strategy"], search["n"], selector),
            0.0 if place is None else _right(rows[place]),
            search["generated"],
        )
    _add(sums, Way(search["strategy"], search["n"], PASS), float(any(map(_right, rows))), search["generated"])


def _add(sums: _Sums, way: Way, right: float, tokens: float) -> None:
    sums.right[way].append(right)
    sums.tokens[way].append(tokens)


def _right(row: Mapping[str, Any]) -> float:
    return float(row["verdict"] == "right")
