"""Scores that do not forget: behind a wrong step nothing is right again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate


def carried(scores: Sequence[float | None]) -> list[float | None]:
    """The least score so far. One entry per step; `None` where a score is not known, which is passed over.

    A process reward model that learnt from first errors says of a step whether it is right, and nothing in particular of those
    behind a wrong one. The least score so far is that the solution is still right.

    >>> carried([0.9, 0.2, None, 0.8])
    [0.9, 0.2, None, 0.2]
    """
    least = accumulate(scores, _lower)
    return [None if score is None else low for score, low in zip(scores, least, strict=True)]


def _lower(low: float | None, score: float | None) -> float | None:
    return min((each for each in (low, score) if each is not None), default=None)
