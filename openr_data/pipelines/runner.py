"""Bounded concurrency: a window of items at work, finished ones handed out as they come. Knows nothing of what the work is."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Finished(Generic[Item, Result]):
    """An item whose work has ended; `result()` returns what came out, or raises what went wrong."""

    def __init__(self, item: Item, task: asyncio.Task[Result]) -> None:
        self.item = item
        self._task = task

    def result(self) -> Result:
        return self._task.result()

    def drop(self) -> None:
        """Nobody asks any more: asyncio shall not report its error as forgotten."""
        if not self._task.cancelled():
            self._task.exception()


async def finished(
    items: Iterator[Item],
    work: Callable[[Item], Coroutine[Any, Any, Result]],
    *,
    window: int,
    stop: asyncio.Event,
) -> AsyncGenerator[Finished[Item, Result], None]:
    """Keep `window` items at work until `items` ends or `stop` is set; then finish what is in flight.

    Results come in the order of completion. Closing the generator early (see `contextlib.aclosing`) cancels the rest.
    """
    queue: asyncio.Queue[Finished[Item, Result]] = asyncio.Queue()
    running: set[asyncio.Task[Result]] = set()

    def start(item: Item) -> None:
        task = asyncio.create_task(work(item))
        running.add(task)
        task.add_done_callback(lambda done: queue.put_nowait(Finished(item, done)))
        task.add_done_callback(running.discard)

    exhausted = False
    waiting = 0
    try:
        while True:
            while waiting < window and not exhausted and not stop.is_set():
                try:
                    item = next(items)
                except StopIteration:
                    exhausted = True
                    break
                start(item)
                waiting += 1
            if not waiting:
                return
            done = await queue.get()
            waiting -= 1
            yield done
    finally:
        await cancel(running)
        while not queue.empty():
            queue.get_nowait().drop()


async def cancel(tasks: set[asyncio.Task[Result]]) -> None:
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*list(tasks), return_exceptions=True)


async def gather_or_cancel(calls: Sequence[Awaitable[Result]]) -> list[Result]:
    """Like `asyncio.gather`, but the first error cancels the other calls before it is raised."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


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
