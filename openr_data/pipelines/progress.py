"""What a run tells while it works: plain numbers, drawn by whoever listens."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

EVERY_SECOND = "OPENR_DATA_PROGRESS_EVERY_SECOND"
"""Environment variable: a line of progress every second, for whoever starts workers and shows how they come on."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`done` of `total` items (`total` 0: not known), `before` of them by earlier attempts; tokens and completions generated in
    this process, and those reused. `final`: nothing follows, as all is done; `stopped`: nothing follows, though not all is done.
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
    stopped: bool = False

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


def read_snapshot(line: str) -> Snapshot | None:
    """A snapshot that another process wrote as a line of JSON (see `as_json` of the command line); `None` for any other line.

    >>> read_snapshot('{"event": "done", "stage": "merge", "done": 3, "total": null}').done
    3
    >>> read_snapshot("note: 3 rows could not be used") is None
    True
    """
    try:
        values = json.loads(line)
        numbers: dict[str, Any] = {name: values.get(name) or 0 for name in _NUMBERS}
        return Snapshot(stage=values["stage"], final=values["event"] == "done", **numbers)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


_NUMBERS = ("done", "total", "tokens", "completions", "reused", "rejected", "failed", "seconds", "before")
