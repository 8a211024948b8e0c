"""What publishing reports: plain values for a terminal and for programs. Knows neither runs nor places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from openr_data.hub.files import Change

Sending = Callable[[str, int, int], None]
"""Called with what is under way, the bytes that are done and all of them."""

Status = Literal["published", "unchanged", "dry run"]


@dataclass(frozen=True, slots=True)
class Published:
    """`changes` names every file. `commit`, `tag` and `private` are of a repository; `rows` counts by table and split."""

    place: str
    status: Status
    changes: tuple[Change, ...]
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    commit: str = ""
    tag: str = ""
    private: bool | None = None
    notes: tuple[str, ...] = ()

    @property
    def sent(self) -> int:
        """Bytes of the files that are new or changed."""
        return sum(change.size for change in self.changes if change.kind in {"new", "changed"})

    def plain(self) -> dict[str, Any]:
        return {**asdict(self), "bytes": self.sent}
