"""Which sequences go through the model together: sorted by length, under a budget of tokens. Knows numbers only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices, the longest first; rows times the longest of a batch stay within `budget` tokens (a single row may exceed it).

    >>> list(batches([3, 10, 4, 9], budget=20))
    [[1, 3], [2, 0]]
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
