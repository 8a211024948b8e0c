"""What a run logs, to trackers of experiments as well: accelerate's, whatever trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS

from openr_data.errors import UsageError
from openr_data.pipelines.rl.prepared import Listeners
from openr_data.pipelines.rl.state import Evaluation

_PROJECT = "openr-data"


@contextmanager
def tracked(names: Sequence[str], out: Path, listeners: Listeners) -> Iterator[Listeners]:
    """`listeners` that tell the trackers as well: numbers of an update, and `held_out`, by the number of updates. Tensorboard
    writes to `out/tensorboard`; the others have the project `openr-data` and a run of the directory's name.
    """
    if not names:
        yield listeners
        return
    trackers = _Trackers(names, out)

    def on_update(done: int, updates: int, told: dict[str, Any]) -> None:
        trackers.log({name: value for name, value in told.items() if isinstance(value, int | float)}, done)
        listeners.on_update(done, updates, told)

    def on_evaluation(found: Evaluation) -> None:
        trackers.log({"held_out": found.accuracy}, found.update)
        listeners.on_evaluation(found)

    try:
        yield replace(listeners, on_update=on_update, on_evaluation=on_evaluation)
    finally:
        trackers.finish()


class _Trackers:
    """They start with the first number: by then whoever trains has said on which devices, which they ask for."""

    def __init__(self, names: Sequence[str], out: Path) -> None:
        self._names, self._out = names, out
        self._open: list[Any] = []

    def log(self, values: Mapping[str, float], step: int) -> None:
        if not self._open:
            PartialState()
            self._open = [self._started(name) for name in self._names]
        for each in self._open:
            each.log(dict(values), step=step)

    def finish(self) -> None:
        for each in self._open:
            each.finish()

    def _started(self, name: str) -> Any:
        kind = LOGGER_TYPE_TO_CLASS[name]
        made = kind(name, self._out) if kind.requires_logging_directory else kind(_PROJECT, name=self._out.resolve().name)
        try:
            made.start()
        except Exception as error:  # a key that is missing, no network: each tracker has words and kinds of its own
            raise UsageError(f"the tracker '{name}' could not be started: {error}") from error
        return made
