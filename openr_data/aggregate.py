"""How step scores become the score of a solution. Knows only numbers.

PRM-Min (Math-Shepherd, arXiv 2312.08935) and PRM-Last are `min` and `last` here, `product` is OmegaPRM's (arXiv 2406.06592) and
that of Let's Verify Step by Step (arXiv 2305.20050). MiPS (arXiv 2402.02658) finds that labels from rollouts under-estimate, as
the policy itself may fail from a good prefix, so that aggregations which lean on high scores do better with them than min and
product: its abstract says so. That it calls such ones sum_logprob, sum_logit and mean_odd is from memory of its text, which could
not be had; here each means what its docstring says.

All take probabilities, one per step, and raise `ValueError` where there is none or one is missing: a missing score is never a low
one. Those with a logarithm or odds clip them to [EPSILON, 1 - EPSILON].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp, fsum, isnan, log, log1p, prod

Aggregate = Callable[[Sequence[float]], float]

EPSILON = 1e-7


def last(scores: Sequence[float]) -> float:
    """The score of the whole solution.

    >>> last([0.5, 0.8])
    0.8
    """
    return _some(scores)[-1]


def mean(scores: Sequence[float]) -> float:
    """The arithmetic mean.

    >>> mean([0.5, 0.75])
    0.625
    """
    return fsum(_some(scores)) / len(scores)


def product(scores: Sequence[float]) -> float:
    """The probability that every step is right, if steps were independent (used by OmegaPRM).

    >>> product([0.5, 0.5])
    0.25
    """
    return prod(_some(scores))


def lowest(scores: Sequence[float]) -> float:
    """The weakest step (used by Math-Shepherd).

    >>> lowest([0.5, 0.25])
    0.25
    """
    return min(_some(scores))


def highest(scores: Sequence[float]) -> float:
    """The surest step.

    >>> highest([0.5, 0.25])
    0.5
    """
    return max(_some(scores))


def sum_logprob(scores: Sequence[float]) -> float:
    """The logarithm of the product: the same order of solutions, without underflow.

    >>> round(sum_logprob([0.5, 0.5]), 4)
    -1.3863
    """
    return fsum(log(p) for p in _clipped(scores))


def mean_logprob(scores: Sequence[float]) -> float:
    """The logarithm of the geometric mean: a long solution is not punished for its length.

    >>> round(mean_logprob([0.5, 0.5, 0.5]), 4)
    -0.6931
    """
    return sum_logprob(scores) / len(scores)


def sum_logit(scores: Sequence[float]) -> float:
    """The sum of the log odds log(p / (1 - p)).

    >>> round(sum_logit([0.8, 0.2]), 4), round(sum_logit([0.8, 0.8]), 4)
    (0.0, 2.7726)
    """
    return fsum(log(p / (1 - p)) for p in _clipped(scores))


def mean_odd(scores: Sequence[float]) -> float:
    """The mean of the odds p / (1 - p): one very sure step outweighs many doubtful ones.

    >>> round(mean_odd([0.5, 0.8]), 4)
    2.5
    """
    return fsum(p / (1 - p) for p in _clipped(scores)) / len(scores)


def sigmoid(margin: float) -> float:
    """Without overflow on either side.

    >>> sigmoid(-1000.0), sigmoid(1000.0)
    (0.0, 1.0)
    """
    if margin >= 0:
        return 1 / (1 + exp(-margin))
    return exp(margin) / (1 + exp(margin))


AGGREGATES: Mapping[str, Aggregate] = {
    "min": lowest,
    "max": highest,
    "last": last,
    "product": product,
    "sum_logprob": sum_logprob,
    "mean_logprob": mean_logprob,
    "sum_logit": sum_logit,
    "mean": mean,
    "mean_odd": mean_odd,
}


def _log_sigmoid(margin: float) -> float:
    return min(margin, 0.0) - log1p(exp(-abs(margin)))


def _log_mean_exp(margins: Sequence[float]) -> float:
    most = max(_some(margins))
    return most + log(fsum(exp(margin - most) for margin in margins) / len(margins))


def _log_product(margins: Sequence[float]) -> float:
    return fsum(map(_log_sigmoid, _some(margins)))


RANKINGS: Mapping[str, Aggregate] = {
    "min": lowest,
    "max": highest,
    "last": last,
    "product": _log_product,
    "sum_logprob": _log_product,
    "mean_logprob": lambda margins: _log_product(margins) / len(margins),
    "sum_logit": lambda margins: fsum(_some(margins)),
    "mean": lambda margins: fsum(exp(_log_sigmoid(margin)) for margin in _some(margins)) / len(margins),
    "mean_odd": _log_mean_exp,
}
"""By the same names, out of margins (log odds) instead of probabilities: the order of solutions is that of `AGGREGATES`, without
clipping, and without the ties of probabilities that round to 1.
"""


def _some(scores: Sequence[float]) -> Sequence[float]:
    if not scores:
        raise ValueError("a solution without steps has no scores to aggregate")
    if scores.count(None) or any(map(isnan, scores)):
        raise ValueError("a step without a score cannot be aggregated")
    return scores


def _clipped(scores: Sequence[float]) -> list[float]:
    return [min(max(p, EPSILON), 1 - EPSILON) for p in _some(scores)]
