"""Samples drawn once and shared, and what each caller would have paid for them alone. Knows no files and no methods."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from openr_data.engines import LoadedEngine
from openr_data.tasks import cancel, concurrently
from openr_data.types import Completion, Sampling, Steps

Key = tuple[str, Sampling, int]
"""Prompt, sampling and index: what a sample depends on, within one engine."""


@dataclass(frozen=True, slots=True)
class Bill:
    """Requests for one sample each, the tokens that they generated, and those of their prompts: a prompt is sent each time."""

    calls: int = 0
    tokens: int = 0
    prompt_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Draw:
    """One request to the engine: when it began and ended, and the tokens that it brought."""

    begin: float
    end: float
    tokens: int


class Memo:
    """An engine's samples in memory: the same one is drawn once, whoever asks. `draws` are the requests that were made.

    Use as an async context manager: what is still being drawn at the end is cancelled.
    """

    def __init__(self, engine: LoadedEngine) -> None:
        self.engine = engine
        self.draws: list[Draw] = []
        self._samples: dict[Key, asyncio.Task[Completion]] = {}
        self._lengths: dict[str, int] = {}

    async def __aenter__(self) -> Memo:
        return self

    async def __aexit__(self, *_: object) -> None:
        await cancel({task for task in self._samples.values() if not task.done()})

    @property
    def drawn(self) -> Bill:
        """What was really paid."""
        done = {key: task.result().token_count for key, task in self._samples.items() if task.done() and not _failed(task)}
        return self.bill(done)

    def bill(self, paid: Mapping[Key, int]) -> Bill:
        return Bill(len(paid), sum(paid.values()), sum(self._length(prompt) for prompt, _, _ in paid))

    def _length(self, prompt: str) -> int:
        if prompt not in self._lengths:
            self._lengths[prompt] = len(self.engine.pieces(prompt))
        return self._lengths[prompt]

    def key(self, question: str, prefix: Steps, sampling: Sampling, index: int) -> Key:
        return self.engine.prompt(question, prefix), sampling, index

    async def draw(self, key: Key, question: str, prefix: Steps) -> Completion:
        if key not in self._samples:
            self._samples[key] = asyncio.create_task(self._drawn(question, prefix, key[1], key[2]))
        return await asyncio.shield(self._samples[key])

    async def _drawn(self, question: str, prefix: Steps, sampling: Sampling, index: int) -> Completion:
        begin = time.monotonic()
        (completion,) = await self.engine.sample(question, prefix, n=1, sampling=sampling, start=index)
        self.draws.append(Draw(begin, time.monotonic(), completion.token_count))
        return completion


class Meter:
    """The engine of one caller: an `Engine` over the memo that counts each sample once, and those in `owned` (an earlier stage's,
    found in its journal) not at all. `probed`: it was asked to continue some steps, not only the question.
    """

    def __init__(self, memo: Memo, owned: Collection[Key] = ()) -> None:
        self._memo = memo
        self._owned = owned
        self.paid: dict[Key, int] = {}
        self.probed = False

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        self.probed |= bool(prefix)
        keys = [self._memo.key(question, prefix, sampling, index) for index in range(start, start + n)]
        completions = await concurrently([self._memo.draw(key, question, prefix) for key in keys])
        self.paid |= {key: c.token_count for key, c in zip(keys, completions, strict=True) if key not in self._owned}
        return completions

    @property
    def bill(self) -> Bill:
        return self._memo.bill(self.paid)


def _failed(task: asyncio.Task[Completion]) -> bool:
    return task.cancelled() or task.exception() is not None


def tokens_per_second(draws: Sequence[Draw], slots: int) -> float:
    """Tokens per second while the engine was busy: at least half as many requests in flight as it takes, or as there ever were.

    Start and end of a pilot, when the engine runs empty, say nothing about a long run. A request's tokens are taken to come
    evenly. 0 where no time passed.

    >>> tokens_per_second([Draw(0, 2, 10), Draw(0, 2, 10), Draw(0, 10, 50)], slots=3)
    15.0
    """
    events = sorted([(draw.begin, 1) for draw in draws] + [(draw.end, -1) for draw in draws])
    if not events or events[0][0] == events[-1][0]:
        return 0.0
    times = [moment for moment, _ in events]
    flying = list(accumulate(change for _, change in events))
    enough = min(max(flying), slots) / 2
    gaps = (end - begin if count >= enough else 0.0 for begin, end, count in zip(times, times[1:], flying, strict=False))
    busy = [0.0, *accumulate(gaps)]

    def until(moment: float) -> float:
        """Busy seconds before a moment; every begin and end is an event."""
        return busy[bisect_right(times, moment) - 1]

    tokens = sum(
        draw.tokens * ((until(draw.end) - until(draw.begin)) / (draw.end - draw.begin) if draw.end > draw.begin else 1.0)
        for draw in draws
    )
    return tokens / busy[-1] if busy[-1] else 0.0
