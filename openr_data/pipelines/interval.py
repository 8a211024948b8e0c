"""A range for the total over all questions, from what a few of them cost. Knows no money and no methods."""

from __future__ import annotations

from collections.abc import Sequence
from math import cbrt, inf, pi, sqrt, tan
from statistics import NormalDist, fmean, stdev

LEVEL = 0.95
"""Nominal coverage of a range."""


def total_range(values: Sequence[float], population: int, level: float = LEVEL) -> tuple[float, float]:
    """Where the sum over `population` questions lies, `values` being those of a random sample of them.

    What questions cost is skewed (most cost nothing, some a lot), and a t interval then ends too low. Hall's transformation
    (J. R. Statist. Soc. B 54, 1992, 221-228) takes the skewness out: for the values W = (mean - mu) / s of mean and spread,
    g(W) = W + c W^2/3 + c^2 W^3/27 + c/(6n) is nearly symmetric, c being the skewness. The finite population shrinks it: the
    sample itself is part of the sum. The upper end is infinite where one value says nothing about the spread.

    >>> total_range([2.0, 2.0], 10), total_range([5.0], 1), total_range([5.0], 2)
    ((20.0, 20.0), (5.0, 5.0), (5.0, inf))
    """
    n, seen, mean = len(values), sum(values), fmean(values)
    if n >= population:
        return seen, seen
    if n < 2:
        return seen, inf
    spread = stdev(values)
    if not spread:
        return population * mean, population * mean
    skew = fmean((value - mean) ** 3 for value in values) / (spread * sqrt((n - 1) / n)) ** 3
    reach = student_t((1 + level) / 2, n - 1) / sqrt(n)
    scale = population * spread * sqrt(1 - n / population)
    low = population * mean - scale * _hall(reach, skew, n)
    high = population * mean - scale * _hall(-reach, skew, n)
    return max(seen, low), high


def _hall(x: float, skew: float, n: int) -> float:
    """The W with g(W) = x. Next to no skewness would cost the cube root more digits than it corrects."""
    if abs(skew) < 1e-6:
        return x
    return 3 / skew * (cbrt(1 + skew * (x - skew / (6 * n))) - 1)


def student_t(p: float, df: int) -> float:
    """Quantile of Student's t: exact for one and two degrees of freedom, else Cornish and Fisher's series around the normal one.

    >>> [round(student_t(0.975, df), 2) for df in (1, 2, 4, 19)]
    [12.71, 4.3, 2.78, 2.09]
    """
    if df == 1:
        return tan(pi * (p - 0.5))
    if df == 2:
        return (2 * p - 1) / sqrt(2 * p * (1 - p))
    z = NormalDist().inv_cdf(p)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(df) ** (power + 1) for power, term in enumerate(terms))
