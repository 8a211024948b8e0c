"""What a run tells while it works: plain numbers, drawn by whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`done` of `total` items (`total` 0: not known), `before` of them by earlier attempts; tokens and completions generated in
    this process, and those reused.
    """

    stage: str
    done: int
    total: int
    tokens: int
    completions: int
    reused: int
    rejected: int
    failed: int
    seconds: float
    final: bool = False
    before: int = 0

    @property
    def items_per_second(self) -> float:
        return (self.done - self.before) / self.seconds if self.seconds > 0 else 0.0

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds > 0 else 0.0

    @property
    def eta_seconds(self) -> float | None:
        """At the rate so far; `None` while it cannot be said.

        >>> Snapshot("generate", 75, 100, 0, 0, 0, 0, 0, seconds=10.0, before=50).eta_seconds
        10.0
        """
        if not self.total or not self.items_per_second:
            return None
        return max(0.0, (self.total - self.done) / self.items_per_second)


Report = Callable[[Snapshot], None]


def silent(_: Snapshot) -> None:
    """Tell nobody."""
