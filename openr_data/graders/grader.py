"""The graders: extraction, then the fast path, then math-verify in worker processes. Knows no problems, engines or stores."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

from openr_data.graders.exact import decide
from openr_data.graders.extract import extract
from openr_data.graders.limits import plain_formulas, refuse
from openr_data.graders.normalise import normalise
from openr_data.graders.policy import GRADER_VERSION, GradingPolicy
from openr_data.graders.pool import Pool
from openr_data.types import Outcome, Verdict

Reason = Literal[
    "exact", "equal", "different", "no_answer", "timeout", "memory", "limit", "unparsable_answer", "unparsable_gold", "crashed"
]
_OUTCOMES: Mapping[str, Outcome] = {"exact": "right", "equal": "right", "different": "wrong"}
_RETRIED = frozenset(("timeout", "memory", "crashed"))
Pair = tuple[str, str]


class OpenGrader(Protocol):
    """A grader as a run uses it: opened with `async with`, closed with it."""

    @property
    def identity(self) -> str:
        """Version and policy: what a verdict depends on. Saved with the run."""
        ...

    async def __call__(self, response: str, answer: str, /) -> Verdict:
        """See `openr_data.types.Grader`."""
        ...

    async def grade_answer(self, answer: str, gold: str, /) -> Verdict:
        """As `__call__`, for an answer that is already extracted."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


def _verdict(reason: str, answer: str | None) -> Verdict:
    return Verdict(_OUTCOMES.get(reason, "unknown"), reason, answer)


class ExactGrader:
    """The fast path alone: no process, no sympy. What it cannot decide is unknown (`limit` or `unparsable_answer`)."""

    def __init__(self, policy: GradingPolicy | None = None) -> None:
        self.policy = policy or GradingPolicy()

    @property
    def identity(self) -> str:
        return f"exact/{GRADER_VERSION} {self.policy.identity}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        return None

    async def __call__(self, response: str, answer: str, /) -> Verdict:
        found = extract(response)
        return _verdict("no_answer", None) if found is None else await self.grade_answer(found, answer)

    async def grade_answer(self, answer: str, gold: str, /) -> Verdict:
        pair = normalise(answer), normalise(gold)
        return _verdict(_fast(pair, self.policy) or _refusal(pair) or "unparsable_answer", answer)


def _fast(pair: Pair, policy: GradingPolicy) -> str:
    """The reason code of the fast path; empty when a worker has to look."""
    decision = decide(*pair, policy)
    if decision == "ambiguous":
        return "unparsable_answer"
    return "" if decision == "undecided" else decision


def _refusal(pair: Pair) -> str:
    """The reason why a pair must not be sent to a worker; empty when it may."""
    answer, gold = (refuse(text) for text in pair)
    if "limit" in (answer, gold):
        return "limit"
    if gold or not pair[1]:
        return "unparsable_gold"
    return "unparsable_answer" if answer or not pair[0] else ""


@dataclass(slots=True)
class GraderCounts:
    """How often each layer answered, for reports and benchmarks."""

    fast: int = 0
    cached: int = 0
    worker: int = 0
    refused: int = 0


class MathGrader:
    """Exact where exact arithmetic can decide, math-verify in killable worker processes where it cannot.

    Right and wrong are cached, at most `cache_size` pairs of normalised texts, the least recently used leaving first. A pair that
    ran out of CPU time (`cpu_seconds`) or memory, or lost its worker, is tried once more with four times the budget; what then
    still ran out of its budget is remembered as unknown for as long as the grader is open, so that one hard answer is not paid
    for in every rollout. Equal pairs in flight share one computation. No process or thread starts before a pair needs it.
    Use it within one event loop, as an async context manager.
    """

    def __init__(
        self,
        policy: GradingPolicy | None = None,
        *,
        workers: int = 0,
        cpu_seconds: float = 2.0,
        cache_size: int = 100_000,
    ) -> None:
        self.policy = policy or GradingPolicy()
        self.workers = workers or max(1, min(8, (os.cpu_count() or 2) // 2))
        self.cpu_seconds = cpu_seconds
        self.counts = GraderCounts()
        self._cache: OrderedDict[Pair, str] = OrderedDict()
        self._cache_size = cache_size
        self._flights: dict[Pair, asyncio.Task[str]] = {}
        self._pool = Pool()
        self._threads: ThreadPoolExecutor | None = None

    @property
    def identity(self) -> str:
        return f"math/{GRADER_VERSION} {self.policy.identity}"

    async def __aenter__(self) -> Self:
        self._pool = Pool()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the workers and wait for what is in flight; it comes back as `crashed` or is cancelled."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        self._pool.close()
        await asyncio.gather(*flights, return_exceptions=True)
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown, wait=True, cancel_futures=True)

    async def __call__(self, response: str, answer: str, /) -> Verdict:
        found = extract(response)
        return _verdict("no_answer", None) if found is None else await self.grade_answer(found, answer)

    async def grade_answer(self, answer: str, gold: str, /) -> Verdict:
        return _verdict(await self._reason((normalise(answer), normalise(gold))), answer)

    async def _reason(self, pair: Pair) -> str:
        known = self._cache.get(pair)
        if known is not None:
            self._cache.move_to_end(pair)
            self.counts.cached += 1
            return known
        reason = _fast(pair, self.policy)
        if reason:
            self.counts.fast += 1
            return self._remember(pair, reason)
        refusal = _refusal(pair)
        if refusal:
            self.counts.refused += 1
            return refusal
        return await self._fly(pair)

    def _remember(self, pair: Pair, reason: str) -> str:
        self._cache[pair] = reason
        if len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return reason

    async def _fly(self, pair: Pair) -> str:
        """Join the computation of an equal pair, or start it. A caller that is cancelled does not take it from the others."""
        flight = self._flights.get(pair)
        if flight is None:
            flight = asyncio.create_task(self._compute(pair))
            self._flights[pair] = flight
            flight.add_done_callback(lambda _: self._flights.pop(pair, None))
        return await asyncio.shield(flight)

    async def _compute(self, pair: Pair) -> str:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="grader")
        loop = asyncio.get_running_loop()
        task = plain_formulas(*pair, self.policy)
        self.counts.worker += 1
        reason = "crashed"
        for budget in (self.cpu_seconds, 4 * self.cpu_seconds):
            reason = await loop.run_in_executor(self._threads, self._pool.compare, *task, budget)
            if reason not in _RETRIED:
                break
        if reason in _OUTCOMES or reason in ("timeout", "memory"):
            self._remember(pair, reason)
        return reason


GRADERS: Mapping[str, Callable[[GradingPolicy], OpenGrader]] = {"math": MathGrader, "exact": ExactGrader}
"""Graders by the name that `--grader` takes."""
