"""Readings of stored counts: hard and soft labels, thresholds, first errors. Labels keep counts; a verdict is made only here."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import comb, exp, log
from typing import Literal

from openr_data.types import NO_ERROR, LabeledSolution, StepLabel

Rule = Literal["first_failure", "last_success"]
"""Where evidence that is not monotone puts the error: at the first prefix that failed (Math-Shepherd), or after the last one
that succeeded, since one success proves every shorter prefix (OmegaPRM's binary search). Monotone counts read the same."""

HALF = 0.5
"""OpenR labels a step right iff MC > 0.5, not iff MC > 0 as the paper does: the threshold that emulates its data."""


def soft_labels(labels: Sequence[StepLabel | None]) -> tuple[float | None, ...]:
    """The share of right rollouts of each step's prefix (SE, arXiv 2312.08935 Eq. 4; MC, 2406.06592 Eq. 1); `None`: not measured.

    >>> soft_labels([StepLabel(3, 4), None, StepLabel(0, 1)])
    (0.75, None, 0.0)
    """
    return tuple(label.value if label else None for label in labels)


def hard_labels(labels: Sequence[StepLabel | None], threshold: float = 0.0) -> tuple[bool | None, ...]:
    """Is the share above the threshold? 0 is the papers' hard label (HE, 2312.08935 Eq. 3: any hit), `HALF` is OpenR's.

    >>> labels = [StepLabel(3, 4), None, StepLabel(1, 4), StepLabel(0, 1)]
    >>> hard_labels(labels), hard_labels(labels, HALF)
    ((True, None, True, False), (True, None, False, False))
    """
    return tuple(label.value > threshold if label else None for label in labels)


def first_error(labels: Sequence[StepLabel | None], threshold: float = 0.0, rule: Rule = "last_success") -> int | None:
    """The 0-based first wrong step by the counts alone, `NO_ERROR`, or `None` where the counts leave it open.

    A step that was not measured is good if a later one is above the threshold; a gap right before the failure leaves it open.

    >>> skipped = [None, StepLabel(1, 8), StepLabel(0, 8), None, StepLabel(0, 1)]
    >>> first_error(skipped), first_error([None, StepLabel(0, 8)]), first_error([None, StepLabel(1, 1)])
    (2, None, -1)
    """
    hard = hard_labels(labels, threshold)
    start = max((i + 1 for i, good in enumerate(hard) if good), default=0) if rule == "last_success" else 0
    failed = next((i for i in range(start, len(hard)) if hard[i] is False), None)
    if failed is None:
        return NO_ERROR if hard and hard[-1] else None
    return failed if failed == 0 or hard[failed - 1] else None


def process_labels(labelled: LabeledSolution) -> tuple[bool | None, ...]:
    """One training label per step from the first error: good before it, wrong at it, `None` after it (nothing is known there).

    Steps that a search skipped before the error are good: a later prefix still had a hit. All `None` if undecided.
    """
    length, error = len(labelled.labels), labelled.first_error
    if error is None:
        return (None,) * length
    good = length if error == NO_ERROR else error
    return tuple(True if i < good else False if i == good else None for i in range(length))


def entropy_values(labels: Sequence[StepLabel | None], eta: float = 1.0) -> tuple[float | None, ...]:
    """(1 / eta) ln mean_j exp(eta r_j) over the rollouts j of each prefix, r_j their 0 or 1 (ER-PRM, arXiv 2412.11006).

    Between the share of hits (eta near 0) and "any hit" (eta large). Needs a fixed number of rollouts per prefix.

    >>> [round(value, 4) for value in entropy_values([StepLabel(0, 4), StepLabel(2, 4), StepLabel(4, 4)])]
    [0.0, 0.6201, 1.0]
    """
    if eta <= 0:
        raise ValueError(f"eta must be positive, not {eta}")
    return tuple(_entropy(label.value, eta) if label else None for label in labels)


def _entropy(share: float, eta: float) -> float:
    # exp(eta) is taken out of the mean, so that a large eta does not overflow.
    return 1.0 + log(share + (1.0 - share) * exp(-eta)) / eta if share else 0.0


def progress_values(labels: Sequence[StepLabel | None], root: StepLabel) -> tuple[float | None, ...]:
    """P_t = MC(after step t) / MC(before it) of every step (relative progress estimation, GenPRM, arXiv 2504.00891).

    `root` is the question's own value, before the first step. Everything after the first step without a hit is 0, as in the
    paper; `None` where a count is missing.

    >>> progress_values([StepLabel(3, 4), StepLabel(3, 8), StepLabel(0, 8), StepLabel(1, 8)], StepLabel(2, 4))
    (1.5, 0.5, 0.0, 0.0)
    """
    values: list[float | None] = []
    before: StepLabel | None = root
    for label in labels:
        values.append(0.0 if before and not before.hits else float(_share(label) / _share(before)) if label and before else None)
        before = before if before and not before.hits else label
    return tuple(values)


def first_without_progress(labels: Sequence[StepLabel | None], root: StepLabel, progress: float = 0.8) -> int | None:
    """The first step that keeps less than `progress` of the value it was given (GenPRM's hard label is wrong there).

    `NO_ERROR` if there is none, `None` where a missing count leaves it open.

    >>> first_without_progress([StepLabel(2, 4), StepLabel(3, 8), StepLabel(0, 8)], StepLabel(2, 4))
    1
    """
    before, least = root, exactly(progress)
    for step, label in enumerate(labels):
        if label is None:
            return None
        if not label.hits or _share(label) < least * _share(before):
            return step
        before = label
    return NO_ERROR


def first_below_root(labels: Sequence[StepLabel | None], root: StepLabel, share: float = 0.5) -> int | None:
    """The first step after which the value is below `share` of the question's own (EpicPRM's rule on counts, arXiv 2503.02382).

    `NO_ERROR` if there is none, `None` where a missing count leaves it open or where the question itself has no hit.

    >>> first_below_root([StepLabel(2, 8), StepLabel(1, 8), StepLabel(0, 8)], StepLabel(4, 8))
    1
    """
    for step, label in enumerate(labels):
        if label is None or not root.hits:
            return None
        if _share(label) < exactly(share) * _share(root):
            return step
    return NO_ERROR


def best_of(label: StepLabel, k: int) -> float | None:
    """The probability that one of `k` rollouts is right, 1 - (1 - V)^k, without bias: 1 - C(n - c, k) / C(n, k); `None` if n < k.

    >>> best_of(StepLabel(1, 4), 1), best_of(StepLabel(1, 4), 2), best_of(StepLabel(1, 4), 5)
    (0.25, 0.5, None)
    """
    if label.rollouts < k:
        return None
    return 1.0 - comb(label.rollouts - label.hits, k) / comb(label.rollouts, k)


def advantages(labels: Sequence[StepLabel | None], root: StepLabel | None, k: int = 1) -> tuple[float | None, ...]:
    """A(s, a) = Q(s, a) - V(s): what each step adds to the value under the prover that was counted (PAV, arXiv 2410.08146).

    `k` reads the counts as those of best-of-k of their policy, the paper's prover. The last label is the whole solution's
    verdict, 1/1 or 0/1, which best-of-k does not change. `None` where a count is missing or has fewer than `k` rollouts.

    >>> advantages([StepLabel(2, 4), StepLabel(1, 4), StepLabel(0, 1)], StepLabel(1, 4))
    (0.25, -0.25, -0.25)
    """
    proper = [best_of(label, k) if label else None for label in (root, *labels[:-1])]
    values = [*proper, *(label.value if label else None for label in labels[-1:])]
    return tuple(None if after is None or before is None else after - before for before, after in pairwise(values))


def exactly(number: float) -> Fraction:
    """The number as it is written, so that 0.8 of 5 is 4 and not a little more.

    >>> exactly(0.8) * 5
    Fraction(4, 1)
    """
    return Fraction(str(number))


def _share(label: StepLabel) -> Fraction:
    return Fraction(label.hits, label.rollouts)
