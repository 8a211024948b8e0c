"""The recording engine before a full engine: who comes next, what a cancelled call frees, and what nobody pays for twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import pytest
from test_pipelines_recording import SAMPLING, Counting, Log

from openr_data.engines import EngineLimits, EngineSpec, sample_seed
from openr_data.engines.open import open_engine
from openr_data.errors import EngineError
from openr_data.pipelines.recording import RecordingEngine
from openr_data.types import Completion, Sampling, Steps


class Held(Counting):
    """Every sample waits until it is let go; `started` notes the questions in the order in which they came in."""

    slots = 1

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.started: list[str] = []
        self.inside = 0

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        self.started.append(f"{question}{len(prefix)}.{start}")
        self.inside += 1
        try:
            await self.go.wait()
            self.go.clear()
        finally:
            self.inside -= 1
        return [Completion("x", 1, "stop", start, sample_seed(sampling, question, start))]


async def settle() -> None:
    for _ in range(12):
        await asyncio.sleep(0)


def ask(engine: RecordingEngine, item: int, depth: int, n: int = 1) -> asyncio.Task[Sequence[Completion]]:
    steps = tuple("abcdefgh"[:depth])
    return asyncio.create_task(engine.for_item(item).sample(f"q{item}-", steps, n=n, sampling=SAMPLING))


async def finish(engine: Held, tasks: Sequence[asyncio.Task[Sequence[Completion]]]) -> None:
    while not all(task.done() for task in tasks):
        engine.go.set()
        await settle()


def test_older_items_and_deeper_prefixes_come_first() -> None:
    async def run() -> None:
        engine = Held()
        recorder = RecordingEngine(engine, Log())
        tasks = [ask(recorder, 9, 0)]
        await settle()
        tasks += [ask(recorder, 2, 1), ask(recorder, 1, 0, 2), ask(recorder, 1, 3, 2), ask(recorder, 0, 0)]
        await settle()
        await finish(engine, tasks)
        assert engine.started == ["q9-0.0", "q0-0.0", "q1-3.0", "q1-3.1", "q1-0.0", "q1-0.1", "q2-1.0"]
        assert (recorder.scheduler.running, recorder.scheduler.waiting) == (0, 0)

    asyncio.run(run())


def test_a_cancelled_call_leaves_the_queue_and_a_running_one_the_engine_and_the_next_comes_in() -> None:
    async def run() -> None:
        engine = Held()
        recorder = RecordingEngine(engine, Log())
        running, waiting, last = ask(recorder, 0, 0), ask(recorder, 1, 0, 3), ask(recorder, 2, 0)
        await settle()
        assert (engine.started, recorder.scheduler.waiting) == (["q0-0.0"], 4)
        waiting.cancel()
        await settle()
        assert (engine.started, recorder.scheduler.waiting) == (["q0-0.0"], 1)
        running.cancel()
        await settle()
        assert (engine.started, engine.inside) == (["q0-0.0", "q2-0.0"], 1)
        await finish(engine, [last])
        assert (recorder.scheduler.running, recorder.tally.completions) == (0, 1)

    asyncio.run(run())


@pytest.mark.parametrize("place", ["waiting", "running"])
def test_a_sample_that_two_callers_share_is_given_up_only_with_the_last_of_them(place: str) -> None:
    async def run() -> None:
        engine = Held()
        recorder = RecordingEngine(engine, Log())
        hog = [ask(recorder, 0, 0)] if place == "waiting" else []
        await settle()
        first, second, third = (ask(recorder, 5, 0) for _ in range(3))
        await settle()
        first.cancel()
        second.cancel()
        await settle()
        assert recorder.scheduler.waiting + engine.inside == 1 + len(hog)
        await finish(engine, [third, *hog])
        fourth, fifth = ask(recorder, 6, 0), ask(recorder, 6, 0)
        await settle()
        fourth.cancel()
        fifth.cancel()
        await settle()
        assert (recorder.scheduler.running, recorder.scheduler.waiting, engine.inside) == (0, 0, 0)
        assert engine.started.count("q5-0.0") == 1

    asyncio.run(run())


def test_a_failed_sample_gives_its_place_back() -> None:
    class Failing(Counting):
        slots = 1

        async def sample(
            self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
        ) -> Sequence[Completion]:
            await asyncio.sleep(0)
            raise EngineError("no", retryable=True)

    async def run() -> None:
        recorder = RecordingEngine(Failing(), Log())
        tasks = [ask(recorder, item, 0) for item in range(9)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, EngineError) for result in results)
        assert (recorder.scheduler.running, recorder.scheduler.waiting) == (0, 0)

    asyncio.run(run())


def test_no_sample_is_drawn_twice_however_callers_meet() -> None:
    """Callers of the same samples come, go and are cancelled at any moment between look-up, drawing and recording."""

    async def run(seed: int) -> None:
        random, engine, log = Random(seed), Counting(), Log()
        recorder = RecordingEngine(engine, log)

        async def caller() -> None:
            for _ in range(random.randrange(12)):
                await asyncio.sleep(0)
            await recorder.sample("q", ("a",) * random.randrange(2), n=1 + random.randrange(4), sampling=SAMPLING)

        await asyncio.gather(*(caller() for _ in range(40)))
        assert len(engine.asked) == len(set(engine.asked)) == len(log.rows)

    for seed in range(20):
        asyncio.run(run(seed))


def test_cancelled_work_frees_the_rows_of_the_local_engine() -> None:
    async def run() -> tuple[int, int]:
        endless = Sampling(temperature=1.0, max_tokens=200, seed=2)
        async with open_engine(EngineSpec("builtin"), EngineLimits(slots=4)) as engine:
            recorder = RecordingEngine(engine, Log())
            crowd = [
                asyncio.create_task(recorder.for_item(item).sample(f"What is {item} + 5?", (), n=4, sampling=endless))
                for item in range(20)
            ]
            await settle()
            assert recorder.scheduler.running == recorder.scheduler.places
            for task in crowd:
                task.cancel()
            done = await recorder.for_item(99).sample("What is 2 + 2?", (), n=4, sampling=endless)
            await asyncio.gather(*crowd, return_exceptions=True)
            return recorder.scheduler.running + recorder.scheduler.waiting, len(done)

    assert asyncio.run(run()) == (0, 4)
