"""Progress as a person sees it (a bar on a terminal) or a program reads it (JSON lines on standard error)."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Column

from openr_data.cli.console import err
from openr_data.pipelines.progress import EVERY_SECOND, Report, Snapshot

INTERVAL = 1.0 if os.environ.get(EVERY_SECOND) else 5.0
"""Seconds between two JSON lines."""


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Report]:
    """A reporter for the pipelines, drawn on standard error."""
    if quiet:
        yield lambda _: None
    elif err.is_terminal:
        with _bar() as report:
            yield report
    else:
        yield _json_lines()


def duration(seconds: float | None) -> str:
    """A short time a person can read.

    >>> duration(None), duration(7.4), duration(3700), duration(100_000)
    ('-', '7 s', '1 h 01 min', '27 h')
    """
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min {rest:02d} s"
    return f"{hours} h {minutes:02d} min" if hours < 10 else f"{hours} h"


@contextmanager
def _bar() -> Iterator[Report]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[rates]}"),
    )
    tasks = {}
    with Progress(*columns, console=err, expand=True) as bar:

        def report(snapshot: Snapshot) -> None:
            if snapshot.stage not in tasks:
                tasks[snapshot.stage] = bar.add_task(snapshot.stage, total=None, rates="")
            total = snapshot.total or (snapshot.done if snapshot.final else None)
            bar.update(tasks[snapshot.stage], completed=snapshot.done, total=total, rates=rates(snapshot))

        yield report


def rates(snapshot: Snapshot) -> str:
    """Rate, tokens per second and the time that is left (or, at the end, that was used)."""
    clock = duration(snapshot.seconds) if snapshot.final else "ETA " + duration(snapshot.eta_seconds)
    trouble = f"  {snapshot.failed} failed" if snapshot.failed else ""
    return f"{snapshot.items_per_second:.1f}/s  {snapshot.tokens_per_second:,.0f} tok/s  {clock}{trouble}"


def _json_lines() -> Report:
    last = 0.0

    def report(snapshot: Snapshot) -> None:
        nonlocal last
        if not (snapshot.final or snapshot.stopped) and time.monotonic() - last < INTERVAL:
            return
        last = time.monotonic()
        sys.stderr.write(json.dumps(as_json(snapshot)) + "\n")
        sys.stderr.flush()

    return report


def as_json(snapshot: Snapshot) -> dict[str, object]:
    eta = snapshot.eta_seconds
    return {
        "event": "done" if snapshot.final else "stopped" if snapshot.stopped else "progress",
        "stage": snapshot.stage,
        "done": snapshot.done,
        "before": snapshot.before,
        "total": snapshot.total or None,
        "tokens": snapshot.tokens,
        "completions": snapshot.completions,
        "reused": snapshot.reused,
        "rejected": snapshot.rejected,
        "failed": snapshot.failed,
        "seconds": round(snapshot.seconds, 2),
        "tokens_per_second": round(snapshot.tokens_per_second, 1),
        "eta_seconds": None if eta is None else round(eta, 1),
    }
