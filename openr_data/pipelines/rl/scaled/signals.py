"""Ctrl-C while a library has the loop: the first one asks for an end, the second one is a `KeyboardInterrupt`."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any


class Stop:
    """`with Stop(on_stop) as stop:`; `stop.asked` after the first signal. Elsewhere than in the main thread it hears none."""

    def __init__(self, on_stop: Callable[[], None]) -> None:
        self.asked = False
        self._on_stop = on_stop
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stop:
        for each in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError):
                self._before[each] = signal.signal(each, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _hear(self, _: int, __: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self._on_stop()
