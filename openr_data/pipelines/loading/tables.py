"""Where the tables of a loaded data set lie: in a run, a published folder, or memory. One view of all; opens nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from openr_data.errors import RunDirError
from openr_data.store.published import PublishedReader
from openr_data.store.read import ItemRecords, RunReader, join_items

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq

    from openr_data.store.frames import Row


class Tables(Protocol):
    """`names`: the main table first. `files` is empty where a table lies in memory, or has no rows."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def rows(self, table: str) -> int: ...

    def files(self, table: str) -> list[Path]: ...

    def arrow(self, table: str) -> pa.Table: ...

    def items(self, tables: tuple[str, ...] | None) -> Iterator[ItemRecords]:
        """In order, one at a time; `tables` limits what is read beside the problems."""
        ...


@dataclass(frozen=True, slots=True)
class RunTables:
    reader: RunReader

    @property
    def names(self) -> tuple[str, ...]:
        return self.reader.manifest.tables

    def rows(self, table: str) -> int:
        return self.reader.size(table).rows

    def files(self, table: str) -> list[Path]:
        return self.reader.files(table)

    def arrow(self, table: str) -> pa.Table:
        return read_arrow(self.files(table), table)

    def items(self, tables: tuple[str, ...] | None) -> Iterator[ItemRecords]:
        return self.reader.items(tables=tables)


@dataclass(frozen=True, slots=True)
class PublishedTables:
    reader: PublishedReader

    @property
    def names(self) -> tuple[str, ...]:
        return self.reader.tables

    def rows(self, table: str) -> int:
        return self.reader.rows(table)

    def files(self, table: str) -> list[Path]:
        return self.reader.files(table)

    def arrow(self, table: str) -> pa.Table:
        return read_arrow(self.files(table), table)

    def items(self, tables: tuple[str, ...] | None) -> Iterator[ItemRecords]:
        return self.reader.items(tables=tables)


@dataclass(frozen=True, slots=True)
class ArrowTables:
    """Tables in memory, in item order."""

    tables: Mapping[str, pa.Table]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.tables)

    def rows(self, table: str) -> int:
        return int(self.tables[table].num_rows)

    def files(self, table: str) -> list[Path]:
        return []

    def arrow(self, table: str) -> pa.Table:
        return self.tables[table]

    def items(self, tables: tuple[str, ...] | None) -> Iterator[ItemRecords]:
        wanted = [name for name in self.tables if name != "problems" and (tables is None or name in tables)]
        return join_items(self._rows("problems"), {name: self._rows(name) for name in wanted})

    def _rows(self, table: str) -> Iterator[Row]:
        for batch in self.tables[table].to_batches(max_chunksize=256):
            yield from batch.to_pylist()


def read_arrow(files: list[Path], table: str) -> pa.Table:
    """All rows of a table's files in memory, page checksums verified."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from openr_data.store.schemas import arrow_schema

    schema = arrow_schema(table)
    try:
        parts = [_whole(pq.ParquetFile(file, page_checksum_verification=True)).cast(schema) for file in files]
    except (OSError, ValueError, pa.ArrowException) as fault:
        raise RunDirError(f"the table '{table}' cannot be read: a file is damaged or missing ({_first_line(fault)})") from fault
    return pa.concat_tables(parts) if parts else schema.empty_table()


def _whole(file: pq.ParquetFile) -> pa.Table:
    with file:
        return file.read()


def scan(tables: Tables, table: str) -> pl.LazyFrame:
    """The table as a lazy polars frame: over its files, or over what is in memory."""
    import polars as pl

    files = tables.files(table)
    if files:
        return pl.scan_parquet(files, glob=False)
    frame = pl.from_arrow(tables.arrow(table))
    if not isinstance(frame, pl.DataFrame):
        raise TypeError(f"'{table}' is no table")
    return frame.lazy()


def _first_line(fault: BaseException) -> str:
    return (str(fault).splitlines() or [type(fault).__name__])[0][:200]
