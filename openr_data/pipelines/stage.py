"""Carries out a stage, whatever it computes: items in, durable tables out, with one engine, one grader and one run directory.

An item that cannot be done is set aside with its reason; the run stops when too many are, or when the engine cannot go on. What
finished is on disk in every case, and the same command with `--resume` continues.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from openr_data.engines.open import open_engine
from openr_data.errors import ContextOverflow, EngineError, Interrupted, StorageError, TooManyFailures
from openr_data.graders import GRADERS, GradingPolicy
from openr_data.pipelines.admission import check_early, identity_of, refused, reused
from openr_data.pipelines.card import render_run_card
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.plan import Stage, Tools
from openr_data.pipelines.progress import Snapshot
from openr_data.pipelines.recording import RecordingEngine
from openr_data.pipelines.runner import Finished, finished, interruptible
from openr_data.problems import Reject
from openr_data.store.journal import ReadOnlyJournal
from openr_data.store.opening import JOURNAL
from openr_data.store.run_dir import RunDir, open_run

TICK = 0.5
"""Seconds between two progress reports."""

SAVE = 20
"""Ticks between two savings of the totals."""

STOPPING = "stopping: what is in flight is finished first; press Ctrl-C again to stop at once"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a stage leaves behind. `totals` sum over every attempt at the run, `reused`, `seconds` and `tokens` are of this
    one; the other counts are the run's present state. `items` includes the `failed` ones.
    """

    command: str
    out: str
    items: int
    rows: Mapping[str, int]
    rejected: int
    failed: int
    reused: int
    seconds: float
    tokens: int
    totals: Mapping[str, float]
    redone: tuple[str, ...] = ()

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds else 0.0


def run_stage(stage: Stage[Any], options: RunOptions) -> Summary:
    """Run it to the end. Raises an `OpenRDataError` for whatever a user can act on."""
    try:
        return asyncio.run(_run(stage, options))
    except asyncio.CancelledError:
        raise Interrupted("stopped; what finished is on disk, run again with --resume to go on") from None


async def _run(stage: Stage[Any], options: RunOptions) -> Summary:
    check_early(stage, options)
    async with AsyncExitStack() as stack:
        stop = await stack.enter_async_context(interruptible(partial(options.warn, STOPPING)))
        grader = await stack.enter_async_context(GRADERS[stage.grader](GradingPolicy()))
        engine = await stack.enter_async_context(open_engine(stage.engine, options.limits))
        identity = identity_of(stage, engine.identity, grader.identity)
        run = await stack.enter_async_context(
            open_run(
                options.out,
                identity,
                mode="resume" if options.mode == "resume" else "new",
                fork_of=options.fork_of,
                settings={"separator": engine.template.separator, "template": engine.template.name},
            )
        )
        for name in run.redone:
            options.warn(f"{name} was damaged: it is in quarantine/ and its records are made again")
        reuse = [ReadOnlyJournal(path / JOURNAL) for path in reused(stage, options)]
        for journal in reuse:
            stack.push_async_callback(journal.close)
        return await _Work(stage, options, run, Tools(RecordingEngine(engine, run.journal, reuse), grader), stop).go()


