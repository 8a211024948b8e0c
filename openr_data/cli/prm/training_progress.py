"""A training as a person sees it (a bar on a terminal) or a program reads it (JSON lines on standard error)."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from openr_data.cli.console import err
from openr_data.cli.progress import INTERVAL, duration

if TYPE_CHECKING:
    from openr_data.prm.progress import Progress as Training


@contextmanager
def training_progress() -> Iterator[tuple[Callable[[int], None], Callable[[Training], None]]]:
    """Two listeners: of solutions that are read, and of steps that are trained."""
    if not err.is_terminal:
        yield (lambda _: None), _json_lines()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Progress(*columns, console=err, expand=True) as bar:
        reading = bar.add_task("read", total=None, told="solutions")
        training = bar.add_task("train", total=None, told="", visible=False)

        def on_step(now: Training) -> None:
            bar.update(reading, visible=False)
            bar.update(training, total=now.steps, completed=now.step, told=told(now), visible=True)

        yield (lambda count: bar.advance(reading, count)), on_step


def told(now: Training) -> str:
    """Loss, AUROC of the last evaluation, tokens per second and the time that is left."""
    auroc = "" if now.auroc is None else f"AUROC {now.auroc:.3f}  "
    return f"loss {now.loss:.4f}  {auroc}{tokens_per_second(now):,.0f} tok/s  ETA {duration(now.eta)}"


def tokens_per_second(now: Training) -> float:
    return now.tokens / now.seconds if now.seconds else 0.0


def _json_lines() -> Callable[[Training], None]:
    """Every few seconds, and after the last step."""
    last = 0.0

    def on_step(now: Training) -> None:
        nonlocal last
        if now.step < now.steps and time.monotonic() - last < INTERVAL:
            return
        last = time.monotonic()
        line = {"event": "progress", "stage": "train", **asdict(now), "tokens_per_second": tokens_per_second(now)}
        sys.stderr.write(json.dumps({name: _short(value) for name, value in line.items()}) + "\n")
        sys.stderr.flush()

    return on_step


def _short(value: object) -> object:
    return float(f"{value:.6g}") if isinstance(value, float) else value
