"""Samples drawn once and shared, what each caller would have paid alone, and the speed of a busy engine."""

from __future__ import annotations

import asyncio

import pytest

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.open import open_engine
from openr_data.pipelines.metering import Bill, Draw, Memo, Meter, tokens_per_second
from openr_data.tasks import concurrently
from openr_data.types import Sampling

SAMPLING = Sampling(1.0, 100, 0)


def test_callers_share_samples_and_pay_each_for_itself() -> None:
    async def go() -> None:
        async with open_engine(EngineSpec("scripted"), EngineLimits()) as engine, Memo(engine) as memo:
            first, second = Meter(memo), Meter(memo)
            a, b = await concurrently(
                [first.sample("1 + 1", (), n=3, sampling=SAMPLING), second.sample("1 + 1", (), n=4, sampling=SAMPLING, start=1)]
            )
            assert list(a[1:]) == list(b[:2]) == list(await engine.sample("1 + 1", (), n=2, sampling=SAMPLING, start=1))
            assert (first.bill.calls, second.bill.calls, memo.drawn.calls) == (3, 4, 5)
            length = len(engine.pieces(engine.prompt("1 + 1", ())))
            assert first.bill == Bill(3, sum(one.token_count for one in a), 3 * length)
            later = Meter(memo, owned=first.paid)
            await later.sample("1 + 1", (), n=4, sampling=SAMPLING)
            await later.sample("1 + 1", (), n=4, sampling=SAMPLING)
            assert (later.bill, later.probed) == (Bill(1, b[2].token_count, length), False)
            await later.sample("1 + 1", ("a step",), n=1, sampling=SAMPLING)
            assert (later.bill.calls, later.probed) == (2, True)

    asyncio.run(go())


def test_one_caller_that_gives_up_takes_no_sample_from_another() -> None:
    async def go() -> None:
        spec = EngineSpec("scripted", script="latency=0.05")
        async with open_engine(spec, EngineLimits()) as engine, Memo(engine) as memo:
            hasty = asyncio.create_task(Meter(memo).sample("1 + 1", (), n=2, sampling=SAMPLING))
            patient = asyncio.create_task(Meter(memo).sample("1 + 1", (), n=2, sampling=SAMPLING))
            await asyncio.sleep(0.01)
            hasty.cancel()
            assert len(await patient) == memo.drawn.calls == 2

    asyncio.run(go())


def test_a_run_that_empties_out_does_not_slow_the_speed_down() -> None:
    steady = [Draw(begin, begin + 1, 10) for begin in range(10) for _ in range(4)]
    tail = [Draw(10, 50, 40)]
    assert tokens_per_second(steady, slots=100) == pytest.approx(40)
    assert tokens_per_second(steady + tail, slots=100) == pytest.approx(40)
    assert tokens_per_second([Draw(0, 40, 40)] * 8, slots=2) == pytest.approx(8)


def test_no_time_is_no_speed() -> None:
    assert tokens_per_second([], slots=4) == tokens_per_second([Draw(1, 1, 5)], slots=4) == 0.0
