"""A run directory: made, resumed or forked, filled item by item, and closed. Knows items and rows, not what they are about."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeVar

from openr_data.store import opening
from openr_data.store.atomic import file_digest, write_text
from openr_data.store.frames import Row, pack_tables
from openr_data.store.journal import Journal
from openr_data.store.lock import DirectoryLock
from openr_data.store.manifest import NAME as MANIFEST
from openr_data.store.manifest import TableSize
from openr_data.store.notes import NoteFile
from openr_data.store.progress import Progress
from openr_data.store.run_record import RunIdentity, RunRecord, Status
from openr_data.store.schemas import TABLES
from openr_data.store.units import NO_MARK

T = TypeVar("T")
Mode = Literal["new", "resume"]


@asynccontextmanager
async def open_run(
    path: Path,
    identity: RunIdentity,
    *,
    mode: Mode = "new",
    fork_of: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    part: str = "",
) -> AsyncIterator[RunDir]:
    """The run directory at `path`, locked for this process until the block ends; `settings` are saved but never compared.

    `new` refuses a directory that holds anything; `resume` continues the same run, or starts it where nothing is there yet.
    `fork_of` starts a new run (its own configuration, no records) with the completions of another run's journal.
    `part` names a share of the run (`2/7`, or a worker's name): the directory then keeps the results of some items, under their
    numbers in the whole run, and is never sealed; `openr_data.store.merging` makes the run of its parts.
    Leaving the block without `close` marks the run interrupted, or failed after an error. Raises `RunDirError`,
    `StorageError`.
    """
    with DirectoryLock(opening.directory(path, mode)):
        opened = await asyncio.to_thread(opening.prepare, path, identity, mode, fork_of, settings or {}, part)
        run = RunDir(path, identity, opened)
        try:
            await run.start()
            yield run
        except BaseException as fault:
            interrupted = isinstance(fault, asyncio.CancelledError | KeyboardInterrupt)
            await run.leave("interrupted" if interrupted else "failed")
            raise
        await run.leave("interrupted")


class RunDir:
    """An open run. Records are appended by item and never change; order of completion does not matter.

    `journal` keeps completions. `progress` says which items are finished. `redone` names the shards that were found damaged at
    opening and are done again, from the journal.
    """

    def __init__(self, path: Path, identity: RunIdentity, opened: opening.Opened) -> None:
        self.path, self.identity = path, identity
        self.record: RunRecord = opened.record
        self.redone = opened.redone
        self.journal = Journal(path / "journal.sqlite")
        self.progress = Progress(identity.shard_items)
        self._manifest = opened.manifest
        self._rejects, self._failures = NoteFile(path / "rejects.jsonl"), NoteFile(path / "failures.jsonl", sort_by="item")
        self._failed: set[int] = set()
        self._failure_writes: set[asyncio.Task[None]] = set()
        self._totals: dict[str, float] = {}
        self._began = time.monotonic()
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="openr-data disk")
        self._sealing = asyncio.Lock()
        self._seals: set[asyncio.Task[None]] = set()
        self._closed = False

    async def start(self) -> None:
        await self._on_disk(self.journal.open)
        await self._on_disk(partial(import_module, "openr_data.store.shards"))  # pyarrow: slow to load, so not on the event loop
        shards = self._manifest.shards.values()
        self.progress = Progress(self.identity.shard_items, sealed=((shard.start, shard.stop) for shard in shards))
        await self._load_results()
        self.record.status, self.record.attempts, self.record.manifest = "running", self.record.attempts + 1, ""
        if self.record.part:
            self.record.items = None  # known again when this attempt, too, has met the whole input
        await self._save_record()

    async def _load_results(self) -> None:
        """Finished items without a shard; a result whose shard is sealed is what a kill between the two left behind."""
        for start, stop in _joined((shard.start, shard.stop) for shard in self._manifest.shards.values()):
            await self.journal.clear_results(start, stop)
        async for item in self.journal.check_results():
            self.progress.add(item)
        if not self.record.part:
            for shard_index in self.progress.complete():
                await self._seal(shard_index, self.progress.range(shard_index)[1])

    @property
    def finished(self) -> bool:
        """Was the run already complete when it was opened?"""
        return self.record.items is not None and not self.progress.unsealed(self.record.items)

    @property
    def failed(self) -> int:
        """Items that failed in this attempt."""
        return len(self._failed)

    async def finish_item(self, item: int, tables: Mapping[str, Sequence[Row]], mark: bytes = NO_MARK) -> None:
        """Store all records of an item, for good. Returns when they are durable (and, for the last item of a shard, sealed).

        `mark` (see `openr_data.store.units`) tells a part's merge which item this was; a whole run keeps none.
        """
        if item in self.progress:
            raise ValueError(f"item {item} is already finished")
        _check_rows(tables, self.identity.tables)
        packed = await asyncio.to_thread(pack_tables, tables)
        await self.journal.put_result(item, mark + packed if self.record.part else packed)
        if self.progress.add(item) and not self.record.part:
            shard = item // self.identity.shard_items
            await self._seal_apart(shard, self.progress.range(shard)[1])

    def add_reject(self, note: Mapping[str, Any]) -> None:
        """Note an input row that could not be used. All rejects are noted again in every attempt, in input order."""
        self._rejects.add(note)

    def add_failure(self, item: int, note: Mapping[str, Any], mark: bytes = NO_MARK) -> None:
        """Note an item that has no records because it failed; resuming the run tries it again."""
        self._failed.add(item)
        self._failures.add({"item": item, **note})
        if self.record.part:
            value = mark + json.dumps(note, ensure_ascii=False).encode("utf-8", "backslashreplace")
            task = asyncio.create_task(self.journal.put_failure(item, value))
            self._failure_writes.add(task)
            task.add_done_callback(self._failure_written)

    def _failure_written(self, task: asyncio.Task[None]) -> None:
        """An error is not lost: it has broken the journal, which raises it again at the next call."""
        self._failure_writes.discard(task)
        if not task.cancelled():
            task.exception()

    def add_totals(self, **amounts: float) -> None:
        """Add to the totals of `run.json`, which sum over every attempt; saved by `save_totals`, with a shard, and at the end."""
        for name, amount in amounts.items():
            self._totals[name] = self._totals.get(name, 0) + amount

    async def save_totals(self) -> None:
        """So that an attempt that is killed is counted up to here."""
        self._gather_totals()
        await self._save_record()

    async def _save_record(self) -> None:
        """As it is now: the event loop goes on counting while the disk writes."""
        await self._on_disk(partial(replace(self.record, totals=dict(self.record.totals)).save, self.path))

    async def complete(self, items: int) -> dict[str, TableSize]:
        """Every item of the input is finished or failed: seal what is left; returns the size of each table.

        A part says with it that its share is done and how many items the whole run has; it has no tables of its own.
        """
        if self.record.part:
            await asyncio.gather(*self._failure_writes)
            self.record.items = items
            return {}
        for shard in self.progress.unsealed(items):
            await self._seal_apart(shard, min(self.progress.range(shard)[1], items))
        self.record.items = items
        return {table: self._manifest.size(table) for table in self.identity.tables}

    async def write_card(self, text: str) -> None:
        await self._on_disk(partial(write_text, self.path / "README.md", text))

    async def write_arrow(self) -> None:
        """Also write each table as a data set for `datasets.load_from_disk`, under `arrow/`."""
        from openr_data.store.arrow_export import write_arrow

        await self._on_disk(partial(write_arrow, self.path, self._manifest))

    async def close(self, status: Status) -> None:
        """Save the notes, the totals and the status, and let go of the files. `finished` needs `complete` first. Idempotent."""
        if self._closed:
            return
        if status == "finished" and self.record.items is None:
            raise ValueError("a run is finished only after complete()")
        self._closed = True
        try:
            await asyncio.gather(*self._seals, *self._failure_writes, return_exceptions=True)
            await self._save_end(status)
        finally:
            await self.journal.close()
            self._disk.shutdown()

    async def leave(self, status: Status) -> None:
        """Close after an error; a disk that fails again must not hide it."""
        if status == "failed":
            await asyncio.gather(self.close(status), return_exceptions=True)
        else:
            await self.close(status)

    async def _save_end(self, status: Status) -> None:
        paid = await self.journal.totals()
        self.record.status = status
        self._gather_totals()
        inherited = self.record.inherited
        for name, amount in (("completions", paid.completions), ("tokens", paid.tokens)):
            self.record.totals[f"paid_{name}"] = amount - inherited.get(name, 0)
        await self._on_disk(self._rejects.publish)
        await self._on_disk(self._failures.publish)
        if status == "finished":
            self.record.manifest = await self._on_disk(partial(file_digest, self.path / MANIFEST))
        await self._save_record()

    def _gather_totals(self) -> None:
        now = time.monotonic()
        self.add_totals(seconds=now - self._began)
        self._began = now
        for name, amount in self._totals.items():
            self.record.totals[name] = round(self.record.totals.get(name, 0) + amount, 3)
        self._totals.clear()

    async def _seal_apart(self, shard: int, stop: int) -> None:
        """In a task of its own: cancelling the item that happened to complete the shard does not stop the sealing."""
        task = asyncio.create_task(self._seal(shard, stop))
        self._seals.add(task)
        task.add_done_callback(self._seals.discard)
        await asyncio.shield(task)

    async def _seal(self, shard: int, stop: int) -> None:
        """Results -> files -> manifest -> results cleared: a kill between any two of them loses nothing."""
        from openr_data.store.shards import ShardWriter

        start = self.progress.range(shard)[0]
        failed = self._failed_items(shard, stop)
        async with self._sealing:
            writer = await self._on_disk(partial(ShardWriter, self.path, self.identity.tables, shard, start, stop))
            try:
                cursor = start
                while page := await self.journal.results(cursor, stop):
                    await self._on_disk(partial(writer.add, page))
                    cursor = page[-1][0] + 1
                sealed = await self._on_disk(partial(writer.finish, failed))
            except BaseException:
                await self._on_disk(writer.abandon)
                raise
            self._manifest = self._manifest.adding(sealed)
            await self._on_disk(partial(self._manifest.save, self.path))
            await self.journal.clear_results(start, stop)
            self.progress.sealed(shard, stop)
            self._gather_totals()
            await self._save_record()

    def _failed_items(self, shard: int, stop: int) -> tuple[int, ...]:
        missing = self.progress.missing(shard, stop)
        for item in missing:
            if item not in self._failed:
                raise ValueError(f"item {item} is neither finished nor failed")
        return tuple(missing)

    async def _on_disk(self, call: Callable[[], T]) -> T:
        """One thread does all file work of a run, in order."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, call)


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges that stand in order, with neighbours made one."""
    joined: list[tuple[int, int]] = []
    for start, stop in ranges:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined


def _check_rows(tables: Mapping[str, Sequence[Row]], declared: Sequence[str]) -> None:
    for name, rows in tables.items():
        if name not in declared:
            raise ValueError(f"the run has no table '{name}'")
        expected = {*TABLES[name].names} - {"item"}
        for row in rows:
            if row.keys() != expected:
                raise ValueError(f"a row of '{name}' has the wrong columns: {sorted(row.keys() ^ expected)}")
