"""`export`: the labelled solutions of a run in a layout of the field, as a data set that `datasets.load_dataset` opens.

It is made beside its directory, in a hidden folder that takes the name when it is whole: a killed export leaves nothing there.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from openr_data.errors import InputError, RunDirError
from openr_data.layouts.columnar import ARROW_LAYOUTS
from openr_data.pipelines.exporting.card import export_card
from openr_data.pipelines.exporting.config import ExportConfig, ExportFile, ExportSummary, existing
from openr_data.pipelines.exporting.files import disk_errors
from openr_data.pipelines.exporting.writing import Writing, Written
from openr_data.pipelines.importing.run import COMMAND as IMPORT
from openr_data.pipelines.progress import Report, silent
from openr_data.store.atomic import (
    file_digest,
    partial_name,
    read_checked_json,
    sync_directory,
    write_checked_json,
    write_text,
)
from openr_data.store.lock import DirectoryLock
from openr_data.store.manifest import NAME as MANIFEST
from openr_data.store.read import RunReader

NAME = "export.json"
"""What was done: the run, the options and the counts. The same run and options are not exported twice into one directory."""


def export(run: Path, config: ExportConfig, out: Path, report: Report = silent) -> ExportSummary:
    """Write the data set `out`. A run that was imported from the same layout, with nothing filtered, gives back its rows.

    Raises `UsageError` for what the layout or the run cannot give, `RunDirError` where the run is not finished, or `out` holds
    something else, `InputError` where nothing is left to write, `StorageError` where the disk fails.
    """
    began, layout = time.monotonic(), config.layout
    reader = _finished(run)
    out = _outside(out, run)
    source = {"run": reader.record.digest, "manifest": file_digest(run / MANIFEST), "options": config.plain()}
    if existing(out):
        return _same(out, source)
    faithful = is_faithful(reader, config)
    with _folder(out) as folder:
        writing = Writing(reader, config, folder, report)
        written = writing.faithful() if faithful else writing.readings()
        summary = _summary(out, config, written, faithful=faithful)
        if not summary.rows:
            raise InputError(f"nothing is left to export from {run}: {_reasons(summary)}")
        tables, arrow = set(reader.manifest.tables), ARROW_LAYOUTS.get(layout.name)
        rollouts = arrow is not None and arrow.pairs and {"nodes", "rollouts"} <= tables
        write_text(folder / "README.md", export_card(reader, config, summary, written.features, rollouts=rollouts))
        write_checked_json(folder / NAME, {"version": version("openr-data"), **source, "summary": _kept(summary)})
    return replace(summary, seconds=round(time.monotonic() - began, 3))


def is_faithful(reader: RunReader, config: ExportConfig) -> bool:
    """Was the run imported from this very layout, and is nothing asked for that would change its rows?"""
    identity = reader.record.identity
    imported = identity["command"] == IMPORT and identity["config"].get("run", {}).get("format") == config.format
    return imported and not config.filters


def _finished(run: Path) -> RunReader:
    reader = RunReader.open(run)
    if not reader.complete or reader.record.status != "finished":
        raise RunDirError(f"{run} is not finished ({reader.record.status}); continue it with --resume, then export it")
    if "labeled" not in reader.manifest.tables:
        raise RunDirError(f"{run} has no step labels yet; `openr-data label {run} --out ...` makes a run that has")
    return reader


def _outside(out: Path, run: Path) -> Path:
    """The directory itself, whatever link leads there. An export does not belong into a run."""
    where = out.expanduser().resolve()
    if where.is_relative_to(run.resolve()):
        raise RunDirError(f"{out} lies inside the run {run}; give a directory outside of it")
    return where


def _same(out: Path, source: Mapping[str, Any]) -> ExportSummary:
    """The summary of the export that lies there, if it is this one and whole. Raises `RunDirError` where it is not."""
    if not (out / NAME).is_file():
        raise RunDirError(f"{out} exists and is not an export of openr-data; choose another directory")
    record = read_checked_json(out / NAME, "choose another directory")
    if any(record.get(name) != value for name, value in source.items()):
        raise RunDirError(f"{out} holds an export of another run, or with other options; choose another directory")
    files = tuple(ExportFile(**file) for file in record["summary"].pop("files"))
    summary = ExportSummary(**{**record["summary"], "out": str(out), "files": files, "unchanged": True})
    changed = next((file.path for file in files if not _as_written(out / file.path, file.bytes)), None)
    if changed:
        raise RunDirError(f"{out / changed} is missing or was changed; remove {out} and export again")
    return summary


def _as_written(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """A folder beside `out`, held for this process, that takes its name at the end; what an earlier attempt left is removed."""
    folder = partial_name(out)
    with disk_errors(out):
        folder.mkdir(parents=True, exist_ok=True)
    with DirectoryLock(folder):
        _empty(folder)
        try:
            yield folder
            with disk_errors(out):
                _sync(folder)
                (folder / "lock").unlink()
                os.rename(folder, out)  # noqa: PTH104 - fails where the directory has been filled meanwhile
                sync_directory(out.parent)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != "lock":
            path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    for path in (folder / "data", folder):
        if path.is_dir():
            sync_directory(path)


def _summary(out: Path, config: ExportConfig, written: Written, *, faithful: bool) -> ExportSummary:
    tally, files = written.tally, tuple(written.files)
    splits: dict[str, int] = {}
    for file in files:
        splits[file.split] = splits.get(file.split, 0) + file.rows
    return ExportSummary(
        out=str(out),
        format=config.format,
        labels=written.labels,
        faithful=faithful,
        solutions=tally.solutions,
        used=tally.used,
        dropped=tally.by_reason,
        rows=sum(file.rows for file in files),
        steps=tally.steps,
        filled=tally.filled,
        left_out=tally.left_out,
        splits=splits,
        files=files,
    )


def _kept(summary: ExportSummary) -> dict[str, Any]:
    """What stays true of the export wherever it lies."""
    return {name: value for name, value in asdict(summary).items() if name not in {"out", "seconds", "unchanged"}}


def _reasons(summary: ExportSummary) -> str:
    told = ", ".join(f"{reason} {count:,}" for reason, count in summary.dropped.items()) or "it holds no labelled solution"
    return f"of {summary.solutions:,} solutions, all are left out ({told})" if summary.dropped else told
