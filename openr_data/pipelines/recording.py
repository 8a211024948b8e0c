"""An engine that never pays twice: a completion is durable before anyone sees it, and later answered from the journal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from typing import Protocol

from openr_data.engines import LoadedEngine, sample_seed
from openr_data.engines.base import Around
from openr_data.pipelines.scheduler import Order, Scheduler
from openr_data.tasks import concurrently
from openr_data.types import Completion, Sampling, Steps


class CompletionLog(Protocol):
    """What the recorder needs of a journal."""

    async def lookup(self, keys: Sequence[bytes], /) -> Mapping[bytes, Completion]: ...

    async def record(self, key: bytes, completion: Completion, /) -> None:
        """Return only when the completion is durable."""
        ...

    async def adopt(self, key: bytes, completion: Completion, /) -> None:
        """Like `record`, for a completion that another run has paid for."""
        ...


class CompletionSource(Protocol):
    """A journal of another run, read only."""

    async def lookup(self, keys: Sequence[bytes], /) -> Mapping[bytes, Completion]: ...


class Tally:
    """What was generated in this process, for progress and throughput; `reused` came from a journal."""

    def __init__(self) -> None:
        self.completions = 0
        self.tokens = 0
        self.reused = 0
        self.failed = 0

    def add(self, completion: Completion) -> None:
        self.completions += 1
        self.tokens += completion.token_count
        self.failed += completion.finish_reason == "error"


@dataclass(slots=True)
class Request:
    task: asyncio.Task[Completion]
    waiters: int = 0


class RecordingEngine(Around):
    """Wraps a loaded engine; itself an engine. A failed sample (`error`) is not recorded, so a later run asks for it again."""

    def __init__(self, engine: LoadedEngine, log: CompletionLog, reuse: Sequence[CompletionSource] = ()) -> None:
        super().__init__(engine)
        self._log = log
        self._reuse = reuse
        self._requests: dict[bytes, Request] = {}
        self._calls = count()
        self._item = 0
        self.scheduler = Scheduler(lambda: engine.slots)
        self.tally = Tally()

    def for_item(self, number: int) -> RecordingEngine:
        """The same engine for the work on item `number`: its sequences go before those of later items."""
        view = copy(self)
        view._item = number
        return view

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        """Samples are asked for one by one, so that each is durable as soon as it is finished."""
        call = next(self._calls)
        prompt = self._engine.prompt(question, prefix)
        keys = {index: self.key(prompt, sampling, index) for index in range(start, start + n)}
        known = await self._known(list(keys.values()))

        async def one(index: int) -> Completion:
            key = keys[index]
            if key in known:
                return known[key]
            order = Order(self._item, -len(prefix), call, index)
            return await self._shared(key, question, prefix, sampling, order)

        return await concurrently(one(index) for index in keys)

    def key(self, prompt: str, sampling: Sampling, index: int) -> bytes:
        """Everything that a completion depends on."""
        parts = [
            self._engine.identity,
            prompt,
            sampling.temperature,
            sampling.top_p,
            sampling.top_k,
            sampling.max_tokens,
            [*sampling.stop, *self._engine.template.stop],
            sample_seed(sampling, prompt, index),
            index,
        ]
        return sha256(json.dumps(parts, ensure_ascii=True).encode()).digest()

    async def _known(self, keys: Sequence[bytes]) -> dict[bytes, Completion]:
        known = dict(await self._log.lookup(keys))
        for source in self._reuse:
            missing = [key for key in keys if key not in known]
            if not missing:
                break
            for key, completion in (await source.lookup(missing)).items():
                await self._log.adopt(key, completion)
                known[key] = completion
        self.tally.reused += len(known)
        return known

    async def _shared(self, key: bytes, question: str, prefix: Steps, sampling: Sampling, order: Order) -> Completion:
        """Two callers that want the same sample at the same time wait for one request; it is aborted when nobody waits."""
        request = self._requests.get(key)
        if request is None:
            request = self._requests[key] = Request(asyncio.create_task(self._draw(key, question, prefix, sampling, order)))
        request.waiters += 1
        try:
            return await asyncio.shield(request.task)
        finally:
            request.waiters -= 1
            if not request.waiters:
                request.task.cancel()
                if self._requests.get(key) is request:
                    del self._requests[key]

    async def _draw(self, key: bytes, question: str, prefix: Steps, sampling: Sampling, order: Order) -> Completion:
        if found := await self._log.lookup((key,)):  # another caller has paid for it since it was looked up
            self.tally.reused += 1
            return found[key]
        await self.scheduler.acquire(order)
        try:
            (completion,) = await self._engine.sample(question, prefix, n=1, sampling=sampling, start=order.sample)
        finally:
            self.scheduler.release()
        self.tally.add(completion)  # it is paid, also when nobody waits any more while it is written
        if completion.finish_reason != "error":
            await self._log.record(key, completion)
        return completion
