"""Published labels in files as tables in memory, without a run. How a layout is read is `import_rows`' business."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from openr_data.errors import InputError, UsageError
from openr_data.layouts.base import Layout, ReadOptions
from openr_data.pipelines.importing.rows import ImportItem, choose_layout, read_items
from openr_data.problems import ProblemSource, Reject
from openr_data.store.codecs import labeled_row, problem_row
from openr_data.store.frames import Row
from openr_data.store.schemas import arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

_TABLES = ("labeled", "problems")
_BATCH = 1000


def read_files(path: Path, layout: str, split: str = "") -> tuple[str, Mapping[str, pa.Table], Mapping[str, int]]:
    """The name of the layout, the tables, and how many rows are not of the layout, by reason; of a folder, `split` alone.

    Raises `InputError` where no row can be used or the layout cannot be told, and `UsageError` for an unknown layout.
    """
    source = ProblemSource(str(path), split=split)
    chosen = _chosen(source, layout)
    building = {table: _Table(table) for table in _TABLES}
    rejected: Counter[str] = Counter()
    first = "it holds none"
    items = 0
    for found in read_items(source, chosen, ReadOptions()):
        if isinstance(found, Reject):
            first = first if rejected else f"{found.file}, line {found.line}: {found.detail}"
            rejected[found.reason] += 1
        else:
            _add(building, items, found)
            items += 1
    if not items:
        raise InputError(f"no row of {path} is of the layout {chosen.name}: {first}")
    return chosen.name, {name: table.finish() for name, table in building.items()}, dict(rejected.most_common())


def _chosen(source: ProblemSource, layout: str) -> Layout:
    try:
        return choose_layout(source, layout)
    except (InputError, UsageError) as fault:
        raise type(fault)(str(fault).replace("--format", "layout")) from None  # the option's name in Python


def _add(tables: Mapping[str, _Table], item: int, found: ImportItem) -> None:
    tables["problems"].add({"item": item, **problem_row(found.problem)})
    for one in found.solutions:
        tables["labeled"].add({"item": item, **labeled_row(found.problem, one)})


class _Table:
    """Grows by rows, and keeps them as Arrow."""

    def __init__(self, name: str) -> None:
        self._schema = arrow_schema(name)
        self._rows: list[Row] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) == _BATCH:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._batches.append(pa.RecordBatch.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def finish(self) -> pa.Table:
        import pyarrow as pa

        self._flush()
        return pa.Table.from_batches(self._batches, schema=self._schema)
