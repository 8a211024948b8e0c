from __future__ import annotations

import asyncio

import pytest

from openr_data.tasks import cancel, concurrently


async def after(turns: int, value: int) -> int:
    for _ in range(turns):
        await asyncio.sleep(0)
    return value


def test_results_come_in_the_order_of_the_jobs() -> None:
    assert asyncio.run(concurrently(after(9 - value, value) for value in range(9))) == list(range(9))
    assert asyncio.run(concurrently([after(1, 5)])) == [5]
    assert asyncio.run(concurrently([])) == []


def test_the_first_error_cancels_the_other_calls_and_waits_for_their_end() -> None:
    ended = []

    async def slow() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0)
            ended.append("cancelled")

    async def bad() -> None:
        await asyncio.sleep(0)
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        asyncio.run(concurrently([slow(), bad()]))
    assert ended == ["cancelled"]


def test_cancelling_the_call_cancels_all_jobs() -> None:
    async def run(jobs: int) -> int:
        ended = 0

        async def slow() -> None:
            nonlocal ended
            try:
                await asyncio.sleep(30)
            finally:
                ended += 1

        calls = [asyncio.create_task(concurrently(slow() for _ in range(jobs)))]
        await asyncio.sleep(0.001)
        await cancel(calls)
        return ended if calls[0].cancelled() else -1

    assert [asyncio.run(run(jobs)) for jobs in (1, 5)] == [1, 5]
