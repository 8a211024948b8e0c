"""A baseline for each step: the group's mean at the same place."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

_Line = Sequence[float | None]


def centred(group: Sequence[_Line]) -> list[list[float]]:
    """A_k less the mean of A_k over the solutions that have a step k and know it. One entry per step; 0 for what is not known.

    No action of a solution changes what the others did, so the direction that is learnt is the same in expectation, and no place
    of a solution is pushed up or down as such: a step that went right where others went wrong is praised.

    >>> centred([[0.75, -0.5], [0.25, None, 1.0]])
    [[0.25, 0.0], [-0.25, 0.0, 0.0]]
    """
    means = [_mean(group, place) for place in range(max(map(len, group), default=0))]
    return [[0.0 if each is None else each - mean for each, mean in zip(line, means, strict=False)] for line in group]


def _mean(group: Sequence[_Line], place: int) -> float:
    known = [each for line in group if place < len(line) and (each := line[place]) is not None]
    return fmean(known) if known else 0.0
