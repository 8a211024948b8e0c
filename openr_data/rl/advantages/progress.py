"""Advantages of steps from what they changed: process advantage verifiers (Setlur et al., arXiv 2410.08146)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

Group = Sequence[Sequence[float | None]]
_Line = Sequence[float | None]


def progress(scores: Group) -> list[list[float]]:
    """p_k - p_{k-1} less the group's mean of it at step k. One entry per step.

    With p as the value of the state behind a step, the first part is the advantage of the step (gamma = 1, no reward before the
    end): blame lies on the step that went wrong. The second is a baseline that no action changes, so that a step which went right
    where others went wrong is praised, and no place of a solution is pushed up or down as such. What was before the first step is
    the same for all, and 0 here. A step whose score, or the one before, is not known has 0 and is in no mean.

    >>> progress([[0.75, 0.75], [0.75, 0.25]])
    [[0.0, 0.25], [0.0, -0.25]]
    """
    changes = [_changes(line) for line in scores]
    means = [_mean(changes, place) for place in range(max(map(len, changes), default=0))]
    return [[0.0 if each is None else each - mean for each, mean in zip(line, means, strict=False)] for line in changes]


def _changes(line: _Line) -> list[float | None]:
    return [None if before is None or after is None else after - before for before, after in pairwise([0.0, *line])]


def _mean(changes: Sequence[_Line], place: int) -> float:
    known = [line[place] for line in changes if place < len(line)]
    return fmean([each for each in known if each is not None] or [0.0])
