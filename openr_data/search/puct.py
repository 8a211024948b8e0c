"""The formulas of tree search. Knows numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt

C_BASE, C_INIT = 19652.0, 1.25
"""Of AlphaZero, and of OpenR."""


def puct(value: float, prior: float, visits: int, parent: int, c_base: float = C_BASE, c_init: float = C_INIT) -> float:
    """Q(c) + P(c) sqrt(N(s)) / (1 + N(c)) (ln((N(s) + c_base + 1) / c_base) + c_init) (Silver et al., Science 2018; OpenR,
    arXiv 2410.09671, tree search).

    >>> round(puct(0.5, 0.25, 1, 4, c_base=4, c_init=1.25), 4)  # .5 + .25 * 2 / 2 * (ln(9/4) + 1.25)
    1.0152
    """
    return value + prior * sqrt(parent) / (1 + visits) * (log((parent + c_base + 1) / c_base) + c_init)


def uct(value: float, visits: int, parent: int, c: float = 2.0) -> float:
    """Q(c) + c sqrt(ln N(s) / N(c)) (Kocsis and Szepesvári 2006; c = 2 as in rStar, arXiv 2408.06195). Both were visited.

    >>> round(uct(0.5, 2, 8), 4)  # .5 + 2 sqrt(ln 8 / 2)
    2.5393
    """
    return value + c * sqrt(log(parent) / visits)


def priors(logprobs: Sequence[float | None], tokens: Sequence[int]) -> list[float]:
    """exp(mean log-probability of a token) of each sibling, normalised to 1: no softmax. Equal ones where the engine tells none,
    or where all of them underflow.

    >>> priors([-2.0, -2.0], [1, 2])  # e^-2 and e^-1
    [0.2689414213699951, 0.7310585786300049]
    >>> priors([None, -1.0], [1, 1])
    [0.5, 0.5]
    """
    likely = [0.0 if each is None else exp(each / max(1, count)) for each, count in zip(logprobs, tokens, strict=True)]
    total = sum(likely)
    if None in logprobs or not total:
        return [1 / len(likely) for _ in likely]
    return [each / total for each in likely]
