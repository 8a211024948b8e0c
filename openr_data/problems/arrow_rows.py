"""Rows of Parquet and Arrow files, read in small batches. The only module of this room that imports pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from openr_data.errors import InputError
from openr_data.problems.reject import Reject
from openr_data.problems.rows import Row

_BATCH = 256


def parquet_rows(path: Path, name: str) -> Iterator[Row | Reject]:
    """Raises `InputError` for a file that is damaged, when the damage is met."""
    with _readable(name), pq.ParquetFile(path, memory_map=False, pre_buffer=False) as file:
        yield from _rows(file.iter_batches(batch_size=_BATCH), name)


def arrow_rows(path: Path, name: str) -> Iterator[Row | Reject]:
    """Both kinds of Arrow IPC: files, and the streams that `datasets` saves. Raises `InputError` as `parquet_rows` does."""
    with _readable(name), pa.OSFile(str(path), "rb") as source:
        yield from _rows(_slices(_ipc_batches(source)), name)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        what = str(error).split("\n", 1)[0][:200]
        raise InputError(f"{name} cannot be read as Parquet or Arrow ({what}); fetch or write it again") from None


def _ipc_batches(source: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    try:
        reader = pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        yield from pa.ipc.open_stream(source)
        return
    for index in range(reader.num_record_batches):
        yield reader.get_batch(index)


def _slices(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, _BATCH):
            yield batch.slice(start, _BATCH)


def _rows(batches: Iterator[pa.RecordBatch], name: str) -> Iterator[Row | Reject]:
    row = 0
    for batch in batches:
        for value in _values(batch):
            if value is None:
                yield Reject(name, row + 1, row, "bad_utf8", "a text of the row is not UTF-8", "")
            else:
                yield Row(name, row + 1, row, value, value)
            row += 1


def _values(batch: pa.RecordBatch) -> Iterator[dict[str, object] | None]:
    """The rows as plain values; `None` for a row with text that is not UTF-8."""
    try:
        yield from batch.to_pylist()
        return
    except UnicodeDecodeError:
        pass
    for index in range(batch.num_rows):
        try:
            yield batch.slice(index, 1).to_pylist()[0]
        except UnicodeDecodeError:
            yield None
