"""Runs a batch inside an asyncio program: requests come in as awaitables, steps happen between them. Knows no tokens.

Small models step in the event loop itself, one step per turn of the loop: their steps take milliseconds, and a worker thread
would wait for the interpreter lock at each of its hundred operations. Large models step in a thread (measured: docs/log.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import torch

from openr_data.engines.local_request import Request
from openr_data.errors import EngineError
from openr_data.types import Completion


class Stepper(Protocol):
    """The batch, as far as the loop is concerned."""

    @property
    def busy(self) -> bool: ...

    def submit(self, request: Request) -> None: ...

    def cancel(self, request: Request) -> None: ...

    def step(self) -> list[Request]: ...

    def drain(self) -> list[Request]: ...


class StepLoop:
    """Belongs to the event loop that makes it. After a failed step every request, waiting or new, gets the same `EngineError`."""

    def __init__(self, batch: Stepper, *, threaded: bool) -> None:
        self._batch = batch
        self._threaded = threaded
        self._waiting: dict[Request, asyncio.Future[Sequence[Completion]]] = {}
        self._work = asyncio.Event()
        self._failure: EngineError | None = None
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def complete(self, request: Request) -> Sequence[Completion]:
        """The finished samples. Cancelling the call frees the rows at the next step."""
        if self._failure:
            raise _again(self._failure)
        future: asyncio.Future[Sequence[Completion]] = asyncio.get_running_loop().create_future()
        self._waiting[request] = future
        self._batch.submit(request)
        self._work.set()
        try:
            return await future
        finally:
            if not request.done:
                self._batch.cancel(request)
            self._waiting.pop(request, None)

    async def close(self) -> None:
        """Waits for the step under way; what was not done fails."""
        self._fail(self._failure or EngineError("the engine was closed while requests were waiting"))
        self._work.set()
        await asyncio.wait([self._task])
        self._batch.drain()

    async def _run(self) -> None:
        try:
            while not self._failure:
                if not self._batch.busy:
                    self._work.clear()
                    await self._work.wait()
                elif self._threaded:
                    self._deliver(await asyncio.to_thread(self._batch.step))
                else:
                    self._deliver(self._batch.step())
                    await asyncio.sleep(0)
        except Exception as error:  # whatever broke the step must reach those who wait, not die in this task
            self._fail(_as_engine_error(error))

    def _deliver(self, finished: Sequence[Request]) -> None:
        for request in finished:
            future = self._waiting.get(request)
            if future and not future.done():
                future.set_result([result for result in request.results if result is not None])

    def _fail(self, failure: EngineError) -> None:
        self._failure = failure
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(_again(failure))


def _again(failure: EngineError) -> EngineError:
    """A fresh exception for each who waits: one object raised in many tasks would collect all their tracebacks."""
    again = EngineError(str(failure), retryable=failure.retryable)
    again.__cause__ = failure.__cause__
    return again


def _as_engine_error(error: Exception) -> EngineError:
    if isinstance(error, EngineError):
        return error
    reason = (str(error).strip().splitlines() or [""])[0]
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "out of memory" in reason or "can't allocate" in reason:
        failure = EngineError("the local engine ran out of memory: use fewer --slots, or a smaller model")
    else:
        failure = EngineError(f"the local engine failed at a step: {type(error).__name__}: {reason}")
    failure.__cause__ = error
    return failure
