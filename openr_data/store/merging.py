"""Makes the run of its parts: the shards, the manifest and the journal that one process would have left. Knows no engine.

What is there is only ever completed: a merge that was killed is begun again, and a merge that was done changes nothing.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from openr_data.errors import RunDirError, StorageError
from openr_data.store import opening
from openr_data.store.atomic import file_digest, write_text
from openr_data.store.frames import checksum
from openr_data.store.journal_file import COMPLETIONS, connect_to_write
from openr_data.store.lock import DirectoryLock
from openr_data.store.manifest import NAME as MANIFEST
from openr_data.store.manifest import Manifest, TableSize
from openr_data.store.notes import NoteFile
from openr_data.store.opening import JOURNAL
from openr_data.store.parts import ARROW, Part, Plan, check_parts, open_parts
from openr_data.store.run_record import NAME as RUN
from openr_data.store.run_record import RunIdentity, RunRecord

Tick = Callable[[int, int], None]
"""Called with the items that are sealed, and all of them."""

RenderCard = Callable[[RunRecord, Mapping[str, TableSize], Mapping[str, int]], str | None]
"""The data card of the run, from its record, the sizes and the counts; `None`: the one that is there stays."""

_PAID = "SELECT name, value FROM totals WHERE name IN ('completions', 'tokens')"
_BATCH = 1000
_SAVE_SECONDS = 2.0
_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Merged:
    """The run that the parts made. `changed` is false where these parts were merged before: nothing was done."""

    items: int
    rejected: int
    failed: int
    sizes: Mapping[str, TableSize]
    totals: Mapping[str, float]
    changed: bool = True


def merge_parts(
    paths: Sequence[Path],
    out: Path,
    *,
    render: RenderCard,
    items: int | None = None,
    rejects: Iterable[Mapping[str, Any]] | None = None,
    tick: Tick = lambda done, total: None,
) -> Merged:
    """The run of these parts at `out`: its data files and manifest are those that one process would have written.

    Memory does not grow with the items. Everything that can be refused is refused before `out` is touched. `items` and
    `rejects` (the notes on rows that could not be used) come from a caller that has read the input; without them, from the parts.
    Raises `RunDirError`, `UsageError`, `StorageError`.
    """
    with open_parts(paths) as parts:
        if any(out.resolve() == part.path.resolve() for part in parts):
            raise RunDirError(f"{out} is one of the parts; merge into another directory")
        if (out / RUN).exists() and _is_merged(parts, record := RunRecord.load(out)):
            return _merged(record, Manifest.load(out), _lines(out / "rejects.jsonl"), changed=False)
        plan = check_parts(parts, items)
        with DirectoryLock(opening.directory(out, "merge")):
            return _Merge(parts, plan, out, tick).run(render, rejects)


class _Merge:
    def __init__(self, parts: Sequence[Part], plan: Plan, out: Path, tick: Tick) -> None:
        self._parts, self._plan, self._out, self._tick = parts, plan, out, tick
        self._identity = RunIdentity.of_plain(parts[0].record.identity)

    def run(self, render: RenderCard, rejects: Iterable[Mapping[str, Any]] | None) -> Merged:
        settings = {name: value for part in reversed(self._parts) for name, value in part.record.settings.items()}
        arrow = settings.pop(ARROW, False)
        opened = opening.prepare(self._out, self._identity, "merge", None, settings)
        record, manifest = opened.record, opened.manifest
        record.status, record.manifest, record.attempts = "running", "", record.attempts + 1
        record.save(self._out)
        self._join_journals(record)
        manifest = self._seal(manifest)
        self._clear_results()
        rejected, failed = self._note(rejects, manifest)
        self._count(record)
        record.items = self._plan.items
        sizes = {table: manifest.size(table) for table in manifest.tables}
        counts = {"problems": self._plan.items, "rejected rows": rejected, "failed problems": failed}
        card = render(record, sizes, counts)
        if card is not None:
            write_text(self._out / "README.md", card)
        if arrow:
            self._write_arrow(manifest)
        record.status, record.manifest = "finished", file_digest(self._out / MANIFEST)
        record.save(self._out)
        return _merged(record, manifest, rejected, changed=True)

    def _seal(self, manifest: Manifest) -> Manifest:
        """Every shard that is not there yet. The manifest is saved now and then: what it does not name is written again."""
        from openr_data.store.shards import ShardWriter

        size, saved = self._identity.shard_items, time.monotonic()
        due = [shard for shard in range(-(-self._plan.items // size)) if shard not in manifest.shards]
        rows = _Rows(self._parts, due[0] * size if due else 0)
        for index in due:
            start, stop = index * size, min((index + 1) * size, self._plan.items)
            writer = ShardWriter(self._out, manifest.tables, index, start, stop)
            try:
                for page in rows.pages(start, stop):
                    writer.add(page)
                shard = writer.finish(tuple(item for item in self._plan.failed if start <= item < stop))
            except BaseException:
                writer.abandon()
                raise
            manifest = manifest.adding(shard)
            self._tick(stop, self._plan.items)
            if time.monotonic() - saved > _SAVE_SECONDS:
                manifest.save(self._out)
                saved = time.monotonic()
        manifest.save(self._out)
        return manifest

    def _write_arrow(self, manifest: Manifest) -> None:
        from openr_data.store.arrow_export import write_arrow

        write_arrow(self._out, manifest)

    def _join_journals(self, record: RunRecord) -> None:
        """The union of the completions, and what all parts have paid for them, each counted once."""
        with _writer(self._out / JOURNAL) as writer:
            for part in self._parts:
                _copy(part.connection, writer)
                _add_paid(part, writer)
            paid = dict(writer.execute(_PAID))
        for name, amount in paid.items():
            record.totals[f"paid_{name}"] = amount - record.inherited.get(name, 0)

    def _clear_results(self) -> None:
        """Every item is in a shard now."""
        with _writer(self._out / JOURNAL) as writer:
            writer.execute("DELETE FROM results")
            writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _note(self, rejects: Iterable[Mapping[str, Any]] | None, manifest: Manifest) -> tuple[int, int]:
        """Rejects (every part has met them all) and failures; returns how many there are of each."""
        notes, count = NoteFile(self._out / "rejects.jsonl"), 0
        for note in rejects if rejects is not None else self._rejects():
            notes.add(note)
            count += 1
        notes.publish()
        failures = NoteFile(self._out / "failures.jsonl", sort_by="item")
        failed = [item for shard in manifest.shards.values() for item in shard.failed]
        for item in failed:
            failures.add({"item": item, **json.loads(self._plan.failed[item])})
        failures.publish()
        return count, len(failed)

    def _rejects(self) -> Iterator[dict[str, Any]]:
        """Of a part that has read the whole input."""
        whole = next((part for part in self._parts if part.record.items is not None), self._parts[0])
        path = whole.path / "rejects.jsonl"
        if path.is_file():
            with path.open(encoding="utf-8", newline="\n") as file:
                yield from map(json.loads, file)

    def _count(self, record: RunRecord) -> None:
        """Add what each part has done to the totals, less what it has added before."""
        for part in self._parts:
            now, before = _amounts(part), record.merged.get(part.record.part_id, {})
            for name in now.keys() | before.keys():
                if name != "attempts" and not name.startswith("paid_"):
                    record.totals[name] = round(record.totals.get(name, 0) + now.get(name, 0) - before.get(name, 0), 3)
            record.merged[part.record.part_id] = now
            for each in part.record.versions:
                if each not in record.versions:
                    record.versions.append(each)


def _is_merged(parts: Sequence[Part], record: RunRecord) -> bool:
    """Are these parts, as they are now, in the run already?"""
    return record.status == "finished" and all(record.merged.get(part.record.part_id) == _amounts(part) for part in parts)


def _merged(record: RunRecord, manifest: Manifest, rejected: int, *, changed: bool) -> Merged:
    sizes = {table: manifest.size(table) for table in manifest.tables}
    failed = sum(len(shard.failed) for shard in manifest.shards.values())
    return Merged(record.items or 0, rejected, failed, sizes, dict(record.totals), changed)


class _Rows:
    """The parts' results in item order, from one place on, in pages; what stands in several parts comes once."""

    def __init__(self, parts: Sequence[Part], start: int) -> None:
        streams = (part.results(start) for part in parts)
        merged = heapq.merge(*streams, key=itemgetter(0))
        self._rows = (next(same) for _, same in groupby(merged, key=itemgetter(0)))
        self._next = next(self._rows, None)

    def pages(self, start: int, stop: int) -> Iterator[list[tuple[int, bytes]]]:
        """What is before `start` is passed over: it is in a shard already."""
        page: list[tuple[int, bytes]] = []
        room = _BYTES
        while self._next is not None and self._next[0] < stop:
            if self._next[0] >= start:
                page.append(self._next)
                room -= len(self._next[1])
            self._next = next(self._rows, None)
            if room <= 0:
                yield page
                page, room = [], _BYTES
        if page:
            yield page


