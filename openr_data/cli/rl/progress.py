"""A run of reinforcement learning as a person sees it (a bar and a line for each measurement) or a program reads it (JSON
lines).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from openr_data.cli.console import err
from openr_data.cli.progress import INTERVAL

if TYPE_CHECKING:
    from openr_data.pipelines.rl.state import Evaluation

_Listeners = tuple[Callable[[int, int, dict[str, Any]], None], Callable[["Evaluation"], None]]
_LOGGED = ("right", "score", "lowest", "steps", "cut", "kl", "nll", "loss", "gradient", "rate", "sampled_tokens")


@contextmanager
def watching() -> Iterator[_Listeners]:
    """Two listeners: of updates, and of measurements."""
    if not err.is_terminal:
        yield _json_update(), _json_evaluation
        return
    columns = (SpinnerColumn(), TextColumn("update"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[told]}"), console=err, expand=True) as bar:
        task = bar.add_task("update", total=None, told="")

        def on_update(done: int, updates: int, told: dict[str, Any]) -> None:
            bar.update(task, total=updates, completed=done, told=line(told))

        def on_evaluation(found: Evaluation) -> None:
            err.print(evaluation_line(found))

        yield on_update, on_evaluation


def evaluation_line(found: Evaluation) -> str:
    return f"after {found.update} updates {found.accuracy:.1%} of {len(found.right)} held-out questions are right"


def line(told: dict[str, Any]) -> str:
    """The share of right answers, the mean score of steps, steps per solution; where nothing was sampled, nats per token.

    >>> line({"right": 0.5, "score": None, "steps": 9.04}), line({"nll": 0.25})
    ('right 50%  9.0 steps', '0.250 nats per token')
    """
    if "right" not in told:
        return f"{told['nll']:.3f} nats per token"
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
        _write(
            {
                "event": "progress",
                "stage": "rl",
                "update": done,
                "updates": updates,
                **{name: told[name] for name in _LOGGED if name in told},
            }
        )

    return on_update


def _json_evaluation(found: Evaluation) -> None:
    _write(
        {"event": "evaluation", "stage": "rl", "update": found.update, "accuracy": found.accuracy, "questions": len(found.right)}
    )


def _write(event: dict[str, Any]) -> None:
    short = {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in event.items()}
    sys.stderr.write(json.dumps(short) + "\n")
    sys.stderr.flush()
