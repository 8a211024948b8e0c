"""Questions that are neither too easy nor too hard: the level follows the share of right answers. Knows numbers, no questions.

A question that is always or never answered rightly teaches a group nothing; PRIME (arXiv 2502.01456) keeps questions whose pass
rate lies between .2 and .8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openr_data.errors import UsageError


@dataclass(frozen=True, slots=True)
class Curriculum:
    """The level rises where the share of right answers of its last `window` updates is above `high`, and falls where it is below
    `low`. Raises `UsageError`.
    """

    low: float = 0.2
    high: float = 0.8
    window: int = 3

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1 or self.window < 1:
            raise UsageError("a curriculum's pass rates lie from 0 to 1, the lower one first, and its window is at least 1")


def next_level(past: Sequence[tuple[int, float]], levels: int, curriculum: Curriculum) -> int:
    """The place of the next update's level among `levels`. `past` are the levels and shares of right answers of all updates.

    A level is left once it was asked `window` times in a row; the first one is the easiest.

    >>> next_level([(0, 0.9)] * 3, 4, Curriculum()), next_level([(0, 0.9)] * 2, 4, Curriculum())
    (1, 0)
    """
    if not past:
        return 0
    level = past[-1][0]
    recent = [rate for asked, rate in past[-curriculum.window :] if asked == level]
    if len(recent) < curriculum.window:
        return level
    rate = sum(recent) / len(recent)
    step = (rate > curriculum.high) - (rate < curriculum.low)
    return min(max(level + step, 0), levels - 1)
