"""A worker of a run on several machines: does the items it is handed on a part of its own, and answers when they are durable.

Knows nobody who hands items out, and no Ray: a plain object with two coroutines, `turn` and `close`.
"""

from __future__ import annotations

import asyncio
import os
import time
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from openr_data import __version__, errors
from openr_data.errors import EngineError, OpenRDataError, RunDirError
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.plan import Stage
from openr_data.pipelines.work import Work, open_work
from openr_data.store.journal import ReadOnlyJournal
from openr_data.store.lock import DirectoryLock, InUse
from openr_data.store.opening import JOURNAL
from openr_data.store.units import NO_MARK
from openr_data.tasks import cancel

PULSE = 1.0
"""Seconds after which a turn is answered also when there is nothing to tell."""

AHEAD = 4
"""Items that wait here for the engine to have room, so that it never waits for the next turn; or an eighth of the open ones."""

LOCK_PATIENCE = 90.0
"""Seconds to wait for a part that is still held: who did it before may be dying on a node that was cut off."""

BUG = "bug"


class Unit(NamedTuple):
    """An item with its number in the run, and its mark (see `openr_data.store.units`)."""

    number: int
    item: Any
    mark: bytes = NO_MARK


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs to know. `options.out` is its part; `home` is where relative paths begin."""

    stage: Stage[Any]
    options: RunOptions
    home: str
    version: str = __version__
    lock_patience: float = LOCK_PATIENCE


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a worker cannot go on: the name of one of our errors and its sentence, or `BUG` and a traceback.

    `local`: another worker may well go on.
    """

    kind: str
    message: str
    local: bool = False

    @classmethod
    def of(cls, error: Exception) -> Fault:
        if not isinstance(error, OpenRDataError):
            return cls(BUG, "".join(traceback.format_exception(error)))
        kind = next(each.__name__ for each in type(error).__mro__ if hasattr(errors, each.__name__))
        return cls(kind, str(error), isinstance(error, EngineError | InUse))

    def error(self) -> Exception:
        kind = None if self.kind == BUG else getattr(errors, self.kind)
        return kind(self.message) if kind else RuntimeError(f"a worker failed:\n{self.message}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What happened since the last answer. `life` names this process's life; `room` is how many items it wants to have at once.

    `failed` items were set aside, with the reason. `counts` are the amounts of this life (see `Work.counted`).
    """

    life: str
    room: int
    done: tuple[int, ...] = ()
    failed: tuple[tuple[int, str], ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    fault: Fault | None = None


class PartWorker:
    """One engine and one part. An item may be handed over again at any time: it is done once."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._life = uuid4().hex
        self._work: Work | None = None
        self._serving: asyncio.Task[None] | None = None
        self._closing, self._news, self._handed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._inbox: deque[Unit] = deque()
        self._held: set[int] = set()
        self._going: set[asyncio.Task[None]] = set()
        self._reuse: list[str] = []
        self._items: int | None = None
        self._done: list[int] = []
        self._failed: list[tuple[int, str]] = []
        self._warnings: list[str] = []
        self._fault: Fault | None = None

    async def turn(self, units: Sequence[Unit], reuse: Sequence[str] = ()) -> Answer:
        """Take these items too, and tell what became of earlier ones: when there is something to tell, or after `PULSE` seconds.

        `reuse` are parts of others; what was paid for there is not paid again, and what one of them found out before its first
        item is taken over when it is told with the first turn.
        """
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        self._reuse.extend(reuse)
        for unit in map(Unit._make, units):
            if unit.number not in self._held:
                self._held.add(unit.number)
                self._inbox.append(unit)
        if units or reuse:
            self._handed.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), PULSE)
        return self._answer()

    async def close(self, items: int | None) -> Answer:
        """Stop; what is durable stays. `items`, where the whole run has been done, is how many it has."""
        self._items = items
        self._closing.set()
        if self._serving is not None:
            await self._serving
        return self._answer()

    def _answer(self) -> Answer:
        self._news.clear()
        done, failed, warnings = tuple(self._done), tuple(self._failed), tuple(self._warnings)
        self._done, self._failed, self._warnings = [], [], []
        return Answer(self._life, self._room(), done, failed, self._counts(), warnings, self._fault)

    def _room(self) -> int:
        return 0 if self._work is None else len(self._going) + self._ahead()

    def _ahead(self) -> int:
        return max(AHEAD, len(self._going) // 8)

    def _counts(self) -> Mapping[str, int]:
        return {} if self._work is None else self._work.counted()

    async def _serve(self) -> None:
        """The part is open from here until `close`, or until something ends it."""
        try:
            _check_version(self._job.version)
            _go_home(self._job.home)
            await wait_for_lock(self._job.options.out, self._job.lock_patience)
            async with open_work(self._job.stage, self._options()) as self._work:
                await self._do_items(self._work)
        except Exception as error:
            self._end(error)

    def _options(self) -> RunOptions:
        """What it knows of other parts before it begins is there for what it does before its first item, too."""
        options = self._job.options
        known, self._reuse = [Path(each) for each in self._reuse], []
        parts = [path for path in known if path != options.out and (path / JOURNAL).is_file()]
        return replace(options, reuse=(*options.reuse, *parts), warn=self._warn)

    async def _do_items(self, work: Work) -> None:
        self._news.set()
        opener = asyncio.create_task(self._open_items(work))
        try:
            async with work.ticking():
                await self._closing.wait()
        finally:
            await cancel({opener, *self._going})
        work.add_totals()
        if self._items is not None:
            await work.run.complete(self._items)
            await work.run.close("finished")

    async def _open_items(self, work: Work) -> None:
        """As the engine has room for them. Asks for more before the last has gone to the engine."""
        while True:
            while not self._inbox and not self._reuse:
                self._handed.clear()
                await self._handed.wait()
            while self._reuse:
                self._reuse_part(work, Path(self._reuse.pop()))
            await work.gate.room()
            if self._inbox:
                unit = self._inbox.popleft()
                work.gate.opened(unit.number)
                task = asyncio.create_task(self._do(work, unit))
                self._going.add(task)
                task.add_done_callback(self._going.discard)
                if 2 * len(self._inbox) < self._ahead():
                    self._news.set()

    def _reuse_part(self, work: Work, part: Path) -> None:
        try:
            if part != self._job.options.out and (part / JOURNAL).is_file():
                work.reuse(ReadOnlyJournal(part / JOURNAL))
        except OpenRDataError as error:
            self._warn(f"what was paid for in {part} is paid again: {error}")

    async def _do(self, work: Work, unit: Unit) -> None:
        try:
            if unit.number in work.run.progress or await work.one(*unit):
                self._done.append(unit.number)
            else:
                self._failed.append((unit.number, str(work.last_failure)))
        except Exception as error:
            self._end(error)
        finally:
            work.gate.closed(unit.number)
            self._held.discard(unit.number)
            self._news.set()

    def _warn(self, sentence: str) -> None:
        self._warnings.append(sentence)
        self._news.set()

    def _end(self, error: Exception) -> None:
        self._fault = self._fault or Fault.of(error)
        self._news.set()


def _check_version(wanted: str) -> None:
    if wanted != __version__:
        raise RunDirError(
            f"node {os.uname().nodename} has openr-data {__version__} and the run was started with {wanted}; "
            "install the same everywhere"
        )


def _go_home(home: str) -> None:
    """Relative paths, such as that of a model, mean what they meant where the run was started."""
    with suppress(OSError):
        os.chdir(home)


async def wait_for_lock(part: Path, patience: float) -> None:
    """Until nobody holds the part; raises `RunDirError` when that takes longer, or where there is no place for it."""
    if not part.parent.is_dir():
        raise RunDirError(
            f"node {os.uname().nodename} does not see {part.parent}: --out must lie on a file system that all nodes share"
        )
    part.mkdir(exist_ok=True)  # noqa: ASYNC240  (one call)
    end = time.monotonic() + patience
    while True:
        try:
            with DirectoryLock(part):
                return
        except InUse:
            if time.monotonic() > end:
                raise
        await asyncio.sleep(0.2)
