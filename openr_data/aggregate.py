"""How step scores become the score of a solution: the aggregation functions of MiPS (arXiv 2402.02658). Knows only numbers.

MiPS labels under-estimate (the reasoner itself may fail from a good prefix), so that paper finds aggregations that lean on high
scores better, where human labels favour min and product. That sum_logprob, sum_logit and mean_odd are among the paper's own
names is from memory of the paper, not checked against its text; min, max, last, product, mean and mean_logprob are common ones.
All take probabilities, one per step and at least one. Those with a logarithm or odds clip them to [EPSILON, 1 - EPSILON].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import fsum, log, prod

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


def _some(scores: Sequence[float]) -> Sequence[float]:
    if not scores:
        raise ValueError("a solution without steps has no scores to aggregate")
    return scores


def _clipped(scores: Sequence[float]) -> list[float]:
    return [min(max(p, EPSILON), 1 - EPSILON) for p in _some(scores)]
