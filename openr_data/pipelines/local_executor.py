"""`--executor local`: worker processes on this machine, each with its engine and its share of the items, then their merge.

Knows the command that a worker runs, not what it computes. A worker that is killed is started again and continues its part.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from openr_data.engines.orphans import Watcher
from openr_data.errors import Interrupted, OpenRDataError, UsageError
from openr_data.pipelines.admission import check_early, is_prepared
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.devices import dealt, default_workers, worker_environments
from openr_data.pipelines.merge import merge
from openr_data.pipelines.part_folders import begun_shares, done_share, is_whole, name_of, remove_parts
from openr_data.pipelines.parts import Share
from openr_data.pipelines.plan import Stage
from openr_data.pipelines.progress import Snapshot
from openr_data.pipelines.runner import interruptible
from openr_data.pipelines.stage import Summary, merged_summary, run_stage
from openr_data.pipelines.worker_process import Ended, WorkerProcess
from openr_data.pipelines.worker_progress import WorkerProgress, joined
from openr_data.store.lock import DirectoryLock
from openr_data.store.opening import PARTS, begun_parts
from openr_data.store.run_record import NAME as RUN

MAX_RESTARTS = 3
"""How often a worker is started again without having finished a problem in between."""

STOPPING = "stopping: the workers finish what is in flight first; press Ctrl-C again to stop at once"
_SHARED_FAULTS = {2, 3, 4, 6}
"""Exit codes of faults that the other workers meet as well: wrong options or input, directory, disk."""

_INTERRUPTED = 130

TICK = 0.5
"""Seconds between two progress reports."""


@dataclass(frozen=True, slots=True)
class LocalJob:
    """`command` is what does the whole run in one process, without its --out, --resume and --base-url. `workers` 0: as many as
    there are servers, GPUs or pairs of CPUs.
    """

    command: Sequence[str]
    workers: int


class WorkerFailed(OpenRDataError):
    """A worker's own sentence, with its exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code


def run_local(stage: Stage[Any], options: RunOptions, job: LocalJob) -> Summary:
    """Do the stage with `job.workers` processes and merge their parts; the run is that of one process, byte for byte.

    Parts lie in `parts/` of the run until it is whole. Interrupted or failed, the same call with `resume` continues them.
    Raises an `OpenRDataError` for whatever a user can act on.
    """
    if options.part:
        raise UsageError("--shard is one part of a run and --executor does all of them; use one of the two")
    if options.fork_of is not None:
        raise UsageError("--executor starts its parts anew: name the run to build on with --reuse instead of --fork")
    check_early(stage, options, in_parts=True)
    if is_whole(options.out):
        return run_stage(stage, options)
    job = replace(job, workers=job.workers or default_workers(stage.engine, options.limits))
    with DirectoryLock(options.out):
        local = _Local(stage, options, job)
        try:
            asyncio.run(local.run())
        except asyncio.CancelledError:
            raise local.interrupted() from None
    return local.merged()


