"""A baseline for each step: the mean of the others of the group at the same place."""

from __future__ import annotations

from collections.abc import Sequence

_Line = Sequence[float | None]


def centred(group: Sequence[_Line]) -> list[list[float]]:
    """A_k less the mean of A_k over the other solutions that have a step k and know it. One entry per step; 0 for what is not
    known, and A_k itself where there are no others: what only one solution did is compared with nothing, and keeps its blame.

    No action of a solution changes what the others did, so the direction that is learnt is the same in expectation (as for RLOO,
    arXiv 2402.14740), and a step that went right where others went wrong is praised.

    >>> centred([[0.75, -0.5], [0.25, None, 1.0]])
    [[0.5, -0.5], [-0.5, 0.0, 1.0]]
    """
    known = [_known(group, place) for place in range(max(map(len, group), default=0))]
    return [[_less(each, values) for each, values in zip(line, known, strict=False)] for line in group]


def _known(group: Sequence[_Line], place: int) -> list[float]:
    return [each for line in group if place < len(line) and (each := line[place]) is not None]


def _less(own: float | None, values: Sequence[float]) -> float:
    """`own`, which is among `values`, less the mean of the others."""
    if own is None or len(values) < 2:
        return own or 0.0
    return own - (sum(values) - own) / (len(values) - 1)
