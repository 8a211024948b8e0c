"""Tables of a run as Arrow batches of whole items, several tables in step, in bounded memory. Trusts no byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from openr_data.errors import RunDirError
from openr_data.store.manifest import Shard
from openr_data.store.read import RunReader
from openr_data.store.schemas import arrow_schema

ROWS = 4096
"""Rows read at once; an item with more of them is held whole all the same."""


def shard_batches(reader: RunReader, shard: Shard, table: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Some columns of a table of one shard, checked as `record_batches` does."""
    for batch in record_batches(reader.path, shard, table, ROWS, columns, threads=False):
        yield pa.Table.from_batches([batch]).replace_schema_metadata()


def record_batches(
    run: Path, shard: Shard, table: str, rows: int, columns: Sequence[str] | None = None, *, threads: bool = True
) -> Iterator[pa.RecordBatch]:
    """A table of one shard, so many rows at a time, page checksums verified.

    Raises `RunDirError` where it is missing, damaged, or not of this table.
    """
    path, expected = run / shard.files[table].path, shard.files[table].rows
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(arrow_schema(table)):
                raise pa.ArrowInvalid("its columns are not those of the table")
            for batch in file.iter_batches(rows, columns=columns and list(columns), use_threads=threads):
                expected -= batch.num_rows
                yield batch
        if expected:
            raise pa.ArrowInvalid("rows are missing")
    except (OSError, ValueError, pa.ArrowException) as fault:
        raise RunDirError(f"{path} is damaged or missing; run `openr-data verify {run} --repair`") from fault


def whole_items(batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, cut so that no item stands in two tables."""
    kept: pa.Table | None = None
    for batch in batches:
        rows = batch if kept is None else pa.concat_tables([kept, batch])
        items = rows["item"].to_numpy()
        cut = int(items.searchsorted(items[-1])) if len(items) else 0
        if cut:
            yield rows.slice(0, cut)
        kept = rows.slice(cut)
    if kept is not None and kept.num_rows:
        yield kept


class ItemCursor:
    """A table handed out item range by item range."""

    def __init__(self, batches: Iterator[pa.Table]) -> None:
        self._batches = batches
        self._open: list[pa.Table] = []
        self._ended = False

    def up_to(self, item: int) -> pa.Table | None:
        """The rows not handed out yet, up to and with those of the item; `None` where the table has come to its end."""
        while not self._ended and not (self._open and self._last() > item):
            batch = next(self._batches, None)
            if batch is None:
                self._ended = True
            elif batch.num_rows:
                self._open.append(batch)
        if not self._open:
            return None
        rows = pa.concat_tables(self._open)
        cut = int(rows["item"].to_numpy().searchsorted(item, side="right"))
        self._open = [rows.slice(cut)] if cut < rows.num_rows else []
        return rows.slice(0, cut)

    def _last(self) -> int:
        items = self._open[-1]["item"]
        return int(items[len(items) - 1].as_py())
