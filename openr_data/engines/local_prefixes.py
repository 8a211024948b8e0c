"""Prefix caching: which prefilled prompts stay in the spare rows of the cache, and which one makes room. Knows rows, not models.

Searches ask for one sample of a prefix at a time, and for prefixes that begin alike (every step prefix begins with its question).
By the time of the next request the row of the last one often holds something else: the spare rows hold its prompt still.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class KeptPrompts:
    """The rows `first`..`first + count - 1`, at most one prompt in each. The least recently used one makes room."""

    def __init__(self, first: int, count: int) -> None:
        self.first = first
        self._used = np.zeros(count, np.int64)
        self._clock = 0

    @property
    def count(self) -> int:
        return len(self._used)

    def shrink(self, count: int) -> None:
        """Give the last rows up."""
        self._used = self._used[:count]

    def place_for(self, length: int, shared: NDArray[np.int64], held: NDArray[np.int64]) -> int | None:
        """The row in which to keep a prompt of `length` tokens, or None: one of them holds all of it, or there is none.

        Of every row of the cache, `shared` says how much of the prompt it holds and `held` how much it holds at all. A kept
        prompt that this one extends gives its place, since the longer one serves both.
        """
        if not self.count or not length:
            return None
        self._clock += 1
        shared, held = shared[self.first :], held[self.first :]
        best = int(shared.argmax())
        whole = int(shared[best]) == length
        row = best if whole or 0 < held[best] == shared[best] else int(self._used.argmin())
        self._used[row] = self._clock
        return None if whole else self.first + row
