"""`merge`: the parts of a run become the run. What is merged, and when it may be, is known to `openr_data.store.merging`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from openr_data.errors import Interrupted
from openr_data.pipelines.progress import Report, Snapshot, silent
from openr_data.pipelines.run_card import automatic_card
from openr_data.store.merging import merge_parts


@dataclass(frozen=True, slots=True)
class MergeSummary:
    """What the merge left at `out`. `totals` sum over every attempt at every part; `changed` is false where these parts, as they
    are, were merged before, and nothing was done.
    """

    out: str
    parts: int
    items: int
    rows: Mapping[str, int]
    rejected: int
    failed: int
    changed: bool
    seconds: float
    totals: Mapping[str, float]


def merge(
    parts: Sequence[Path],
    out: Path,
    *,
    items: int | None = None,
    rejects: Iterable[Mapping[str, Any]] | None = None,
    report: Report = silent,
    warn: Callable[[str], None] = lambda _: None,
) -> MergeSummary:
    """Merge parts (of `--shard`, or of an executor) into the run at `out`, byte for byte that of one process.

    `items` and `rejects` come from a caller that has read the input itself; without them the parts say so. Raises `RunDirError`
    or `UsageError` for parts that do not make one whole run, before `out` is touched, and `StorageError`. A merge that was
    stopped is done again by the same call.
    """
    began = time.monotonic()
    card = partial(automatic_card, out, warn=warn)

    def tick(done: int, total: int, *, final: bool = False) -> None:
        seconds = time.monotonic() - began
        report(Snapshot("merge", done, total, 0, 0, 0, 0, 0, seconds, final))

    try:
        merged = merge_parts(parts, out, render=card, items=items, rejects=rejects, tick=tick)
    except KeyboardInterrupt:
        raise Interrupted("the merge was stopped; the same command does the rest") from None
    tick(merged.items, merged.items, final=True)
    return MergeSummary(
        out=str(out),
        parts=len(parts),
        items=merged.items,
        rows={name: size.rows for name, size in merged.sizes.items()},
        rejected=merged.rejected,
        failed=merged.failed,
        changed=merged.changed,
        seconds=time.monotonic() - began,
        totals=merged.totals,
    )
