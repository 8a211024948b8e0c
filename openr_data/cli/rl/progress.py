"""A run of reinforcement learning as a person sees it (a bar and a line for each measurement) or a program reads it (JSON
lines).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from openr_data.cli.console import err
from openr_data.cli.progress import INTERVAL

if TYPE_CHECKING:
    from openr_data.pipelines.rl.state import Evaluation

_Listeners = tuple[Callable[[int, int, dict[str, Any]], None], Callable[["Evaluation"], None]]
_LOGGED = ("right", "score", "lowest", "steps", "cut", "kl", "entropy", "loss", "gradient", "rate", "sampled_tokens")


@contextmanager
def watching(updates: int, out: Path) -> Iterator[_Listeners]:
    """Two listeners: of updates, and of measurements."""
    if not err.is_terminal:
        yield _json_update(), _json_evaluation
        return
    columns = (SpinnerColumn(), TextColumn("update"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[told]}"), console=err, expand=True) as bar:
        task = bar.add_task("update", total=updates, told="")

        def on_update(done: int, _: int, told: dict[str, Any]) -> None:
            bar.update(task, completed=done, told=line(told))

        def on_evaluation(found: Evaluation) -> None:
            err.print(f"after {found.update} updates {found.accuracy:.1%} of {len(found.right)} held-out questions are right")

        yield on_update, on_evaluation


def line(told: dict[str, Any]) -> str:
    """The share of right answers, the mean score of steps, steps per solution.

    >>> line({"right": 0.5, "score": None, "steps": 9.04})
    'right 50%  9.0 steps'
    """
    right = "right unknown" if told["right"] is None else f"right {told['right']:.0%}"
    score = "" if told["score"] is None else f"  score {told['score']:.2f}"
    return f"{right}{score}  {told['steps']:.1f} steps"


def _json_update() -> Callable[[int, int, dict[str, Any]], None]:
    """Every few seconds, and the last one."""
    last = 0.0

    def on_update(done: int, updates: int, told: dict[str, Any]) -> None:
        nonlocal last
        if done < updates and time.monotonic() - last < INTERVAL:
            return
        last = time.monotonic()
        _write({"event": "progress", "stage": "rl", "update": done, "updates": updates, **{name: told[name] for name in _LOGGED}})

    return on_update


def _json_evaluation(found: Evaluation) -> None:
    _write(
        {"event": "evaluation", "stage": "rl", "update": found.update, "accuracy": found.accuracy, "questions": len(found.right)}
    )


def _write(event: dict[str, Any]) -> None:
    short = {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in event.items()}
    sys.stderr.write(json.dumps(short) + "\n")
    sys.stderr.flush()
