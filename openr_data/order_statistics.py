"""Accuracy of choosing among n of N candidates of a problem, averaged exactly over all subsets of size n. Knows numbers only.

Ties are broken evenly. A candidate without a score or an answer is none: whoever calls leaves it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, exp, lgamma, log

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TIE = 1e-9


def selection(scores: Sequence[float], n: int) -> Floats:
    """The probability that each candidate is the best scored of a subset of size n: [N], summing to 1.

    Without ties it is C(number scored lower, n - 1) / C(N, n). A tied group is chosen where the subset holds one of it and none
    above, and each of it as often as the others.

    >>> selection([0.1, 0.9, 0.5], 2).round(4)
    array([0.    , 0.6667, 0.3333])
    >>> selection([0.5, 0.5, 0.1], 1).round(4)
    array([0.3333, 0.3333, 0.3333])
    """
    pool = len(scores)
    _check(n, pool)
    _, place, counts = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True, return_counts=True)
    reached = np.cumsum(counts)
    whole = comb(pool, n)
    at_most = np.array([comb(int(below), n) / whole for below in (0, *reached)])
    return np.asarray((np.diff(at_most) / counts)[place], dtype=np.float64)


def best_of(scores: Sequence[float], right: Sequence[float], n: int) -> float:
    """The expected rightness of the best scored of n candidates.

    >>> best_of([0.1, 0.9, 0.5], [1.0, 0.0, 1.0], 2).__round__(4)
    0.3333
    """
    return float(selection(scores, n) @ np.asarray(right, dtype=np.float64))


def pass_at(right: int, pool: int, n: int) -> float:
    """The probability that one of n candidates is right, 1 - C(N - c, n) / C(N, n) (arXiv 2107.03374, Eq. 1).

    >>> pass_at(1, 4, 2)
    0.5
    """
    _check(n, pool)
    return 1.0 - comb(pool - right, n) / comb(pool, n)


def majority(sizes: Sequence[int], n: int) -> Floats:
    """The probability that each answer is the most frequent one of n candidates: [answers]. `sizes[a]` candidates gave answer a.

    Exact: counts of a subset are independent binomials given their sum, so that answer a wins with m votes where all others have
    less, or t of them as many and it is drawn among t + 1. The products are coefficients of polynomials in the votes and in t;
    answers with fewer than m candidates are one binomial together.

    >>> majority([2, 1], 1).round(4), majority([2, 1], 2).round(4), majority([2, 1], 3).round(4)
    (array([0.6667, 0.3333]), array([0.6667, 0.3333]), array([1., 0.]))
    """
    pool = sum(sizes)
    _check(n, pool)
    if n == pool:
        tops = np.asarray(sizes) == max(sizes)
        return np.asarray(tops / tops.sum(), dtype=np.float64)
    by_size = {size: _wins(sizes, size, n) for size in set(sizes)}
    return np.array([by_size[size] for size in sizes])


def powers_of_two(largest: int) -> tuple[int, ...]:
    """1, 2, 4, ... and the largest itself.

    >>> powers_of_two(12), powers_of_two(1)
    ((1, 2, 4, 8, 12), (1,))
    """
    return (*(2**power for power in range(largest.bit_length()) if 2**power < largest), largest)


@dataclass(frozen=True, slots=True)
class Subsets:
    """The same random subsets for every way of choosing: row d of `chosen[n]` marks the n candidates of draw d, [draws, N]."""

    chosen: dict[int, Floats]

    @classmethod
    def draw(cls, pool: int, sizes: Sequence[int], draws: int, seed: int) -> Subsets:
        """Nested: the n first of a random order. Single candidates, and all together, are few subsets: each is drawn once."""
        ranks = np.random.default_rng(seed).random((draws, pool)).argsort(axis=1).argsort(axis=1)
        whole = {1: np.eye(pool), pool: np.ones((1, pool))}
        return cls({n: whole[n] if n in whole else (ranks < n).astype(np.float64) for n in sizes})


def weighted_vote(weights: Sequence[float], groups: Ints, right: Floats, subsets: Subsets, n: int) -> float:
    """The expected rightness of the answer with the largest sum of weights (arXiv 2206.02336), averaged over random subsets.

    `groups[i]` is the answer of candidate i and `right[a]` how right answer a is. The weights of an answer are not negative, or
    sum to more than -1: such a one wins where a subset has no other.
    """
    table = np.zeros((len(groups), len(right)))
    table[np.arange(len(groups)), groups] = weights
    chosen = subsets.chosen[n]
    sums = chosen @ table
    # An answer that no candidate of the subset gave cannot win, also where all weights are zero.
    votes = np.zeros_like(table)
    votes[np.arange(len(groups)), groups] = 1.0
    sums[chosen @ votes == 0] = -1.0
    most = sums.max(axis=1, keepdims=True)
    tops = sums >= most - _TIE * np.abs(most)
    return float((tops @ right / tops.sum(axis=1)).mean())


def _wins(sizes: Sequence[int], mine: int, n: int) -> float:
    """The probability that one answer with `mine` candidates has most votes of n, ties drawn evenly."""
    others = list(sizes)
    others.remove(mine)
    chance = n / sum(sizes)  # any would do; this one keeps the numbers large
    total = _binomial(sum(sizes), chance)[n]
    won = 0.0
    for votes in range(1, min(mine, n) + 1):
        beaten = _beaten(others, votes, n, chance)
        tied = beaten[:, n - votes] / np.arange(1, len(beaten) + 1)
        won += float(_binomial(mine, chance)[votes] * tied.sum())
    return won / float(total)


def _beaten(others: Sequence[int], votes: int, n: int, chance: float) -> Floats:
    """[t, x]: the probability that the others have x votes together, t of them exactly `votes` and the rest fewer."""
    small = _binomial(sum(size for size in others if size < votes), chance)[: n + 1]
    found = np.zeros((n // votes, n + 1))
    found[0, : len(small)] = small
    for size in (size for size in others if size >= votes):
        chances = _binomial(size, chance)
        longer = np.zeros_like(found)
        for fewer in range(votes):
            longer[:, fewer:] += chances[fewer] * found[:, : n + 1 - fewer]
        longer[1:, votes:] += chances[votes] * found[:-1, : n + 1 - votes]
        found = longer
    return found


@lru_cache(maxsize=4096)  # the same few are asked for by every answer and every number of votes
def _binomial(size: int, chance: float) -> Floats:
    """[size + 1], to read only; by logarithms: the coefficients of a pool of thousands overflow."""
    logs = [
        lgamma(size + 1) - lgamma(k + 1) - lgamma(size - k + 1) + k * log(chance) + (size - k) * log(1 - chance)
        for k in range(size + 1)
    ]
    return np.array([exp(each) for each in logs])


def _check(n: int, pool: int) -> None:
    if not 1 <= n <= pool:
        raise ValueError(f"{n} of {pool} candidates cannot be chosen")
