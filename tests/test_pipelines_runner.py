from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import aclosing
from itertools import count

import pytest

from openr_data.pipelines.runner import finished, gather_or_cancel


def test_every_item_comes_out_once_and_the_window_is_never_exceeded() -> None:
    at_work, most = 0, 0

    async def work(item: int) -> int:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.001 * (item % 3))
        at_work -= 1
        return item * 10

    async def run() -> dict[int, int]:
        return {done.item: done.result() async for done in finished(iter(range(40)), work, window=7, stop=asyncio.Event())}

    assert asyncio.run(run()) == {item: item * 10 for item in range(40)}
    assert most == 7


def test_items_are_pulled_only_as_places_become_free() -> None:
    pulled: list[int] = []

    def items() -> Iterator[int]:
        for item in count():
            pulled.append(item)
            yield item

    async def work(item: int) -> int:
        await asyncio.sleep(0)
        return item

    async def run() -> None:
        async for done in finished(items(), work, window=3, stop=asyncio.Event()):
            assert len(pulled) <= done.item + 3 + 3
            if done.item == 10:
                return

    asyncio.run(run())


def test_stop_finishes_what_is_in_flight_and_starts_nothing_more() -> None:
    async def run() -> list[int]:
        stop = asyncio.Event()

        async def work(item: int) -> int:
            await asyncio.sleep(0.001)
            return item

        out = []
        async for done in finished(iter(range(100)), work, window=4, stop=stop):
            out.append(done.item)
            stop.set()
        return sorted(out)

    assert asyncio.run(run()) == [0, 1, 2, 3]


def test_an_item_that_fails_is_handed_out_like_any_other() -> None:
    async def work(item: int) -> int:
        if item == 1:
            raise KeyError("one")
        return item

    async def run() -> tuple[list[int], list[int]]:
        good, bad = [], []
        async for done in finished(iter(range(3)), work, window=2, stop=asyncio.Event()):
            try:
                good.append(done.result())
            except KeyError:
                bad.append(done.item)
        return sorted(good), bad

    assert asyncio.run(run()) == ([0, 2], [1])


def test_leaving_early_cancels_the_rest() -> None:
    cancelled = []

    async def work(item: int) -> int:
        try:
            await asyncio.sleep(30 if item else 0)
        except asyncio.CancelledError:
            cancelled.append(item)
            raise
        return item

    async def run() -> None:
        results = finished(iter(range(3)), work, window=3, stop=asyncio.Event())
        async for _ in results:
            break
        await results.aclose()

    asyncio.run(run())
    assert sorted(cancelled) == [1, 2]


def test_the_first_error_cancels_the_other_calls() -> None:
    ended = []

    async def slow() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def bad() -> None:
        await asyncio.sleep(0)
        raise ValueError("bad")

    async def run() -> None:
        with pytest.raises(ValueError, match="bad"):
            await gather_or_cancel([slow(), bad()])
        await asyncio.sleep(0)

    asyncio.run(run())
    assert ended == ["cancelled"]


def test_when_many_fail_at_once_one_error_is_raised_and_none_is_reported_as_forgotten() -> None:
    reported: list[object] = []

    async def work(item: int) -> None:
        raise OSError(item)

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        async with aclosing(finished(iter(range(8)), work, window=4, stop=asyncio.Event())) as results:
            async for one in results:
                one.result()

    with pytest.raises(OSError, match="0"):
        asyncio.run(run())
    gc.collect()
    assert reported == []
