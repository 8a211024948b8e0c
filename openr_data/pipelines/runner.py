"""Items at work side by side, opened as there is room, and how a signal stops that. Knows nothing of what the work is."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

Item = TypeVar("Item")


async def run_each(
    items: Iterator[Item],
    work: Callable[[Item], Coroutine[Any, Any, object]],
    *,
    room: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
) -> None:
    """Start the work on the next item whenever `room` returns, until `items` ends or `stop` is set; then finish what is begun.

    No item waits for the end of another, and none is pulled before there is room. The first error cancels the other items and is
    raised as itself.
    """
    end = object()
    try:
        async with asyncio.TaskGroup() as group:
            while True:
                await room()
                if stop.is_set() or (item := next(items, end)) is end:
                    break
                group.create_task(work(item))  # type: ignore[arg-type]  # no item is `end`
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


@asynccontextmanager
async def interruptible(on_stop: Callable[[], None] = lambda: None) -> AsyncIterator[asyncio.Event]:
    """An event that the first Ctrl-C sets (finish what is in flight), calling `on_stop`; the second one cancels the run."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    current = asyncio.current_task()

    def on_signal() -> None:
        if not stop.is_set():
            stop.set()
            on_stop()
        elif current is not None:
            current.cancel()

    installed = []
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, RuntimeError, ValueError):  # not the main thread, or no signals on this system
            loop.add_signal_handler(number, on_signal)
            installed.append(number)
    try:
        yield stop
    finally:
        for number in installed:
            loop.remove_signal_handler(number)
