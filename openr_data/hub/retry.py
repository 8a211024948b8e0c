"""How often and how long to wait before asking again. Knows seconds, not servers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Note = Callable[[str], None]
"""Called with a short sentence for the person who waits."""


@dataclass(frozen=True, slots=True)
class Patience:
    """`attempts` tries; waits grow from `first` to `cap` seconds, each drawn between half and whole, so that not all come back at
    the same moment. A server that asks for more than `longest` seconds is given up on; the Hub counts
    requests in windows of 300.
    """

    attempts: int = 6
    first: float = 1.0
    cap: float = 30.0
    longest: float = 330.0
    sleep: Callable[[float], object] = time.sleep
    note: Note = field(default=lambda _: None)

    def waits(self) -> Iterator[float]:
        """The seconds between the tries: one fewer than tries.

        >>> [round(w) for w in Patience(attempts=4, first=8, cap=16).waits()] == []
        False
        """
        for attempt in range(self.attempts - 1):
            whole = min(self.cap, self.first * 2**attempt)
            yield whole * random.uniform(0.5, 1.0)

    def wait(self, seconds: float, asked: float | None, why: str) -> bool:
        """Wait at least as long as the server asked; false where that is too long."""
        seconds = max(seconds, asked or 0.0)
        if seconds > self.longest:
            return False
        self.note(f"{why}; trying again in {seconds:.0f} s")
        self.sleep(seconds)
        return True
