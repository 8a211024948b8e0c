"""What n of a question's N independent candidates would have answered, on average over all subsets. Knows numbers only.

Candidates without an answer are drawn like all others, and win nothing; ties are broken evenly, as no order of the candidates is
the right one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, fsum

import numpy as np

from openr_data.aggregate import RANKINGS
from openr_data.order_statistics import Floats, Subsets, best_of, majority, pass_at, weighted_vote
from openr_data.search.select import AGGREGATIONS, MAJORITY, SELECTORS, aggregation_of, value_of

PASS = "pass@n"  # noqa: S105 - no password
Margins = Sequence[tuple[float, ...]]


def expected(
    groups: Sequence[int | None], margins: Margins, right: Sequence[float], sizes: Sequence[int], subsets: int, seed: int
) -> dict[str, list[float]]:
    """The expected rightness for each n of `sizes`, by pass@n and every selector.

    `groups[i]` is the class of candidate i's answer (`None`: it has none), `margins[i]` the log odds of its steps (empty: not
    scored) and `right[i]` 1 where its answer is right. Exact for pass@n (arXiv 2107.03374, Eq. 1), the majority and the best
    scored one; weighted votes are averages over `subsets` random subsets, the same ones for all selectors. In a subset in which
    no answer has a score, the selectors by score are the majority; where one has, answers without one do not count for them.
    """
    pool = len(groups)
    votes = _majorities(groups, right, sizes)
    hits = sum(group is not None and good > 0 for group, good in zip(groups, right, strict=True))
    found = {PASS: [pass_at(hits, pool, n) for n in sizes], MAJORITY: votes}
    scored = [bool(row) and group is not None for row, group in zip(margins, groups, strict=True)]
    if not any(scored):
        return found | {selector: votes for selector in SELECTORS if selector != MAJORITY}
    none, unscored = _unscored(groups, right, scored, sizes)
    drawn = Subsets.draw(pool, sorted(set(sizes)), subsets, seed)
    for name in AGGREGATIONS:
        selector = f"prm_{name}_max"
        ranks = _ranks(margins, scored, aggregation_of(selector) or "")
        won = [float(good) if counts else 0.0 for good, counts in zip(right, scored, strict=True)]
        voted = _weighted(groups, margins, right, scored, name, drawn, sizes)
        found[selector] = [best_of(ranks, won, n) + more for n, more in zip(sizes, unscored, strict=True)]
        found[f"prm_{name}_vote"] = [(1 - p) * value + more for p, value, more in zip(none, voted, unscored, strict=True)]
    return {selector: found[selector] for selector in (PASS, *SELECTORS)}


def _majorities(groups: Sequence[int | None], right: Sequence[float], sizes: Sequence[int]) -> list[float]:
    """For each n, over how many of the n have an answer (hypergeometric), the majority among those."""
    valid = [group for group in groups if group is not None]
    classes = sorted(set(valid))
    counts, rights = [valid.count(group) for group in classes], _rights(groups, right, classes)
    among = {k: float(majority(counts, k) @ rights) for k in _answered(len(valid), len(groups), sizes)}
    return [fsum(_chance(k, len(valid), len(groups), n) * value for k, value in among.items()) for n in sizes]


def _unscored(
    groups: Sequence[int | None], right: Sequence[float], scored: Sequence[bool], sizes: Sequence[int]
) -> tuple[list[float], list[float]]:
    """The chance of a subset without a scored answer, and that times how right its majority is on average."""
    left = [place for place, counts in enumerate(scored) if not counts]
    possible = [n for n in sizes if n <= len(left)]
    majorities = _majorities([groups[place] for place in left], [right[place] for place in left], possible) if possible else []
    value = dict(zip(possible, majorities, strict=True))
    chances = [comb(len(left), n) / comb(len(groups), n) for n in sizes]
    return chances, [chance * value.get(n, 0.0) for chance, n in zip(chances, sizes, strict=True)]


def _answered(valid: int, pool: int, sizes: Sequence[int]) -> list[int]:
    """How many of a subset can have an answer: at least one, and all but those that have none."""
    return sorted({k for n in sizes for k in range(max(1, n - (pool - valid)), min(n, valid) + 1)})


def _chance(k: int, valid: int, pool: int, n: int) -> float:
    """The hypergeometric probability that k of n candidates have an answer, as `valid` of the pool do."""
    return comb(valid, k) * comb(pool - valid, n - k) / comb(pool, n) if k <= n else 0.0


def _rights(groups: Sequence[int | None], right: Sequence[float], classes: Sequence[int]) -> Floats:
    """How right each class is: equal answers can have different verdicts where a grader could not decide."""
    own = [[good for group, good in zip(groups, right, strict=True) if group == each] for each in classes]
    return np.array([sum(goods) / len(goods) for goods in own])


def _ranks(margins: Margins, scored: Sequence[bool], aggregation: str) -> list[float]:
    """What has no score, or no answer, stands below everything else."""
    return [RANKINGS[aggregation](row) if counts else float("-inf") for row, counts in zip(margins, scored, strict=True)]


def _weighted(
    groups: Sequence[int | None],
    margins: Margins,
    right: Sequence[float],
    scored: Sequence[bool],
    name: str,
    drawn: Subsets,
    sizes: Sequence[int],
) -> list[float]:
    """Over the subsets with a scored answer. The class of all that cannot win is one more: it wins where there is none."""
    classes = sorted({group for group, counts in zip(groups, scored, strict=True) if counts and group is not None})
    place = {group: number for number, group in enumerate(classes)}
    none = len(classes)
    numbers = np.array(
        [place[group] if counts and group is not None else none for group, counts in zip(groups, scored, strict=True)]
    )
    rights, any_wins = np.append(_rights(groups, right, classes), 0.0), np.append(np.ones(none), 0.0)
    # Any answer outweighs none of them, whatever its score: those sum to less than 0, and an absent answer to -1.
    nothing = -0.5 / len(groups)
    weights = [value_of(row, AGGREGATIONS[name]) if counts else nothing for row, counts in zip(margins, scored, strict=True)]
    shares = [weighted_vote(weights, numbers, any_wins, drawn, n) for n in sizes]
    return [
        weighted_vote(weights, numbers, rights, drawn, n) / share if share else 0.0
        for n, share in zip(sizes, shares, strict=True)
    ]