@contextmanager
def _writer(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(connect_to_write(path)) as connection:
            yield connection
    except sqlite3.Error as fault:
        raise StorageError(f"{path} refused data ({fault}); free the disk and merge again") from fault


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Completions that are not there yet; damaged ones stay behind."""
    cursor = source.execute(COMPLETIONS)
    while rows := cursor.fetchmany(_BATCH):
        target.execute("BEGIN IMMEDIATE")
        sound = [row for row in rows if row[2] == checksum(row[0], row[1])]
        target.executemany("INSERT OR IGNORE INTO completions VALUES (?, ?, ?)", sound)
        target.execute("COMMIT")


def _add_paid(part: Part, target: sqlite3.Connection) -> None:
    """What the part has paid for, less what it was counted with before, in one transaction with the mark of it."""
    paid = dict(part.connection.execute(_PAID))
    target.execute("BEGIN IMMEDIATE")
    for name, value in paid.items():
        mine = f"{name} of {part.record.part_id}"
        (before,) = target.execute("SELECT coalesce(max(value), 0) FROM totals WHERE name = ?", (mine,)).fetchone()
        amount = value - part.record.inherited.get(name, 0)
        target.execute("UPDATE totals SET value = value + ? WHERE name = ?", (amount - before, name))
        target.execute("INSERT OR REPLACE INTO totals VALUES (?, ?)", (mine, amount))
    target.execute("COMMIT")


def _amounts(part: Part) -> dict[str, float]:
    return {"attempts": part.record.attempts, **part.record.totals}


def _lines(path: Path) -> int:
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)
