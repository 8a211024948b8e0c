"""`import`: published labels become a run like any other. The only place that puts layouts, files and the store together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from openr_data.errors import InputError, UsageError
from openr_data.layouts import LAYOUTS
from openr_data.layouts.base import Layout, ReadOptions
from openr_data.pipelines.admission import portable
from openr_data.pipelines.importing.rows import ImportItem, choose_layout, read_items
from openr_data.pipelines.progress import Report, Snapshot, silent
from openr_data.pipelines.run_card import automatic_card
from openr_data.problems import ProblemSource, Reject, input_hash
from openr_data.store.bulk import BulkRun, open_bulk
from openr_data.store.codecs import labeled_row, plain_config, problem_row
from openr_data.store.run_record import RunIdentity

COMMAND = "import"
TABLES = ("labeled", "problems")
_EVERY = 512


@dataclass(frozen=True, slots=True)
class ImportConfig:
    """Everything the records depend on. `format` is the name of a layout. `shard_size` counts problems."""

    source: ProblemSource
    format: str
    reading: ReadOptions = field(default_factory=ReadOptions)
    shard_size: int = 5000


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """Every row of the source is one of `used` and `rejected` (by reason). `labelled` counts steps with a hard label."""

    out: str
    format: str
    rows: int
    used: int
    rejected: Mapping[str, int]
    items: int
    solutions: int
    steps: int
    labelled: int
    seconds: float


def import_file(
    config: ImportConfig,
    out: Path,
    *,
    mode: Literal["new", "resume"] = "new",
    strict: bool = False,
    report: Report = silent,
    on_layout: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> ImportSummary:
    """Read a published file or Hub data set into the run directory `out`. With the format `auto`, `on_layout` hears the guess.

    A row that is not of the layout is kept in `rejects.jsonl` with its reason; `strict`: the first one ends the import.
    Raises `InputError`, `UsageError`, `RunDirError`, `StorageError`.
    """
    layout = choose_layout(config.source, config.format)
    _check_options(config.reading, layout)
    if config.format != layout.name:
        on_layout(layout.name)
    config = ImportConfig(config.source, layout.name, config.reading, config.shard_size)
    identity = _identity(config)
    with open_bulk(out, identity, mode=mode, settings={"separator": "\n"}) as run:
        count = _Count(report)
        for found in read_items(config.source, LAYOUTS[layout.name], config.reading):
            if isinstance(found, Reject):
                _refuse(found, run, count, strict=strict)
            else:
                problem = found.problem
                rows = [labeled_row(problem, one) for one in found.solutions]
                run.add({"labeled": rows, "problems": [problem_row(problem)]})
                count.item(found)
        sizes = run.complete()
        if not count.items:
            raise InputError(f"no row of {config.source.location} is of the layout {layout.name}: {count.first}")
        rejected = sum(count.rejected.values())
        run.finish(
            automatic_card(
                out, run.record, sizes, {"problems": count.items, "rejected rows": rejected, "failed problems": 0}, warn
            )
        )
    return count.summary(out, layout.name)


def _check_options(reading: ReadOptions, layout: Layout) -> None:
    usual = ReadOptions()
    for name in ("neutral", "threshold", "keep_excluded"):
        if getattr(reading, name) != getattr(usual, name) and name not in layout.options:
            raise UsageError(f"--{name.replace('_', '-')} says nothing to the layout {layout.name}: leave it out")


def _identity(config: ImportConfig) -> RunIdentity:
    run = {name: value for name, value in plain_config(portable(config)).items() if name != "shard_size"}
    inputs = {"source": input_hash(config.source)}
    return RunIdentity(COMMAND, {"run": run}, f"published:{config.format}", inputs, TABLES, config.shard_size)


def _refuse(reject: Reject, run: BulkRun, count: _Count, *, strict: bool) -> None:
    if strict:
        raise InputError(f"{reject.file}, line {reject.line}: {reject.detail}")
    run.add_reject({name: getattr(reject, name) for name in ("file", "line", "row", "reason", "detail", "raw")})
    count.reject(reject)


class _Count:
    """What has come so far, told now and then."""

    def __init__(self, report: Report) -> None:
        self._report, self._began = report, time.monotonic()
        self.used = self.items = self.solutions = self.steps = self.labelled = 0
        self.rejected: dict[str, int] = {}
        self.first = "it holds none"

    def item(self, item: ImportItem) -> None:
        self.items += 1
        self.used += item.rows
        self.solutions += len(item.solutions)
        for one in item.solutions:
            self.steps += len(one.solution.steps)
            self.labelled += sum(label is not None for label in one.hard_labels)
        if self.items % _EVERY == 0:
            self._report(self._snapshot())

    def reject(self, reject: Reject) -> None:
        if not self.rejected:
            self.first = f"{reject.file}, line {reject.line}: {reject.detail}"
        self.rejected[reject.reason] = self.rejected.get(reject.reason, 0) + 1

    @property
    def rows(self) -> int:
        return self.used + sum(self.rejected.values())

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def summary(self, out: Path, layout: str) -> ImportSummary:
        self._report(self._snapshot(final=True))
        numbers = {name: getattr(self, name) for name in ("rows", "used", "items", "solutions", "steps", "labelled")}
        rejected = dict(sorted(self.rejected.items(), key=lambda pair: (-pair[1], pair[0])))
        return ImportSummary(str(out), layout, rejected=rejected, seconds=round(self.seconds, 3), **numbers)

    def _snapshot(self, *, final: bool = False) -> Snapshot:
        rejected = sum(self.rejected.values())
        return Snapshot("import", self.rows, 0, 0, 0, 0, rejected, 0, self.seconds, final=final)
