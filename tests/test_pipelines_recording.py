from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from openr_data.engines import TEMPLATES, PromptTemplate, sample_seed
from openr_data.errors import EngineError
from openr_data.pipelines.recording import RecordingEngine
from openr_data.types import Completion, Sampling, Steps

SAMPLING = Sampling(temperature=1.0, max_tokens=8, seed=3)


class Log:
    def __init__(self) -> None:
        self.rows: dict[bytes, Completion] = {}

    async def lookup(self, keys: Sequence[bytes], /) -> Mapping[bytes, Completion]:
        return {key: self.rows[key] for key in keys if key in self.rows}

    async def record(self, key: bytes, completion: Completion, /) -> None:
        await asyncio.sleep(0)
        assert key not in self.rows
        self.rows[key] = completion

    async def adopt(self, key: bytes, completion: Completion, /) -> None:
        await self.record(key, completion)


class Counting:
    """Answers with the index; counts what is asked for; can fail, and can be cancelled."""

    identity = "counting"
    template: PromptTemplate = TEMPLATES["builtin"]
    slots = 4

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.cancelled = 0
        self.wait = 0.0
        self.failing: set[int] = set()

    def prompt(self, question: str, prefix: Steps, /) -> str:
        return self.template.render(question, prefix)

    def pieces(self, text: str, /) -> Sequence[str]:
        return text.split()

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        prompt = self.prompt(question, prefix)
        self.asked += [(prompt, index) for index in range(start, start + n)]
        try:
            await asyncio.sleep(self.wait)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return [
            Completion(str(i), 1, "error" if i in self.failing else "stop", i, sample_seed(sampling, prompt, i))
            for i in range(start, start + n)
        ]


def test_a_sample_is_paid_once_and_answered_from_the_log_afterwards() -> None:
    engine, log = Counting(), Log()
    recorder = RecordingEngine(engine, log)

    async def run() -> None:
        first = await recorder.sample("q", (), n=3, sampling=SAMPLING)
        again = await recorder.sample("q", (), n=4, sampling=SAMPLING)
        assert [c.text for c in again] == ["0", "1", "2", "3"]
        assert list(again[:3]) == list(first)

    asyncio.run(run())
    assert sorted(index for _, index in engine.asked) == [0, 1, 2, 3]
    assert (recorder.tally.completions, recorder.tally.reused) == (4, 3)


def test_equal_requests_at_the_same_time_share_one_sample() -> None:
    engine, log = Counting(), Log()
    engine.wait = 0.01
    recorder = RecordingEngine(engine, log)

    async def run() -> None:
        await asyncio.gather(*(recorder.sample("q", ("a",), n=2, sampling=SAMPLING) for _ in range(3)))

    asyncio.run(run())
    assert sorted(index for _, index in engine.asked) == [0, 1]


def test_a_cancelled_caller_does_not_take_the_sample_from_another() -> None:
    engine = Counting()
    engine.wait = 0.02
    recorder = RecordingEngine(engine, Log())

    async def run() -> None:
        first = asyncio.create_task(recorder.sample("q", (), n=1, sampling=SAMPLING))
        second = asyncio.create_task(recorder.sample("q", (), n=1, sampling=SAMPLING))
        await asyncio.sleep(0.005)
        first.cancel()
        assert [c.text for c in await second] == ["0"]
        third = asyncio.create_task(recorder.sample("other", (), n=1, sampling=SAMPLING))
        await asyncio.sleep(0.005)
        third.cancel()
        await asyncio.sleep(0.005)

    asyncio.run(run())
    assert engine.cancelled == 1, "a request that nobody waits for is aborted"


def test_a_failed_sample_is_not_recorded() -> None:
    engine, log = Counting(), Log()
    engine.failing = {1}
    recorder = RecordingEngine(engine, log)
    asyncio.run(recorder.sample("q", (), n=2, sampling=SAMPLING))
    engine.failing = set()
    again = asyncio.run(recorder.sample("q", (), n=2, sampling=SAMPLING))
    assert [c.finish_reason for c in again] == ["stop", "stop"]
    assert [index for _, index in engine.asked] == [0, 1, 1]
    assert recorder.tally.failed == 1


def test_an_engine_error_reaches_the_caller() -> None:
    class Broken(Counting):
        async def sample(
            self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
        ) -> Sequence[Completion]:
            raise EngineError("the server is gone", retryable=True)

    with pytest.raises(EngineError, match="gone"):
        asyncio.run(RecordingEngine(Broken(), Log()).sample("q", (), n=2, sampling=SAMPLING))


def test_another_run_answers_equal_requests_and_its_answer_becomes_ours() -> None:
    source, log, engine = Log(), Log(), Counting()
    asyncio.run(RecordingEngine(engine, source).sample("q", (), n=2, sampling=SAMPLING))
    fresh = Counting()
    asyncio.run(RecordingEngine(fresh, log, [source]).sample("q", (), n=3, sampling=SAMPLING))
    assert [index for _, index in fresh.asked] == [2]
    assert set(source.rows) < set(log.rows)


def test_what_another_caller_drew_while_another_run_was_asked_is_not_paid_again() -> None:
    """The second caller misses in the log, waits for the other run's journal, and by then the first caller is done."""

    class Slow(Log):
        async def lookup(self, keys: Sequence[bytes], /) -> Mapping[bytes, Completion]:
            self.asked = getattr(self, "asked", 0) + 1
            for _ in range(20 * (self.asked - 1)):
                await asyncio.sleep(0)
            return {}

    engine = Counting()
    recorder = RecordingEngine(engine, Log(), [Slow()])

    async def run() -> None:
        await asyncio.gather(*(recorder.sample("q", (), n=1, sampling=SAMPLING) for _ in range(2)))

    asyncio.run(run())
    assert len(engine.asked) == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(SAMPLING, temperature=0.5),
        replace(SAMPLING, top_p=0.5),
        replace(SAMPLING, top_k=5),
        replace(SAMPLING, max_tokens=9),
        replace(SAMPLING, seed=4),
        replace(SAMPLING, stop=("x",)),
    ],
)
def test_the_key_holds_everything_that_a_completion_depends_on(other: Sampling) -> None:
    recorder = RecordingEngine(Counting(), Log())
    assert recorder.key("p", SAMPLING, 0) != recorder.key("p", other, 0)
    assert recorder.key("p", SAMPLING, 0) != recorder.key("p", SAMPLING, 1)
    assert recorder.key("p", SAMPLING, 0) != recorder.key("q", SAMPLING, 0)
