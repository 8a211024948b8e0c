"""A baseline for each step: the mean of the others of the group at the same place."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from openr_data.rl.advantages.grouped import rloo

_Line = Sequence[float | None]


def centred(group: Sequence[_Line]) -> list[list[float]]:
    """A_k less the mean of A_k over the other solutions that have a step k and know it. One entry per step; 0 for what is not
    known, and A_k itself where there are no others: what only one solution did is compared with nothing, and keeps its blame.

    No action of a solution changes what the others did, so the direction that is learnt is the same in expectation (as for RLOO,
    arXiv 2402.14740), and a step that went right where others went wrong is praised.

    >>> centred([[0.75, -0.5], [0.25, None, 1.0]])
    [[0.5, -0.5], [-0.5, 0.0, 1.0]]
    """
    columns = [_less_others(column) for column in zip_longest(*group)]
    return [[column[row] for column in columns[: len(line)]] for row, line in enumerate(group)]


def _less_others(column: _Line) -> list[float]:
    known = sum(each is not None for each in column)
    return rloo(column) if known > 1 else [each or 0.0 for each in column]
