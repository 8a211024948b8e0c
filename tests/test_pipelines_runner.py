from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from itertools import count

import pytest

from openr_data.pipelines.runner import run_each


class Window:
    """Room for so many items at work."""

    def __init__(self, size: int) -> None:
        self._places = asyncio.Semaphore(size)
        self.at_work = 0
        self.most = 0
        self.done: list[int] = []

    async def room(self) -> None:
        await self._places.acquire()

    def enter(self) -> None:
        self.at_work += 1
        self.most = max(self.most, self.at_work)

    def leave(self, item: int) -> None:
        self.at_work -= 1
        self.done.append(item)
        self._places.release()


def test_every_item_is_done_once_and_only_as_there_is_room() -> None:
    async def run() -> Window:
        window = Window(7)

        async def work(item: int) -> None:
            window.enter()
            await asyncio.sleep(0.001 * (item % 3))
            window.leave(item)

        await run_each(iter(range(40)), work, room=window.room, stop=asyncio.Event())
        return window

    window = asyncio.run(run())
    assert sorted(window.done) == list(range(40))
    assert window.most == 7


def test_items_are_pulled_only_as_there_is_room_and_none_waits_for_another() -> None:
    pulled: list[int] = []

    def items() -> Iterator[int]:
        for item in count():
            pulled.append(item)
            yield item

    async def run() -> None:
        window, stop, first = Window(3), asyncio.Event(), asyncio.Event()

        async def work(item: int) -> None:
            if item == 0:
                await first.wait()  # it ends last of all
            await asyncio.sleep(0)
            window.leave(item)
            assert len(pulled) <= len(window.done) + 3
            if item == 50:
                stop.set()
                first.set()

        await run_each(items(), work, room=window.room, stop=stop)
        assert set(window.done) >= set(range(51))

    asyncio.run(run())


def test_stop_finishes_what_is_in_flight_and_starts_nothing_more() -> None:
    async def run() -> list[int]:
        window, stop = Window(4), asyncio.Event()

        async def work(item: int) -> None:
            await asyncio.sleep(0.001)
            stop.set()
            window.leave(item)

        await run_each(iter(range(100)), work, room=window.room, stop=stop)
        return sorted(window.done)

    assert asyncio.run(run()) == [0, 1, 2, 3]


def test_cancelling_the_run_cancels_every_item() -> None:
    cancelled = []

    async def run() -> None:
        window = Window(3)

        async def work(item: int) -> None:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                cancelled.append(item)
                raise

        running = asyncio.create_task(run_each(iter(range(9)), work, room=window.room, stop=asyncio.Event()))
        await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(run())
    assert sorted(cancelled) == [0, 1, 2]


def test_the_first_error_cancels_the_others_also_while_there_is_no_room_and_none_is_reported_as_forgotten() -> None:
    reported: list[object] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        window = Window(4)

        async def work(item: int) -> None:
            await asyncio.sleep(30 if item == 1 else 0)
            raise OSError(item)

        await run_each(iter(range(8)), work, room=window.room, stop=asyncio.Event())

    with pytest.raises(OSError, match="0"):
        asyncio.run(run())
    gc.collect()
    assert reported == []
