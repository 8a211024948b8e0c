"""A run that is written straight into shards: for items that cost nothing to make again, such as rows of a file. Knows no rows.

What a kill leaves is whole shards and no journal of the rest; the same run, opened again, makes the missing shards anew.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from openr_data.errors import StorageError
from openr_data.store import opening
from openr_data.store.atomic import file_digest, write_text
from openr_data.store.frames import Row
from openr_data.store.journal_file import connect_to_write
from openr_data.store.lock import DirectoryLock
from openr_data.store.manifest import NAME as MANIFEST
from openr_data.store.manifest import TableSize
from openr_data.store.notes import NoteFile
from openr_data.store.run_record import NAME as RUN
from openr_data.store.run_record import RunIdentity, RunRecord

if TYPE_CHECKING:
    from openr_data.store.shards import ShardWriter

_REJECTS = "rejects.jsonl"


@contextmanager
def open_bulk(
    path: Path, identity: RunIdentity, *, mode: Literal["new", "resume"] = "new", settings: Mapping[str, Any] | None = None
) -> Iterator[BulkRun]:
    """The run directory at `path`, locked for this process until the block ends; modes and errors as in `open_run`."""
    with DirectoryLock(opening.directory(path, mode)):
        opened = opening.prepare(path, identity, mode, None, settings or {})
        run = BulkRun(path, identity, opened)
        try:
            yield run
        except BaseException as fault:
            run.leave("interrupted" if isinstance(fault, KeyboardInterrupt) else "failed")
            if mode == "new" and run.empty:
                run.withdraw()
            raise
        run.leave("interrupted")


class BulkRun:
    """Items come in order, each once; those of shards that are there already are passed over."""

    def __init__(self, path: Path, identity: RunIdentity, opened: opening.Opened) -> None:
        self.path, self.identity = path, identity
        self.record: RunRecord = opened.record
        self._manifest = opened.manifest
        self._rejects = NoteFile(path / _REJECTS)
        self._writer: ShardWriter | None = None
        self._items = 0
        self._began, self._closed = time.monotonic(), False
        connect_to_write(path / opening.JOURNAL).close()  # empty: every run has one, and readers look for it
        self.record.status, self.record.manifest = "running", ""
        self.record.attempts += 1
        self.record.save(path)

    @property
    def finished(self) -> bool:
        """Was every item sealed before?"""
        return self.record.items is not None

    @property
    def empty(self) -> bool:
        """Is no shard sealed?"""
        return not self._manifest.shards

    def withdraw(self) -> None:
        """Take back a run that has begun and holds nothing: the next one may begin in this directory."""
        for name in (RUN, MANIFEST, _REJECTS):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / "data", ignore_errors=True)

    def add(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """The rows of the next item."""
        index, item = self._items // self.identity.shard_items, self._items
        self._items += 1
        if index not in self._manifest.shards:
            self._open(index).add_rows(item, tables)
        if self._items % self.identity.shard_items == 0:
            self._seal(index)

    def add_reject(self, note: Mapping[str, Any]) -> None:
        self._rejects.add(note)

    def complete(self) -> dict[str, TableSize]:
        """No further item follows: seal what is left; returns the size of each table."""
        if self._items % self.identity.shard_items:
            self._seal(self._items // self.identity.shard_items)
        self.record.items = self._items
        return {table: self._manifest.size(table) for table in self.identity.tables}

    def finish(self, card: str | None) -> None:
        """Write the card (`None`: the one that is there stays), publish the notes, and mark the run finished."""
        if card is not None:
            write_text(self.path / "README.md", card)
        self._rejects.publish()
        failures = NoteFile(self.path / "failures.jsonl")
        failures.publish()
        self.record.manifest = file_digest(self.path / MANIFEST)
        self._close("finished")

    def leave(self, status: Literal["interrupted", "failed"]) -> None:
        if self._closed:
            return
        if self._writer is not None:
            self._writer.abandon()
        try:
            self._rejects.publish()
            self._close(status)
        except StorageError:
            if status != "failed":
                raise

    def _close(self, status: Literal["finished", "interrupted", "failed"]) -> None:
        self._closed = True
        self.record.status = status
        seconds = self.record.totals.get("seconds", 0.0) + time.monotonic() - self._began
        self.record.totals["seconds"] = round(seconds, 3)
        self.record.save(self.path)

    def _open(self, index: int) -> ShardWriter:
        from openr_data.store.shards import ShardWriter

        if self._writer is None:
            start = index * self.identity.shard_items
            self._writer = ShardWriter(self.path, self.identity.tables, index, start, start + self.identity.shard_items)
        return self._writer

    def _seal(self, index: int) -> None:
        if self._writer is None:
            return
        self._manifest = self._manifest.adding(self._writer.finish(stop=self._items))
        self._writer = None
        self._manifest.save(self.path)
