"""Rows of one table out of one Parquet file, whole or only those of some items. Trusts no byte, knows no run."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from openr_data.errors import RunDirError
from openr_data.store.frames import Row
from openr_data.store.schemas import arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_BATCH = 256


def table_rows(path: Path, table: str, rows: int, remedy: str, only: Sequence[int] | None = None) -> Iterator[Row]:
    """The `rows` rows of a file in order, page checksums verified; with `only`, those of these items (sorted), of which the
    file's other row groups are not read (what its footer says of them is believed). Raises `RunDirError` where the file is
    missing, damaged, or not of this table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(arrow_schema(table)):
                raise pa.ArrowInvalid("its columns are not those of the table")
            expected = rows
            for batch in _batches(file, only):
                expected -= batch.num_rows
                yield from batch.to_pylist()
            if only is None and expected:
                raise pa.ArrowInvalid("rows are missing")
    except (OSError, ValueError, pa.ArrowException) as fault:
        raise RunDirError(f"{path} is damaged or missing; {remedy}") from fault


def _batches(file: pq.ParquetFile, only: Sequence[int] | None) -> Iterator[pa.RecordBatch]:
    if only is None:
        yield from file.iter_batches(_BATCH)
        return
    import pyarrow as pa

    wanted = set(only)
    groups = [group for group in range(file.num_row_groups) if _may_hold(file, group, only)]
    for batch in file.iter_batches(_BATCH, row_groups=groups) if groups else ():
        yield batch.filter(pa.array([item in wanted for item in batch.column("item").to_pylist()], pa.bool_()))


def _may_hold(file: pq.ParquetFile, group: int, items: Sequence[int]) -> bool:
    """Does the range of items in a row group meet one of them? A group without statistics may hold anything."""
    statistics = file.metadata.row_group(group).column(file.schema_arrow.get_field_index("item")).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    place = bisect_left(items, statistics.min)
    return place < len(items) and items[place] <= statistics.max
