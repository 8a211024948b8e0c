"""Which sequences go through the model together: those of like length, under a budget of tokens. Knows numbers only."""

from __future__ import annotations

from collections.abc import Sequence


def by_length(lengths: Sequence[int]) -> list[int]:
    """Indices, the longest first: what does not fit the memory is met at once.

    >>> by_length([3, 10, 4, 10])
    [1, 3, 2, 0]
    """
    return sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))


def fill(lengths: Sequence[int], order: Sequence[int], start: int, budget: int) -> int:
    """Where a batch that begins at `start` of the order ends: padded to its first, it stays within `budget` tokens.

    A sequence longer than the budget goes alone.

    >>> fill([3, 10, 4, 10], [1, 3, 2, 0], start=0, budget=25), fill([3, 10, 4, 10], [1, 3, 2, 0], start=2, budget=25)
    (2, 4)
    """
    rows = max(1, budget // max(1, lengths[order[start]]))
    return min(len(order), start + rows)
