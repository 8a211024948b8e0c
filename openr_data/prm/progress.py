"""How far a training is, told while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from transformers import EarlyStoppingCallback, TrainerCallback
from transformers.trainer_callback import ExportableState


@dataclass(frozen=True, slots=True)
class Progress:
    """After `step` of `steps`: the mean loss since the last report, the learning rate, and over the whole run, resumed or not,
    the tokens without padding and the seconds. `eta` is in seconds; `auroc` is of the last evaluation.
    """

    step: int
    steps: int
    loss: float
    rate: float
    tokens: int
    seconds: float
    eta: float
    auroc: float | None = None


class Reporter(TrainerCallback, ExportableState):  # type: ignore[misc]  # transformers is not typed
    """Turns the trainer's logs into `Progress`. `seconds` is kept in checkpoints."""

    def __init__(self, on_progress: Callable[[Progress], None] = lambda _: None) -> None:
        self.seconds = 0.0
        self._tell = on_progress
        self._auroc: float | None = None
        self._last: Progress | None = None
        self._before, self._first_step = 0.0, 0
        self._started: float | None = None

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {"seconds": self._now()}}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.seconds = self._before = _kept(state, self, "seconds", 0.0)
        self._started, self._first_step = time.monotonic(), state.global_step

    def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        logs: Mapping[str, float] = given["logs"]
        if "loss" in logs and state.is_world_process_zero:
            self._report(state, logs["loss"], logs["learning_rate"])

    def on_evaluate(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self._auroc = given["metrics"].get("eval_auroc")
        if self._last is not None and state.is_world_process_zero:
            self._report(state, self._last.loss, self._last.rate)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.seconds, self._started = self._now(), None

    def _report(self, state: Any, loss: float, rate: float) -> None:
        seconds = self._now()
        done = state.global_step - self._first_step
        left = (seconds - self._before) / max(1, done) * (state.max_steps - state.global_step)
        told = (state.global_step, state.max_steps, loss, rate, int(state.num_input_tokens_seen), seconds, left, self._auroc)
        self._last = Progress(*told)
        self._tell(self._last)

    def _now(self) -> float:
        return self.seconds if self._started is None else self._before + time.monotonic() - self._started


class Patience(EarlyStoppingCallback):  # type: ignore[misc]  # transformers is not typed
    """Ends a run after so many evaluations without a better score, those before a resumption included."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.early_stopping_patience_counter = _kept(state, self, "early_stopping_patience_counter", 0)


def _kept(state: Any, callback: Any, name: str, otherwise: Any) -> Any:
    """What the callback of the run before wrote into the checkpoint (transformers would make a new callback of it)."""
    found = state.stateful_callbacks.get(type(callback).__name__, {})
    return found.get("attributes", {}).get(name, otherwise)