class _Local:
    def __init__(self, stage: Stage[Any], options: RunOptions, job: LocalJob) -> None:
        self._stage, self._options, self._job = stage, options, job
        self._parts = options.out / PARTS
        count = begun_shares(options.out) or job.workers
        self._shards = [WorkerProgress(Share(index + 1, count)) for index in range(count)]
        others = [path for path in begun_parts(options.out) if path not in map(self._part, self._shards)]
        self._others = others  # of another executor: what they hold is not paid again
        self._due = deque(shard for shard in self._shards if not _is_done(shard, self._part(shard)))
        self._first_alone = stage.prepare is not None and self._shards[0] in self._due
        self._running: dict[int, WorkerProcess] = {}
        self._faults: list[WorkerFailed] = []
        self._stop = asyncio.Event()
        self._prepared = asyncio.Event()
        self._watcher: Watcher | None = None
        self._began = time.monotonic()

    def _part(self, shard: WorkerProgress) -> Path:
        return self._parts / name_of(shard.share)

    async def run(self) -> None:
        """Every share, to its end or to what ended it."""
        self._parts.mkdir(exist_ok=True)
        self._watcher = Watcher()
        try:
            async with interruptible(partial(self._options.warn, STOPPING)) as stop:
                self._stop = stop
                await self._work(stop)
        finally:
            self._watcher.close()
        if stop.is_set() and not self._faults:
            raise self.interrupted()
        if self._faults:
            raise self._fault()

    async def _work(self, stop: asyncio.Event) -> None:
        passing = asyncio.create_task(self._pass_on(stop))
        ticking = asyncio.create_task(self._tick())
        environments = worker_environments(self._stage.engine, self._options.limits, self._job.workers)
        slots = [self._slot(index, environment) for index, environment in enumerate(environments)]
        try:
            await asyncio.gather(*slots)
        finally:
            for task in (passing, ticking):
                task.cancel()
            await asyncio.gather(passing, ticking, return_exceptions=True)

    async def _slot(self, index: int, environment: Mapping[str, str]) -> None:
        """One engine's place: one share after the other, as long as there are any.

        What is found out before the first item (a pilot) is found out by the first worker alone, and the others read it there.
        """
        if self._due and self._due[0] is not self._shards[0]:
            await self._prepared.wait()
        while self._due and not self._stop.is_set():
            shard = self._due.popleft()
            ended = await self._process(index, environment, shard)
            while ended.killed and not self._stop.is_set() and self._again(shard, ended):
                ended = await self._process(index, environment, shard)
            self._judge(shard, ended)
            self._release()

    def _release(self) -> None:
        """Let the other workers begin as soon as the first one has prepared the run; without it they have nothing to do."""
        if not self._first_alone or is_prepared(self._part(self._shards[0])):
            self._prepared.set()
        elif self._faults or self._stop.is_set():
            self._due.clear()
            self._prepared.set()

    async def _process(self, index: int, environment: Mapping[str, str], shard: WorkerProgress) -> Ended:
        part = self._part(shard)
        process = WorkerProcess(
            [*self._job.command, *self._own_options(index, shard.share, part)],
            environment,
            part.with_name(f"{part.name}.log"),
            shard.hear,
            lambda note: self._note(shard.share, note),
            self._watch,
        )
        self._running[index] = process
        try:
            return await process.run()
        finally:
            del self._running[index]
            shard.end()

    def _own_options(self, index: int, share: Share, part: Path) -> list[str]:
        mine = dealt(self._options.limits.base_urls, index, self._job.workers)
        run = self._options.out
        begun = [run] if (run / RUN).exists() else []  # by one process
        first = [self._part(self._shards[0])] if self._stage.prepare is not None and share.index > 1 else []
        reuse = [f"--reuse={path}" for path in (*begun, *self._others, *first)]
        return ["--shard", str(share), "--out", str(part), "--resume", *reuse, *(f"--base-url={url}" for url in mine)]

    def _note(self, share: Share, note: str) -> None:
        if not self._stop.is_set():  # that they are stopping is said once, for all of them
            self._options.warn(f"worker {share}: {note}")

    def _watch(self, pid: int) -> None:
        if self._watcher is not None:
            self._watcher.watch(pid)

    def _again(self, shard: WorkerProgress, ended: Ended) -> bool:
        shard.restarts = 1 if shard.fruitful else shard.restarts + 1
        shard.fruitful = False
        if shard.restarts > MAX_RESTARTS:
            return False
        self._options.warn(f"worker {shard.share} was killed ({_signal_name(ended.code)}); it is started again and goes on")
        return True

    def _judge(self, shard: WorkerProgress, ended: Ended) -> None:
        if ended.code in {0, _INTERRUPTED} or (ended.killed and self._stop.is_set()):
            if ended.code == _INTERRUPTED:  # somebody stopped this worker: the run is not whole
                self._stop.set()
            return
        log = self._parts / f"{name_of(shard.share)}.log"
        if ended.killed:
            words = f"was killed {MAX_RESTARTS + 1} times without finishing a problem ({_signal_name(ended.code)}); see {log}"
            self._faults.append(WorkerFailed(f"worker {shard.share} {words}, then --resume continues", 1))
        else:
            self._faults.append(
                WorkerFailed(ended.words or f"worker {shard.share} ended with code {ended.code}; see {log}", ended.code)
            )
        if ended.code in _SHARED_FAULTS:
            self._stop.set()

    async def _pass_on(self, stop: asyncio.Event) -> None:
        """Ctrl-C, or a fault that all will meet: the workers finish what is in flight. (The second Ctrl-C cancels them.)"""
        await stop.wait()
        for process in self._running.values():
            process.interrupt()

    async def _tick(self) -> None:
        while True:
            self._release()
            self._options.report(self._snapshot())
            await asyncio.sleep(TICK)

    def _snapshot(self, *, final: bool = False) -> Snapshot:
        seconds = time.monotonic() - self._began
        return joined(self._stage.title or self._stage.command, self._stage.total, self._shards, seconds, final=final)

    def interrupted(self) -> Interrupted:
        now = self._snapshot()
        return Interrupted(f"stopped after {now.done} of {now.total or 'the'} problems; --resume continues")

    def _fault(self) -> WorkerFailed:
        """The first one. Parts that were never begun do not stand in the way of the next try."""
        if not begun_parts(self._options.out):
            shutil.rmtree(self._parts)
        return self._faults[0]

    def merged(self) -> Summary:
        """The parts become the run; they are removed once it holds all they hold."""
        now = self._snapshot(final=True)
        self._options.report(now)
        out = self._options.out
        merged = merge([*map(self._part, self._shards), *self._others], out, report=self._options.report, warn=self._options.warn)
        if not merged.failed:
            remove_parts(self._parts)
        return merged_summary(self._stage, merged, now, time.monotonic() - self._began)


def _is_done(shard: WorkerProgress, part: Path) -> bool:
    """Then no worker, and no model, is started for it."""
    done = done_share(shard.share, part)
    if done is not None:
        shard.past = Snapshot("", done, done, 0, 0, 0, 0, 0, 0.0, before=done)
    return done is not None


def _signal_name(code: int) -> str:
    number = -code if code < 0 else code - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
