"""Reading a run's tables: streaming by item for later stages, lazily for statistics. Trusts only the manifest, writes nothing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openr_data.errors import RunDirError
from openr_data.store.codecs import read_labeled, read_node, read_problem, read_solution
from openr_data.store.frames import Row
from openr_data.store.manifest import NAME as MANIFEST
from openr_data.store.manifest import Manifest, Shard, TableSize
from openr_data.store.published_manifest import read_manifest
from openr_data.store.run_record import NAME as RUN
from openr_data.store.run_record import RunRecord
from openr_data.store.table_rows import table_rows
from openr_data.types import LabeledSolution, Node, Problem, Solution

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class ItemRecords:
    """All records of one item. `skipped` is empty, or why the labeler dropped the problem."""

    item: int
    problem: Problem
    skipped: str
    solutions: tuple[Solution, ...] = ()
    labeled: tuple[LabeledSolution, ...] = ()
    nodes: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class RunReader:
    """A run as it lies on the disk. A run that is still going, or was stopped, shows its sealed shards: see `complete`."""

    path: Path
    record: RunRecord
    manifest: Manifest

    @classmethod
    def open(cls, path: Path) -> RunReader:
        """Raises `RunDirError` where there is no run, or a damaged one."""
        if not (path / RUN).is_file():
            raise RunDirError(f"{path} is not a run directory: it has no {RUN}")
        try:
            record = RunRecord.load(path)
        except RunDirError:
            if read_manifest(path) is None:
                raise
            raise RunDirError(f"{path} is a published data set and no run directory; openr_data.load opens it") from None
        if record.part:
            raise RunDirError(f"{path} is part {record.part} of a run; `openr-data merge` makes the run of its parts")
        manifest = Manifest.load(path)
        if manifest.digest != record.digest:
            raise RunDirError(f"{path / MANIFEST} belongs to another run; run `openr-data verify {path}`")
        return cls(path, record, manifest)

    @property
    def complete(self) -> bool:
        """Do the sealed shards cover every item?"""
        return self.record.items is not None and sum(s.stop - s.start for s in self.manifest.shards.values()) == self.record.items

    def size(self, table: str) -> TableSize:
        self._need(table)
        return self.manifest.size(table)

    def files(self, table: str) -> list[Path]:
        """The Parquet files of a table, in item order."""
        self._need(table)
        return [self.path / file.path for file in self.manifest.files(table)]

    def rows(self, table: str) -> Iterator[Row]:
        """Every row of a table, in item order, with page checksums verified. Raises `RunDirError` on a damaged shard."""
        self._need(table)
        for shard in self.manifest.shards.values():
            yield from self._shard_rows(shard, table)

    def items(self, *, tables: tuple[str, ...] | None = None, only: Collection[int] | None = None) -> Iterator[ItemRecords]:
        """The items in order, one at a time in memory; `tables` limits what is read beside the problems (default: all).

        `only`: these items alone; shards and row groups without them are not read.
        """
        wanted = [t for t in self.manifest.tables if t != "problems" and (tables is None or t in tables)]
        asked = None if only is None else sorted(only)
        for shard in self.manifest.shards.values():
            here = None if asked is None else asked[bisect_left(asked, shard.start) : bisect_left(asked, shard.stop)]
            if here is None or here:
                others = {table: self._shard_rows(shard, table, here) for table in wanted}
                yield from join_items(self._shard_rows(shard, "problems", here), others)

    def scan(self, table: str) -> pl.LazyFrame:
        """The table as a lazy polars frame, for statistics."""
        import polars as pl

        files = self.files(table)
        if not files:
            raise RunDirError(f"{self.path} has no finished shard yet; continue it with --resume")
        return pl.scan_parquet(files, glob=False)  # a folder may be called runs/[1]

    def _need(self, table: str) -> None:
        if table not in self.manifest.tables:
            raise RunDirError(f"{self.path} has no table '{table}'; it has {', '.join(self.manifest.tables)}")

    def _shard_rows(self, shard: Shard, table: str, only: Sequence[int] | None = None) -> Iterator[Row]:
        file = shard.files[table]
        return table_rows(self.path / file.path, table, file.rows, f"run `openr-data verify {self.path} --repair`", only)


def join_items(problems: Iterator[Row], others: Mapping[str, Iterator[Row]]) -> Iterator[ItemRecords]:
    """The records of each problem, out of the rows of its own table and of others by name; all are in item order."""
    cursors = {table: Cursor(rows) for table, rows in others.items()}
    for row in problems:
        yield _records(row, {table: cursor.take(row["item"]) for table, cursor in cursors.items()})


class Cursor:
    """Hands out the rows of one table item by item: both, and what is asked for, are in item order."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._groups = groupby(rows, key=itemgetter("item"))
        self._next = self._advance()

    def take(self, item: int) -> list[Row]:
        if self._next is None or self._next[0] != item:
            return []
        rows = self._next[1]
        self._next = self._advance()
        return rows

    def _advance(self) -> tuple[int, list[Row]] | None:
        group = next(self._groups, None)
        return None if group is None else (group[0], list(group[1]))


def _records(problem: Row, rows: dict[str, list[Row]]) -> ItemRecords:
    rollouts: dict[Any, list[Row]] = {}
    for row in rows.get("rollouts", ()):
        rollouts.setdefault(row["node_id"], []).append(row)
    return ItemRecords(
        item=problem["item"],
        problem=read_problem(problem),
        skipped=problem["skipped"],
        solutions=tuple(map(read_solution, rows.get("solutions", ()))),
        labeled=tuple(map(read_labeled, rows.get("labeled", ()))),
        nodes=tuple(read_node(row, rollouts.get(row["node_id"], ())) for row in rows.get("nodes", ())),
    )
