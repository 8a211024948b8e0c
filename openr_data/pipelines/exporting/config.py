"""What an export is asked for, and what came of it: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from openr_data.errors import UsageError
from openr_data.layouts import LAYOUTS
from openr_data.layouts.base import Labels, Layout
from openr_data.pipelines.splits import NAMES, Splits

SHARD_BYTES = 500_000_000
EVERYTHING = Splits(1.0, 0.0, 0.0)
_FILTERS = ("labels", "after_error", "keep_uncertain", "min_confidence", "origin", "separator")


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """`labels`: hard labels, soft values, or `auto` (what the layout usually holds). `after_error`: `cut` ends a solution with
    its first wrong step. `min_confidence` is asked of solutions that have a confidence. `separator` joins steps where the layout
    holds them as one text (default: that of the run). `shard_bytes` bounds a file.
    """

    format: str
    labels: Literal["auto", "hard", "soft"] = "auto"
    after_error: Literal["keep", "cut"] = "keep"
    keep_uncertain: bool = False
    min_confidence: float = 0.0
    origin: Literal["all", "given", "rollout"] = "all"
    splits: Splits = EVERYTHING
    separator: str | None = None
    pairs_per_problem: int = 8
    shard_bytes: int = SHARD_BYTES

    @property
    def layout(self) -> Layout:
        """Raises `UsageError` for an unknown format, or for labels that the layout cannot hold."""
        layout = LAYOUTS.get(self.format)
        if layout is None:
            raise UsageError(f"--format is one of {', '.join(LAYOUTS)}, not '{self.format}'")
        if self.labels != "auto" and self.labels not in layout.labels:
            raise UsageError(f"the layout {layout.name} has no place for {self.labels} labels; it holds {layout.labels[0]} ones")
        return layout

    @property
    def reading(self) -> Labels:
        return self.layout.labels[0] if self.labels == "auto" else self.labels

    @property
    def soft(self) -> bool:
        return self.reading == "soft"

    @property
    def filters(self) -> bool:
        """Is anything asked for that a published row could not satisfy as it is?"""
        usual = ExportConfig(self.format)
        return any(getattr(self, name) != getattr(usual, name) for name in _FILTERS)

    def plain(self) -> dict[str, Any]:
        splits = dict(zip(NAMES, self.splits.shares, strict=True))
        names = ("format", *_FILTERS, "pairs_per_problem", "shard_bytes")
        return {**{name: getattr(self, name) for name in names}, "splits": splits}


@dataclass(frozen=True, slots=True)
class ExportFile:
    """`path` is relative to the export; `arrow_bytes` is the size of the rows in memory."""

    split: str
    path: str
    rows: int
    bytes: int
    arrow_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """Of `solutions` that the run holds, `used` stand in the `rows` that were written, the others are `dropped`, by reason.

    `steps` are those of the solutions whose labels were selected (a layout may drop further ones), `filled` those of them whose
    soft value is their hard label, as they were not measured.
    `left_out` are pairs beyond the bound. `faithful`: the rows are those that were imported. `unchanged`: the directory held
    this export already. `seconds` is how long it took.
    """

    out: str
    format: str
    labels: str
    faithful: bool
    solutions: int
    used: int
    dropped: Mapping[str, int]
    rows: int
    steps: int
    filled: int
    left_out: int
    splits: Mapping[str, int]
    files: tuple[ExportFile, ...]
    seconds: float = 0.0
    unchanged: bool = False


@dataclass(slots=True)
class Tally:
    """What is counted on the way."""

    solutions: int = 0
    used: int = 0
    steps: int = 0
    filled: int = 0
    left_out: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, reasons: Mapping[str, int]) -> None:
        for reason, count in reasons.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    @property
    def by_reason(self) -> dict[str, int]:
        return dict(sorted(self.dropped.items(), key=lambda pair: (-pair[1], pair[0])))


def existing(path: Path) -> bool:
    """Does something lie there that may not be overwritten?"""
    return path.exists() and (not path.is_dir() or any(path.iterdir()))
