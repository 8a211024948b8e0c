"""Tables of a run written again, every row into the file of its split. Knows rows by their item, not why an item is in a split.

The bytes are a function of the rows and of the pyarrow version alone. Memory is bounded: one row group per table and split.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from openr_data.errors import StorageError
from openr_data.store.atomic import file_digest, storage_errors, sync_file
from openr_data.store.batches import record_batches
from openr_data.store.read import RunReader
from openr_data.store.schemas import arrow_schema
from openr_data.store.shards import CHUNKING, damage

_AGAIN = "run the same command again"

_BATCH_ROWS = 1000
_GROUP_ROWS = 10_000
_GROUP_BYTES = 16 << 20
_FOOTER, _CHUNK = 16_000, 500
"""About the bytes of a footer and of what it says of a column in a row group, rounded up."""


@dataclass(frozen=True, slots=True)
class SplitFile:
    """A written file: `path` is relative to the folder; `arrow_bytes` is the size of its rows in memory."""

    table: str
    split: str
    path: str
    rows: int
    bytes: int
    arrow_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ItemSplits:
    """The split of every item in one byte: `names[codes[item]]`."""

    names: tuple[str, ...]
    codes: bytearray


def split_items(reader: RunReader, names: Sequence[str], split_of: Callable[[str], str]) -> ItemSplits:
    """Ask for the split of each question, one at a time in memory."""
    codes = bytearray(max((shard.stop for shard in reader.manifest.shards.values()), default=0))
    for shard in reader.manifest.shards.values():
        for batch in record_batches(reader.path, shard, "problems", _BATCH_ROWS, ["item", "question"]):
            for item, question in zip(batch.column("item").to_pylist(), batch.column("question").to_pylist(), strict=True):
                codes[item] = names.index(split_of(question))
    return ItemSplits(tuple(names), codes)


def write_splits(reader: RunReader, splits: ItemSplits, folder: Path, file_bytes: int) -> list[SplitFile]:
    """Every table of the run below `folder`, as `<table>/<split>-00000-of-0000N.parquet`; no file without rows.

    Files are at most `file_bytes` long, or hold one row group. Raises `RunDirError` where a shard of the run is damaged,
    `StorageError` where a written file cannot be read back.
    """
    names = splits.names
    written = []
    for table in reader.manifest.tables:
        writers = {name: _SplitWriter(folder, table, name, file_bytes) for name in names}
        try:
            for shard in reader.manifest.shards.values():
                for batch in record_batches(reader.path, shard, table, _BATCH_ROWS):
                    for name, rows in _divided(batch, splits):
                        writers[name].add(rows)
            for name in names:
                written += writers[name].finish()
        finally:
            for writer in writers.values():
                writer.abandon()
    return written


def _divided(batch: pa.RecordBatch, splits: ItemSplits) -> Iterable[tuple[str, pa.RecordBatch]]:
    codes = np.frombuffer(splits.codes, np.uint8)[batch.column("item").to_numpy()]
    present = np.unique(codes)
    if len(present) == 1:
        return [(splits.names[present[0]], batch)]
    return [(splits.names[code], batch.filter(pa.array(codes == code))) for code in present]


class _SplitWriter:
    """The files of one table and split. A file gets its name when it is known how many there are."""

    def __init__(self, folder: Path, table: str, split: str, file_bytes: int) -> None:
        self._folder, self._table, self._split = folder, table, split
        self._limit = file_bytes - _FOOTER
        self._schema = arrow_schema(table)
        self._pending: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._done: list[tuple[Path, int, int]] = []
        self._open: _File | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        self._pending.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def finish(self) -> list[SplitFile]:
        """Close, read back and name the files, in order."""
        self._flush()
        self._close()
        count = len(self._done)
        return [self._named(index, count, *each) for index, each in enumerate(self._done)]

    def abandon(self) -> None:
        if self._open is not None:
            self._open.abandon()
            self._open = None

    def _flush(self) -> None:
        if not self._rows:
            return
        group = pa.Table.from_batches(self._pending).combine_chunks().cast(self._schema)
        if self._open is not None and self._open.size + group.nbytes > self._limit:
            self._close()
        if self._open is None:
            self._open = _File(self._folder / self._table / f".{self._split}-{len(self._done):05d}.partial", self._schema)
        self._open.write(group)
        self._pending, self._rows, self._bytes = [], 0, 0

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._done.append((self._open.path, self._open.rows, self._open.arrow_bytes))
            self._open = None

    def _named(self, index: int, count: int, partial: Path, rows: int, arrow_bytes: int) -> SplitFile:
        path = self._folder / self._table / f"{self._split}-{index:05d}-of-{count:05d}.parquet"
        fault = damage(partial, rows, 0, 1 << 62)
        if fault:
            raise StorageError(f"{path} does not read back as it was written ({fault}); check the disk")
        with storage_errors(path, _AGAIN):
            sync_file(partial)
            partial.replace(path)
            size = path.stat().st_size
        name = path.relative_to(self._folder.parent).as_posix()
        return SplitFile(self._table, self._split, name, rows, size, arrow_bytes, file_digest(path))


class _File:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.rows, self.arrow_bytes, self._chunks = path, 0, 0, 0
        with storage_errors(path, _AGAIN):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = path.open("wb")
        options: dict[str, Any] = {
            "use_content_defined_chunking": CHUNKING,
            "write_page_index": True,
            "write_page_checksum": True,
        }
        self._writer = pq.ParquetWriter(self._sink, schema, compression="zstd", compression_level=3, **options)

    @property
    def size(self) -> int:
        return int(self._sink.tell()) + _CHUNK * self._chunks

    def write(self, group: pa.Table) -> None:
        with storage_errors(self.path, _AGAIN):
            self._writer.write_table(group, row_group_size=group.num_rows)
        self.rows += group.num_rows
        self.arrow_bytes += group.nbytes
        self._chunks += group.num_columns

    def close(self) -> None:
        with storage_errors(self.path, _AGAIN):
            self._writer.add_key_value_metadata({"content_defined_chunking": json.dumps(CHUNKING)})
            self._writer.close()
            self._sink.flush()
            self._sink.close()

    def abandon(self) -> None:
        """Give up the file; what goes wrong while doing so does not matter any more."""
        try:
            self._sink.close()
            self._writer.close()
        except (OSError, ValueError, pa.ArrowException):
            pass
        self.path.unlink(missing_ok=True)
