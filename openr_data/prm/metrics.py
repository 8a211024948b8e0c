"""How well step scores tell good steps from bad ones, and how likely they make the labels. Knows numbers only.

`margins` are logit differences log p(+) - log p(-), one per step; `good` says which steps are good; `problems` numbers the
problem of each step. All are arrays of the same length, [steps]. A quantity that is not defined (one class only) is `None`.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

_POINTS = 400


@dataclass(frozen=True, slots=True)
class Ranking:
    """`ap_good` and `ap_bad` are average precisions with that class as the positive one."""

    auroc: float
    ap_good: float
    ap_bad: float


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """Over `steps` steps, `good` of them good. `pooled` ranks all steps together, `by_problem` is the mean over the `mixed`
    problems that have good and bad steps. `nll` is in nats; the `prior_` values are of saying the share of good steps always.
    """

    steps: int
    good: int
    problems: int
    mixed: int
    pooled: Ranking | None
    by_problem: Ranking | None
    nll: float
    prior_nll: float
    brier: float
    prior_brier: float

    @property
    def base_rate(self) -> float:
        """The share of good steps: the average precision of chance for the good class."""
        return self.good / self.steps


@dataclass(frozen=True, slots=True)
class SoftMetrics:
    """Against values in 0 .. 1, such as Monte Carlo estimates. `floor` is the cross-entropy of the values with themselves, which
    no model can go below; both in nats.
    """

    steps: int
    cross_entropy: float
    floor: float
    brier: float
    spearman: float | None

    @property
    def excess(self) -> float:
        """The mean Kullback-Leibler divergence of the scores from the values."""
        return self.cross_entropy - self.floor


def step_metrics(margins: Floats, good: Bools, problems: Ints) -> StepMetrics:
    """Raises `ValueError` without a step."""
    if not len(margins):
        raise ValueError("there is no step to measure")
    each = [ranking(margins[rows], good[rows]) for rows in _by_problem(problems)]
    mixed = [one for one in each if one is not None]
    rate, targets = float(good.mean()), good.astype(np.float64)
    return StepMetrics(
        steps=len(margins),
        good=int(good.sum()),
        problems=len(each),
        mixed=len(mixed),
        pooled=ranking(margins, good),
        by_problem=Ranking(*np.mean([astuple(one) for one in mixed], axis=0).tolist()) if mixed else None,
        nll=cross_entropy(margins, targets),
        prior_nll=entropy(np.array([rate])),
        brier=brier(margins, targets),
        prior_brier=rate * (1 - rate),
    )


def ranking(margins: Floats, good: Bools) -> Ranking | None:
    """`None` with one class only."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    if good.all() or not good.any():
        return None
    return Ranking(
        auroc=float(roc_auc_score(good, margins)),
        ap_good=float(average_precision_score(good, margins)),
        ap_bad=float(average_precision_score(~good, -margins)),
    )


def soft_metrics(margins: Floats, values: Floats) -> SoftMetrics:
    """Raises `ValueError` without a step."""
    if not len(margins):
        raise ValueError("there is no step to measure")
    scores = (cross_entropy(margins, values), entropy(values), brier(margins, values), spearman(margins, values))
    return SoftMetrics(len(margins), *scores)


def probabilities(margins: Floats) -> Floats:
    """p(+) of each step, without overflow.

    >>> probabilities(np.array([0.0, -1000.0, 1000.0]))
    array([0.5, 0. , 1. ])
    """
    small = np.exp(-np.abs(margins))
    return np.where(margins >= 0, 1.0, small) / (1.0 + small)


def cross_entropy(margins: Floats, targets: Floats) -> float:
    """The mean of -(t log p(+) + (1 - t) log p(-)), in nats, from the margins, so that no score is too sure to be measured.

    >>> round(cross_entropy(np.array([0.0, 800.0]), np.array([1.0, 0.0])), 4)
    400.3466
    """
    return float(np.mean(np.logaddexp(0.0, margins) - targets * margins))


def entropy(values: Floats) -> float:
    """The mean entropy of coins with these probabilities, in nats.

    >>> round(entropy(np.array([0.5, 1.0])), 4)
    0.3466
    """
    inside = values[(values > 0) & (values < 1)]
    return float(-(inside * np.log(inside) + (1 - inside) * np.log(1 - inside)).sum() / max(1, len(values)))


def brier(margins: Floats, targets: Floats) -> float:
    """The mean squared difference of p(+) and the target (Brier 1950)."""
    return float(np.mean((probabilities(margins) - targets) ** 2))


def spearman(left: Floats, right: Floats) -> float | None:
    """The correlation of ranks, ties averaged; `None` where one side is constant.

    >>> round(spearman(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.1, 0.9])), 4)
    0.866
    """
    ranks = _ranks(left), _ranks(right)
    if not (np.ptp(ranks[0]) and np.ptp(ranks[1])):
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def roc_points(margins: Floats, good: Bools) -> tuple[list[float], list[float]]:
    """False and true positive rates of the good class, a few hundred points of the curve. Needs both classes."""
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(good, margins)
    return _thinned(false), _thinned(true)


def error_points(margins: Floats, good: Bools) -> tuple[list[float], list[float]]:
    """Recall and precision of bad steps, where a step is called bad below a threshold. Needs both classes."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(~good, -margins)
    return _thinned(recall[::-1]), _thinned(precision[::-1])


def _thinned(values: Floats) -> list[float]:
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), _POINTS)).round().astype(int))
    return [float(value) for value in values[places]]


def _ranks(values: Floats) -> Floats:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def _by_problem(problems: Ints) -> list[Ints]:
    order = np.argsort(problems, kind="stable")
    ends = np.flatnonzero(np.diff(problems[order])) + 1
    return np.split(order, ends)
