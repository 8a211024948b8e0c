"""Parquet files of one item range: written in bounded memory, synced, read back, then given their names. Knows no run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from openr_data.errors import StorageError
from openr_data.store.atomic import file_digest, partial_name, publish, storage_errors
from openr_data.store.frames import Row, unpack_tables
from openr_data.store.manifest import Shard, ShardFile
from openr_data.store.schemas import TABLES, arrow_schema

_GROUP_ROWS = 1000
_GROUP_CHARS = 16 << 20
CHUNKING: Any = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}
"""Content-defined chunking with the numbers of the `datasets` library: a later upload sends only what changed."""


def shard_path(table: str, index: int) -> str:
    return f"data/{table}/train-{index:05d}.parquet"


class ShardWriter:
    """All tables of the items `[start, stop)`. The bytes are a function of the rows and of the pyarrow version alone."""

    def __init__(self, run: Path, tables: Iterable[str], index: int, start: int, stop: int) -> None:
        self._run, self._index, self._start, self._stop = run, index, start, stop
        self._writers: dict[str, _TableWriter] = {}
        for table in tables:
            path = run / shard_path(table, index)
            with storage_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._writers[table] = _TableWriter(path, table)

    def add(self, items: Iterable[tuple[int, bytes]]) -> None:
        """Write the packed rows of further items, in order."""
        for item, value in items:
            for table, row, chars in unpack_tables(value):
                self._writers[table].add(item, row, chars)

    def add_rows(self, item: int, tables: Mapping[str, Sequence[Row]]) -> None:
        """Write the rows of one item that were never packed."""
        for table, rows in tables.items():
            for row in rows:
                self._writers[table].add(item, row, _characters(row))

    def finish(self, failed: tuple[int, ...] = (), *, stop: int | None = None) -> Shard:
        """Sync, verify and publish every file. Raises `StorageError`; nothing has its name before all could be read back.

        `stop` is where the items ended, if before the end of the range.
        """
        self._stop = self._stop if stop is None else stop
        try:
            files = {
                table: ShardFile(path=shard_path(table, self._index), **writer.finish(self._start, self._stop))
                for table, writer in self._writers.items()
            }
            for writer in self._writers.values():
                with storage_errors(writer.path):
                    writer.publish()
        except BaseException:
            self.abandon()
            raise
        return Shard(self._index, self._start, self._stop, files, failed)

    def abandon(self) -> None:
        for writer in self._writers.values():
            writer.abandon()


def _characters(row: Row) -> int:
    """About the size of a row: its texts."""
    lists = (cell for cell in row.values() if isinstance(cell, list))
    texts = [*row.values(), *(each for cell in lists for each in cell)]
    return sum(len(text) for text in texts if isinstance(text, str))


class _TableWriter:
    def __init__(self, path: Path, table: str) -> None:
        self.path, self._partial = path, partial_name(path)
        self._spec, self._schema = TABLES[table], arrow_schema(table)
        self._columns: dict[str, list[Any]] = {name: [] for name in self._spec.names}
        self._rows = self._pending = self._chars = self._arrow_bytes = 0
        self._sink = self._partial.open("wb")
        self._writer = pq.ParquetWriter(
            self._sink,
            self._schema,
            compression="zstd",
            compression_level=3,
            use_content_defined_chunking=CHUNKING,
            write_page_index=True,
            write_page_checksum=True,
        )

    def add(self, item: int, row: Row, chars: int) -> None:
        self._columns["item"].append(item)
        for name, cell in row.items():
            self._columns[name].append(cell)
        self._pending += 1
        self._chars += chars
        if self._pending >= _GROUP_ROWS or self._chars >= _GROUP_CHARS:
            self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        table = pa.table(
            [pa.array(self._columns[field.name], field.type) for field in self._schema],
            schema=self._schema,
        )
        with storage_errors(self.path):
            self._writer.write_table(table, row_group_size=self._pending)
        self._arrow_bytes += table.nbytes
        self._rows += self._pending
        self._pending = self._chars = 0
        for column in self._columns.values():
            column.clear()

    def finish(self, start: int, stop: int) -> dict[str, Any]:
        """Close, read back with page checksums, and describe the file (which still has its partial name)."""
        self._flush()
        with storage_errors(self.path):
            self._writer.add_key_value_metadata({"content_defined_chunking": json.dumps(CHUNKING)})
            self._writer.close()
            self._sink.flush()
            self._sink.close()
        fault = damage(self._partial, self._rows, start, stop)
        if fault:
            raise StorageError(f"{self.path} does not read back as it was written ({fault}); check the disk and --resume")
        size = self._partial.stat().st_size
        return {"rows": self._rows, "bytes": size, "arrow_bytes": self._arrow_bytes, "sha256": file_digest(self._partial)}

    def publish(self) -> None:
        publish(self._partial, self.path)

    def abandon(self) -> None:
        """Give up the file; what goes wrong while doing so does not matter any more."""
        try:
            self._sink.close()
            self._writer.close()
        except (OSError, ValueError, pa.ArrowException):
            pass
        self._partial.unlink(missing_ok=True)


def damage(path: Path, rows: int, start: int, stop: int) -> str:
    """Read a whole shard file with page checksums; empty, or what is wrong with it."""
    count, last = 0, start
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(batch_size=_GROUP_ROWS):
                items = batch.column("item").to_pylist()
                count += len(items)
                for item in items:
                    if not last <= item < stop:
                        return f"item {item} stands outside {start}..{stop - 1}, or out of order"
                    last = item
    except (OSError, ValueError, KeyError, pa.ArrowException) as fault:
        return str(fault).splitlines()[0] if str(fault) else type(fault).__name__
    return "" if count == rows else f"{count} rows where {rows} belong"
