"""Which of a question's candidates is its answer: by votes, by the scores of a process reward model, or by both. Numbers only.

Majority: the class with most candidates. RM-Max: the class of the best scored candidate. RM-Vote: the class with the largest sum
of scores (OpenR, arXiv 2410.09671, section 3.5; weighted voting, arXiv 2206.02336).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from openr_data.aggregate import AGGREGATES, RANKINGS, sigmoid
from openr_data.errors import UsageError

MAJORITY = "majority_vote"
AGGREGATIONS = {"min": "min", "last": "last", "prod": "product", "mean": "mean"}
"""As selectors spell them -> as `openr_data.aggregate` does."""
SELECTORS = (MAJORITY, *(f"prm_{name}_{how}" for name in AGGREGATIONS for how in ("max", "vote")))


@dataclass(frozen=True, slots=True)
class Ballot:
    """One candidate: the class of its answer (`None`: it has none) and the log odds of its steps (empty: not scored)."""

    group: int | None
    margins: tuple[float, ...] = ()


def choose(ballots: Sequence[Ballot], selector: str) -> int | None:
    """The index of the candidate to show: of the winning class the best scored one, then the first; `None` without any answer.

    A candidate without an answer never wins, and one without a score takes part in the majority alone. Where no answer has a
    score the majority decides. Ties go to the class with the best scored candidate, then to the one seen first; the majority
    does not look at scores.

    >>> ballots = [Ballot(0, (2.0,)), Ballot(1, (-1.0,)), Ballot(1, (-1.5,)), Ballot(None, (9.0,))]
    >>> choose(ballots, "majority_vote"), choose(ballots, "prm_last_max"), choose(ballots, "prm_last_vote")
    (1, 0, 0)
    """
    weights = votes(ballots, selector)
    if not weights:
        return None
    aggregation = None if selector == MAJORITY else aggregation_of(selector)
    ranks = [_rank(ballot, aggregation) for ballot in ballots]
    best: dict[int, int] = {}
    for place, ballot in enumerate(ballots):
        if ballot.group in weights and (ballot.group not in best or ranks[place] > ranks[best[ballot.group]]):
            best[ballot.group] = place
    return max(best.values(), key=lambda place: (weights[ballots[place].group or 0], ranks[place], -_first(ballots, place)))


def votes(ballots: Sequence[Ballot], selector: str) -> dict[int, float]:
    """The weight of each class that can win: how many candidates it has, its best score, or the sum of its scores."""
    aggregation = aggregation_of(selector)
    scored = [ballot for ballot in ballots if ballot.group is not None and ballot.margins]
    if aggregation is None or not scored:
        return _sums([(ballot.group, 1.0) for ballot in ballots if ballot.group is not None])
    if selector.endswith("_vote"):
        return _sums([(ballot.group, value_of(ballot.margins, aggregation)) for ballot in scored])
    found: dict[int, float] = {}
    for ballot in scored:
        group = ballot.group or 0
        found[group] = max(found.get(group, float("-inf")), RANKINGS[aggregation](ballot.margins))
    return found


def value_of(margins: Sequence[float], aggregation: str) -> float:
    """In 0..1: what a candidate's vote weighs."""
    return AGGREGATES[aggregation]([sigmoid(margin) for margin in margins])


def aggregation_of(selector: str) -> str | None:
    """The aggregation of a selector's scores; `None` of the majority. Raises `UsageError` for one that there is not.

    >>> aggregation_of("prm_prod_vote")
    'product'
    """
    if selector == MAJORITY:
        return None
    if selector not in SELECTORS:
        raise UsageError(f"there is no selector '{selector}'; choose one of: {', '.join(SELECTORS)}")
    return AGGREGATIONS[selector.split("_")[1]]


def _rank(ballot: Ballot, aggregation: str | None) -> tuple[bool, float]:
    if aggregation is None or not ballot.margins:
        return False, 0.0
    return True, RANKINGS[aggregation](ballot.margins)


def _sums(pairs: Sequence[tuple[int | None, float]]) -> dict[int, float]:
    """Correctly rounded, so that the same votes tie in whatever order they come."""
    found: dict[int, list[float]] = {}
    for group, weight in pairs:
        found.setdefault(group or 0, []).append(weight)
    return {group: fsum(weights) for group, weights in found.items()}


def _first(ballots: Sequence[Ballot], place: int) -> int:
    """Where the class of this candidate was first seen."""
    return next(number for number, ballot in enumerate(ballots) if ballot.group == ballots[place].group)
