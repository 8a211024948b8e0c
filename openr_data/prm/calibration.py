"""Do scores mean what they say? Reliability bins, expected calibration error, and a fit that mends it. Knows numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from openr_data.prm.metrics import Bools, Floats

BINS = 15
Method = Literal["platt", "temperature"]


@dataclass(frozen=True, slots=True)
class Bin:
    """Steps whose score lies in (low, high] (0 belongs to the first bin): their mean score and the share of them that is good."""

    low: float
    high: float
    count: int
    score: float
    good: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Bins of equal width, and bins that hold about as many steps each; empty ones are left out."""

    width: tuple[Bin, ...]
    mass: tuple[Bin, ...]

    @property
    def ece_width(self) -> float:
        return ece(self.width)

    @property
    def ece_mass(self) -> float:
        return ece(self.mass)


@dataclass(frozen=True, slots=True)
class Fit:
    """p(+) = sigmoid(scale * margin + shift)."""

    scale: float
    shift: float


def calibration(scores: Floats, good: Bools, bins: int = BINS) -> Calibration:
    """`scores` are probabilities, [steps]. The same score is never in two bins, so those of equal mass may be fewer."""
    even = np.linspace(0.0, 1.0, bins + 1)
    quantiles = np.unique(np.quantile(scores, even[1:-1])) if len(scores) else even[:0]
    return Calibration(_binned(scores, good, even), _binned(scores, good, np.array([0.0, *quantiles, 1.0])))


def ece(bins: Sequence[Bin]) -> float:
    """Expected calibration error: the mean distance of score and share, weighted by count (arXiv 1706.04599, Eq. 3).

    >>> ece([Bin(0.0, 0.5, 3, 0.25, 0.25), Bin(0.5, 1.0, 1, 0.75, 0.25)])
    0.125
    """
    total = sum(each.count for each in bins)
    return sum(each.count * abs(each.score - each.good) for each in bins) / max(1, total)


def fit(margins: Floats, good: Bools, method: Method = "platt") -> Fit:
    """Maximum likelihood of scale and shift (Platt 1999), or of scale alone (temperature scaling, arXiv 1706.04599, 4.2).

    The targets are Platt's (N+ + 1) / (N+ + 2) and 1 / (N- + 2), so that perfectly separated steps have a finite fit. Raises
    `ValueError` with one class only.
    """
    from sklearn.linear_model import LogisticRegression

    if good.all() or not good.any():
        raise ValueError("good and bad steps are both needed")
    right, wrong = int(good.sum()), int((~good).sum())
    targets = np.where(good, (right + 1) / (right + 2), 1 / (wrong + 2))
    model: Any = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000, fit_intercept=method == "platt")
    unit = float(np.abs(margins).mean()) or 1.0  # the solver likes features near 1
    model.fit(
        np.concatenate([margins, margins])[:, None] / unit,
        np.repeat([1, 0], len(margins)),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    return Fit(float(model.coef_[0, 0]) / unit, float(model.intercept_[0]) if method == "platt" else 0.0)


def _binned(scores: Floats, good: Bools, edges: Floats) -> tuple[Bin, ...]:
    place = np.searchsorted(edges[1:-1], scores, side="left")
    found = []
    for number, (low, high) in enumerate(pairwise(edges)):
        inside = place == number
        if inside.any():
            share = float(good[inside].mean())
            found.append(Bin(float(low), float(high), int(inside.sum()), float(scores[inside].mean()), share))
    return tuple(found)
