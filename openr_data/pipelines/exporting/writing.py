"""The rows of an export, from the run into files: readings in the layout's own way, or published rows as they came."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute

from openr_data.errors import UsageError
from openr_data.layouts.arrow import ArrowLayout
from openr_data.layouts.base import LABEL, ROW, VALUE, WriteOptions
from openr_data.layouts.columnar import ARROW_LAYOUTS
from openr_data.layouts.faithful import faithful_rows
from openr_data.pipelines.exporting.config import EVERYTHING, ExportConfig, ExportFile, Tally
from openr_data.pipelines.exporting.features import RowTypes, card_features
from openr_data.pipelines.exporting.files import JsonFiles, ParquetFiles, SplitWriter
from openr_data.pipelines.exporting.rows import item_rows
from openr_data.pipelines.exporting.selection import UNBOUNDED, select
from openr_data.pipelines.exporting.source import Rows, source_rows, with_continuations
from openr_data.pipelines.progress import Report, Snapshot
from openr_data.pipelines.splits import NAMES
from openr_data.steps import StepFormat
from openr_data.store.read import RunReader

pc: Any = pyarrow.compute  # whose functions are made when it is loaded


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and its columns as a card spells them. `labels` is what became of them: hard, soft or published."""

    files: list[ExportFile]
    features: list[dict[str, Any]]
    tally: Tally
    labels: str


class Writing:
    """One export on its way into a folder."""

    def __init__(self, reader: RunReader, config: ExportConfig, folder: Path, report: Report) -> None:
        self._reader, self._config, self._folder, self._report = reader, config, folder, report
        self._began, self.tally = time.monotonic(), Tally()
        self._steps = StepFormat(str(reader.record.settings.get("separator", "\n")))

    def readings(self) -> Written:
        """The selected solutions. Raises `UsageError` where soft values are asked for that the run does not have."""
        config, soft = self._config, self._config.soft
        if soft:
            _check_soft(self._reader)
        arrow, types = ARROW_LAYOUTS.get(config.format), RowTypes()
        writer = self._writer(arrow.schema(soft) if arrow else types)
        separator = self._steps.separator if config.separator is None else config.separator
        options = WriteOptions(soft, separator, config.pairs_per_problem)
        for rows in source_rows(self._reader, rollouts=arrow is not None and arrow.pairs):
            found = select(rows.labeled, config, soft=soft, every_step=arrow is not None and arrow.every_step)
            self._count(rows, found.readings, found.dropped)
            if arrow:
                self._write_table(arrow, found.readings, rows, options, writer)
            else:
                self._write_items(found.readings, options, writer)
            self._tell(rows.labeled["item"][-1].as_py() + 1)
        return self._done(writer, arrow.schema(soft) if arrow else types, config.reading)

    def faithful(self) -> Written:
        """Every row as it was published: Parquet where the layout's columns say all of it, else JSON lines."""
        config, types = self._config, RowTypes()
        schema = _published_schema(self._reader, ARROW_LAYOUTS.get(config.format))
        writer = self._writer(schema or types)
        for record in self._reader.items(tables=("labeled",)):
            self.tally.solutions += len(record.labeled)
            self.tally.used += len(record.labeled)
            self.tally.steps += sum(len(each.solution.steps) for each in record.labeled)
            writer[config.splits.of(record.problem.question)].add_rows(
                list(faithful_rows(config.layout, record.problem, record.labeled))
            )
            self._tell(record.item + 1)
        return self._done(writer, schema or types, "published")

    def _writer(self, what: pa.Schema | RowTypes) -> SplitWriter:
        kind: Any = JsonFiles if isinstance(what, RowTypes) else ParquetFiles
        return SplitWriter(lambda split: kind(self._folder, split, self._config.shard_bytes, what))

    def _write_table(
        self, arrow: ArrowLayout, readings: pa.Table, rows: Rows, options: WriteOptions, writer: SplitWriter
    ) -> None:
        if arrow.pairs:
            readings = with_continuations(readings, rows, self._steps, options.pairs_per_problem)
        for split, part in self._divided(readings):
            written = arrow.columns(part, options)
            writer[split].add(written.table)
            self.tally.used += written.used
            self.tally.left_out += written.left_out
            self.tally.drop(written.dropped)

    def _write_items(self, readings: pa.Table, options: WriteOptions, writer: SplitWriter) -> None:
        for item in item_rows(self._config.layout, readings, options):
            if item.rows:
                writer[self._config.splits.of(item.question)].add_rows(item.rows)
            self.tally.used += len(item.solutions)
            self.tally.drop(item.dropped)

    def _divided(self, readings: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """The readings of each split; all of an item stand in one."""
        if self._config.splits == EVERYTHING:
            yield "train", readings
            return
        _, first, place = np.unique(readings["item"].to_numpy(), return_index=True, return_inverse=True)
        questions = readings["question"].take(pa.array(first)).to_pylist()
        split = np.array([NAMES.index(self._config.splits.of(question)) for question in questions], np.int8)[place]
        for number, name in enumerate(NAMES):
            if (split == number).any():
                yield name, readings.filter(pa.array(split == number))

    def _count(self, rows: Rows, readings: pa.Table, dropped: Mapping[str, int]) -> None:
        self.tally.solutions += rows.labeled.num_rows
        self.tally.steps += int(pc.sum(pc.list_value_length(readings["steps"])).as_py() or 0)
        self.tally.filled += int(pc.sum(readings["filled"]).as_py() or 0)
        self.tally.drop(dropped)

    def _done(self, writer: SplitWriter, what: pa.Schema | RowTypes, labels: str) -> Written:
        files = writer.finish()
        self._tell(self._reader.record.items or 0, final=True)
        features = card_features(what.schema, what.mixed) if isinstance(what, RowTypes) else card_features(what)
        return Written(files, features, self.tally, labels)

    def _tell(self, done: int, *, final: bool = False) -> None:
        total, seconds = self._reader.record.items or 0, time.monotonic() - self._began
        self._report(Snapshot("export", done, total, 0, 0, 0, 0, 0, seconds, final=final))


def _check_soft(reader: RunReader) -> None:
    unfit = sorted(_estimators(reader) & set(UNBOUNDED))
    if unfit:
        raise UsageError(f"the values of this run are {unfit[0]}, not soft labels from 0 to 1; export it with --labels hard")


def _estimators(reader: RunReader) -> set[str]:
    kinds = reader.scan("labeled").select(pl.col("estimator").explode().unique()).collect(engine="streaming")
    return {kind for kind in kinds["estimator"].to_list() if kind is not None}


def _published_schema(reader: RunReader, arrow: ArrowLayout | None) -> pa.Schema | None:
    """The columns of an Arrow-native layout, where they hold every published row as it was."""
    kinds = _estimators(reader)
    if (
        arrow is None
        or {LABEL, VALUE} <= kinds
        or _patched(reader, "labeled", "notes")
        or _patched(reader, "problems", "metadata")
    ):
        return None
    return arrow.schema(VALUE in kinds)


def _patched(reader: RunReader, table: str, column: str) -> bool:
    """Does a row say more than its records?"""
    noted = pl.col(column).str.contains(f'"{ROW}"', literal=True).any()
    return bool(reader.scan(table).select(noted).collect(engine="streaming").item())
