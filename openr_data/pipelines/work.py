"""The work of a stage, opened: grader, engine and run directory at hand, and items done with them, one or all that are owed.

Knows no signals, no command and no end of a run: who opens it decides what is done (`go`: everything; `one`: what a scheduler
hands over) and what becomes of the run directory afterwards.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, replace
from typing import Any

from openr_data.engines import EngineLimits, LoadedEngine
from openr_data.engines.open import open_engine
from openr_data.errors import ContextOverflow, EngineError, StorageError, TooManyFailures
from openr_data.graders import GRADERS, GradingPolicy, OpenGrader
from openr_data.pipelines.admission import identity_of, prepared_elsewhere, refused, reused
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.known_keys import Journals
from openr_data.pipelines.parts import Marks
from openr_data.pipelines.plan import Stage, Tools
from openr_data.pipelines.progress import Snapshot
from openr_data.pipelines.recording import RecordingEngine, Tally
from openr_data.pipelines.runner import run_each
from openr_data.pipelines.scheduler import Gate
from openr_data.pipelines.second import open_prm, open_second
from openr_data.prm.score.step_scorer import BatchingStepScorer
from openr_data.problems import Reject
from openr_data.store.journal import ReadOnlyJournal
from openr_data.store.opening import JOURNAL
from openr_data.store.parts import ARROW
from openr_data.store.run_dir import RunDir, open_run
from openr_data.store.run_record import PREPARED
from openr_data.store.units import NO_MARK

TICK = 0.5
"""Seconds between two progress reports."""

SAVE = 20
"""Ticks between two savings of the totals."""


@asynccontextmanager
async def open_work(stage: Stage[Any], options: RunOptions) -> AsyncIterator[Work]:
    """Everything that the stage's items need, open until the block ends. Raises an `OpenRDataError` for what a user can act on.

    Leaving the block without closing the run directory marks the run interrupted, or failed after an error.
    """
    async with AsyncExitStack() as stack:
        grader = await stack.enter_async_context(GRADERS[stage.grader](GradingPolicy()))
        engine = await stack.enter_async_context(open_engine(stage.engine, options.limits))
        others = {
            name: await stack.enter_async_context(open_second(name, spec, options.second_limits.get(name, EngineLimits())))
            for name, spec in stage.engines.items()
        }
        scorer = None if stage.scorer is None else open_prm(stage.scorer)
        identities = {name: other.identity for name, other in others.items()} | ({"prm": scorer.identity} if scorer else {})
        run = await _open_run_dir(stack, stage, options, engine, grader, identities)
        journals = Journals(run.journal)
        stack.push_async_callback(journals.close)
        for path in reused(stage, options):
            journals.reuse(ReadOnlyJournal(path / JOURNAL))
        recording = {name: RecordingEngine(other, journals.log, journals.sources) for name, other in others.items()}
        recorder = RecordingEngine(engine, journals.log, journals.sources)
        tools = Tools(recorder, grader, recording, scorer=BatchingStepScorer(scorer) if scorer else None)
        work = Work(stage, options, run, tools, journals)
        try:
            await work.prepare()
            yield work
        finally:
            work.add_totals()


async def _open_run_dir(
    stack: AsyncExitStack,
    stage: Stage[Any],
    options: RunOptions,
    engine: LoadedEngine,
    grader: OpenGrader,
    others: Mapping[str, str],
) -> RunDir:
    """`others`: the identities of what is opened beside the engine."""
    run = await stack.enter_async_context(
        open_run(
            options.out,
            identity_of(stage, engine.identity, grader.identity, others),
            mode="resume" if options.mode == "resume" else "new",
            fork_of=options.fork_of,
            settings=_settings(stage, options, engine),
            part=options.part,
        )
    )
    for name in run.redone:
        options.warn(f"{name} was damaged: it is in quarantine/ and its records are made again")
    return run


def _settings(stage: Stage[Any], options: RunOptions, engine: LoadedEngine) -> dict[str, Any]:
    """What the card of the run says of the engine; a part also says what its merge is to write."""
    settings: dict[str, Any] = {"separator": engine.template.separator, "template": engine.template.name}
    return settings | {ARROW: stage.arrow} if options.part else settings


class Work:
    """The items of one attempt, and what is counted on the way.

    `seen` counts the items that `go` has met in the input (for a part, too, all of them), `done` those with records in the run,
    `before` the ones that earlier attempts have done. `gate` says when the engine has room for another item
    (`await work.gate.room()`).
    """

    def __init__(self, stage: Stage[Any], options: RunOptions, run: RunDir, tools: Tools, journals: Journals) -> None:
        self.stage, self.options, self.run, self.tools, self._journals = stage, options, run, tools, journals
        beside = [engine.scheduler for engine in tools.engines.values()]
        self.gate = Gate(tools.engine.scheduler, most=options.window, others=beside)
        self.rejected = 0
        self._marks = Marks(wanted=bool(options.part))
        self.done = run.progress.count
        self.before = self.done
        self.last_failure: EngineError | None = None
        self._began = time.monotonic()
        self._counted: dict[str, int] = {}

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def seen(self) -> int:
        return self._marks.count

    @property
    def total(self) -> int:
        """The items that this work is to do in the end, where that is known."""
        share = self.options.share
        return share.size(self.stage.total) if share else self.stage.total

    def reuse(self, journal: ReadOnlyJournal) -> None:
        """From now on its completions answer equal requests, too; it is closed with the work."""
        self._journals.reuse(journal)

    async def prepare(self) -> None:
        """What the stage wants to know before its first item; kept in the run's settings, and read there by a later attempt.

        Asked again, an engine that loses a sample now and then might tell the second half of a run something else than the first;
        so it is also read in another part of this run that is reused.
        """
        if self.stage.prepare is None:
            return
        record = self.run.record
        if not record.settings.get(PREPARED):
            found = prepared_elsewhere(reused(self.stage, self.options), record.digest)
            if not found:
                async with self.ticking():
                    found = {**await self.stage.prepare(self.tools, self.options.warn), PREPARED: True}
            record.settings = {**found, **record.settings}  # a new one: a saving that goes on holds the old one
            await self.run.save_totals()
        self.tools = replace(self.tools, prepared=record.settings)

    async def one(self, number: int, item: Any, mark: bytes = NO_MARK) -> bool:
        """Do item `number` and store it: durable when this returns. False: it could not be done and is set aside.

        `mark` (of `Marks`) is kept with it in a part, whose merge compares it.

        Any number of calls may run at once, in any order. Raises what ends a run: an engine that cannot go on, a disk that
        takes no more, `TooManyFailures`.
        """
        self.gate.opened(number)
        try:
            tables = await self.stage.work(item, self.tools.for_item(number))
            await self.run.finish_item(number, tables, mark)
        except EngineError as error:
            self._set_aside(number, self.stage.name(item), error, mark)
            return False
        finally:
            self.gate.closed(number)
        self.done += 1
        return True

    async def go(self, stop: asyncio.Event) -> None:
        """Every item that is owed, until `stop` is set; what is in flight then is finished first.

        Items are opened as the engine has room for their sequences, and nothing waits for the end of another item.
        """
        try:
            async with self.ticking():
                await run_each(self._opened(), lambda owed: self.one(*owed), room=self.gate.room, stop=stop)
        finally:
            self.add_totals()

    def owed(self) -> Iterator[tuple[int, Any, bytes]]:
        """The items of the share that still have to be done, numbered and marked; rejects are noted on the way."""
        share = self.options.share
        for item in self.stage.items():
            if isinstance(item, Reject):
                self._reject(item)
                continue
            number, mark = self._marks.next(item)
            if number not in self.run.progress and (share is None or number in share):
                yield number, item, mark

    def _opened(self) -> Iterator[tuple[int, Any, bytes]]:
        """They count as open from here on: work that has been started may begin a little later."""
        for owed in self.owed():
            self.gate.opened(owed[0])
            yield owed

    def add_totals(self) -> None:
        """To the totals of the run: what was counted since the last time."""
        now = self.counted()
        self.run.add_totals(**{name: amount - self._counted.get(name, 0) for name, amount in now.items()})
        self._counted = now

    def counted(self) -> dict[str, int]:
        """The amounts of this attempt; those of a second engine under its name."""
        now = counted(self.tools.engine.tally)
        for engine, other in self.tools.engines.items():
            now |= {f"{engine}_{name}": amount for name, amount in counted(other.tally).items()}
        return now

    def report(self, *, final: bool = False, stopped: bool = False) -> None:
        tally = self.tools.engine.tally
        self.options.report(
            Snapshot(
                stage=self.stage.title or self.stage.command,
                done=self.done,
                before=self.before,
                total=self.total,
                tokens=tally.tokens,
                completions=tally.completions,
                reused=tally.reused,
                rejected=self.rejected,
                failed=self.run.failed,
                seconds=self.seconds,
                final=final,
                stopped=stopped,
            )
        )

    def _reject(self, reject: Reject) -> None:
        self.rejected += 1
        if self.options.strict:
            raise refused(reject)
        self.run.add_reject(asdict(reject))

    def _set_aside(self, number: int, name: str, error: EngineError, mark: bytes) -> None:
        """A prompt that is too long, or a fault that passed every retry of the engine, costs one item; any other ends the run."""
        if not (error.retryable or isinstance(error, ContextOverflow)):
            raise error
        reason = "context_overflow" if isinstance(error, ContextOverflow) else "engine_error"
        self.run.add_failure(number, {"problem_id": name, "reason": reason, "detail": str(error)[:500]}, mark)
        self.last_failure = error
        if self.run.failed > self.options.max_failures:
            raise TooManyFailures(f"{self.run.failed} problems failed, the last one so: {error}; --resume tries them again")

    @asynccontextmanager
    async def ticking(self) -> AsyncIterator[None]:
        """Inside the block, progress is reported and the totals are saved now and then."""

        async def tick() -> None:
            for count in itertools.count():
                self.report()
                if count % SAVE == SAVE - 1:
                    self.add_totals()
                    with suppress(StorageError):  # the next record meets the same disk, and ends the run
                        await self.run.save_totals()
                await asyncio.sleep(TICK)

        ticker = asyncio.create_task(tick())
        try:
            yield
        finally:
            ticker.cancel()


def counted(tally: Tally) -> dict[str, int]:
    """The amounts that the totals of a run are sums of."""
    return {"completions": tally.completions, "tokens": tally.tokens, "reused": tally.reused}
