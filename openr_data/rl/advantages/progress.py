"""Advantages of steps from what they changed: process advantage verifiers (Setlur et al., arXiv 2410.08146)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

Group = Sequence[Sequence[float | None]]


def progress(scores: Group) -> list[list[float]]:
    """p_k - p_{k-1}: by how much a step raised the chance of a right answer. With p as the value of the state behind the step,
    that is the advantage of the step (gamma = 1, no reward before the end). One entry per step.

    Before the first step p is not known; the mean over the first steps of the group stands for it, as the expectation over them.
    A step whose score, or the one before, is not known has 0. No number of steps adds to the sum, which is p_K - p_0.

    >>> progress([[0.75, 0.25], [0.25, None, 0.5]])
    [[0.25, -0.5], [-0.25, 0.0, 0.0]]
    """
    known = [line[0] for line in scores if line and line[0] is not None]
    start = fmean(known) if known else None
    return [_changes([start, *line]) for line in scores]


def _changes(line: Sequence[float | None]) -> list[float]:
    pairs = pairwise(line)
    return [0.0 if before is None or after is None else after - before for before, after in pairs]