class _Work:
    """The items of one attempt, and what is counted on the way."""

    def __init__(self, stage: Stage[Any], options: RunOptions, run: RunDir, tools: Tools, stop: asyncio.Event) -> None:
        self.stage, self.options, self.run, self.tools, self.stop = stage, options, run, tools, stop
        self.seen = 0
        self.rejected = 0
        self.done = run.progress.count
        self.began = time.monotonic()
        self.before = self.done
        self.counted: dict[str, int] = {}
        self.last_failure: EngineError | None = None

    async def go(self) -> Summary:
        window = self.options.window or max(16, 4 * self.tools.engine.slots // max(1, self.stage.sequences))
        try:
            async with self._ticking(), aclosing(finished(self._owed(), self._one, window=window, stop=self.stop)) as results:
                async for done in results:
                    self._take(done)
        finally:
            self._add_totals()
        if self.stop.is_set():
            await self.run.close("interrupted")
            raise Interrupted(f"stopped after {self.done} of {self.stage.total or 'the'} problems; --resume continues")
        return await self._finish()

    def _owed(self) -> Iterator[tuple[int, Any]]:
        """The items that still have to be done, numbered; rejects are noted on the way."""
        for item in self.stage.items():
            if isinstance(item, Reject):
                self._reject(item)
                continue
            number, self.seen = self.seen, self.seen + 1
            if number not in self.run.progress:
                yield number, item

    def _reject(self, reject: Reject) -> None:
        self.rejected += 1
        if self.options.strict:
            raise refused(reject)
        self.run.add_reject(asdict(reject))

    async def _one(self, numbered: tuple[int, Any]) -> None:
        number, item = numbered
        await self.run.finish_item(number, await self.stage.work(item, self.tools))

    def _take(self, done: Finished[tuple[int, Any], None]) -> None:
        number, item = done.item
        try:
            done.result()
        except EngineError as error:
            self._set_aside(number, self.stage.name(item), error)
        else:
            self.done += 1

    def _set_aside(self, number: int, name: str, error: EngineError) -> None:
        """A prompt that is too long, or a fault that passed every retry of the engine, costs one item; any other ends the run."""
        if not (error.retryable or isinstance(error, ContextOverflow)):
            raise error
        reason = "context_overflow" if isinstance(error, ContextOverflow) else "engine_error"
        self.run.add_failure(number, {"problem_id": name, "reason": reason, "detail": str(error)[:500]})
        self.last_failure = error
        if self.run.failed > self.options.max_failures:
            raise TooManyFailures(f"{self.run.failed} problems failed, the last one so: {error}; --resume tries them again")

    async def _finish(self) -> Summary:
        if self.last_failure and self.done == self.before and not self.done:
            raise TooManyFailures(f"no problem could be done: {self.last_failure}")
        sizes = await self.run.complete(self.seen)
        counts = {"problems": self.seen, "rejected rows": self.rejected, "failed problems": self.run.failed}
        await self.run.write_card(render_run_card(self.stage.config, self.tools.engine, sizes, counts))
        if self.stage.arrow:
            await self.run.write_arrow()
        await self.run.close("finished")
        self._report(final=True)
        return self._summary({name: size.rows for name, size in sizes.items()})

    def _summary(self, rows: Mapping[str, int]) -> Summary:
        tally = self.tools.engine.tally
        return Summary(
            command=self.stage.command,
            out=str(self.options.out),
            items=self.seen,
            rows=rows,
            rejected=self.rejected,
            failed=self.run.failed,
            reused=tally.reused,
            seconds=time.monotonic() - self.began,
            tokens=tally.tokens,
            totals=dict(self.run.record.totals),
            redone=tuple(self.run.redone),
        )

    @asynccontextmanager
    async def _ticking(self) -> AsyncIterator[None]:
        async def tick() -> None:
            for count in itertools.count():
                self._report()
                if count % SAVE == SAVE - 1:
                    self._add_totals()
                    with suppress(StorageError):  # the next record meets the same disk, and ends the run
                        await self.run.save_totals()
                await asyncio.sleep(TICK)

        ticker = asyncio.create_task(tick())
        try:
            yield
        finally:
            ticker.cancel()

    def _add_totals(self) -> None:
        """What was counted since the last time."""
        tally = self.tools.engine.tally
        now = {"completions": tally.completions, "tokens": tally.tokens, "reused": tally.reused}
        self.run.add_totals(**{name: amount - self.counted.get(name, 0) for name, amount in now.items()})
        self.counted = now

    def _report(self, *, final: bool = False) -> None:
        tally = self.tools.engine.tally
        self.options.report(
            Snapshot(
                stage=self.stage.title or self.stage.command,
                done=self.done,
                before=self.before,
                total=self.stage.total,
                tokens=tally.tokens,
                completions=tally.completions,
                reused=tally.reused,
                rejected=self.rejected,
                failed=self.run.failed,
                seconds=time.monotonic() - self.began,
                final=final,
            )
        )
