"""`--executor ray`: workers on a Ray cluster, each with its engine and its part, are handed items as they go; then their merge.

The parts lie in `parts/` of the run, on a file system that all nodes share: they, and not Ray, know what has been done. So a
worker, a node or this program may be lost at any time, and the same command with `--resume` continues.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from openr_data.errors import Interrupted, TooManyFailures, UsageError
from openr_data.pipelines.admission import check_early, is_prepared, refused
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.dispatch import Dispatcher
from openr_data.pipelines.merge import merge
from openr_data.pipelines.part_folders import is_whole, remove_parts
from openr_data.pipelines.part_worker import LOCK_PATIENCE, Job, Unit, wait_for_lock
from openr_data.pipelines.parts import Marks
from openr_data.pipelines.plan import Stage
from openr_data.pipelines.progress import Snapshot, silent
from openr_data.pipelines.ray_cluster import (
    Cluster,
    RayHand,
    RayOptions,
    base_urls,
    check_room,
    connected,
    resources,
    worker_count,
)
from openr_data.pipelines.runner import interruptible
from openr_data.pipelines.stage import Summary, merged_summary, run_stage
from openr_data.problems import Reject
from openr_data.store.lock import DirectoryLock
from openr_data.store.opening import PARTS
from openr_data.store.parts import finished_items
from openr_data.store.progress import Progress
from openr_data.store.run_record import NAME as RUN
from openr_data.tasks import cancel

STOPPING = "stopping: the workers finish what is in flight first; press Ctrl-C again to stop at once"
TICK = 0.5
"""Seconds between two progress reports."""


def run_ray(stage: Stage[Any], options: RunOptions, how: RayOptions) -> Summary:
    """Do the stage with Ray actors and merge their parts; the run is that of one process, byte for byte.

    Interrupted or failed, the same call with `resume` continues from the parts, also with another number of workers. Raises an
    `OpenRDataError` for whatever a user can act on.
    """
    if options.part:
        raise UsageError("--shard is one part of a run and --executor does all of them; use one of the two")
    if options.fork_of is not None:
        raise UsageError("--executor starts its parts anew: name the run to build on with --reuse instead of --fork")
    check_early(stage, options, in_parts=True)
    if is_whole(options.out):
        return run_stage(stage, options)
    run = _RayRun(stage, replace(options, out=options.out.absolute()), how)
    with connected(how) as cluster, DirectoryLock(options.out):
        try:
            asyncio.run(run.go(cluster))
        except asyncio.CancelledError:
            raise run.interrupted() from None
        finally:
            run.tidy()
    return run.merged()


class _RayRun:
    """One attempt. `done` items stood in the parts before it."""

    def __init__(self, stage: Stage[Any], options: RunOptions, how: RayOptions) -> None:
        self._stage, self._options, self._how = stage, options, how
        self._parts = options.out / PARTS
        self._finished = Progress(stage.shard_items)
        self._marks = Marks(wanted=True)
        self._rejected = 0
        self._dispatcher: Dispatcher | None = None
        self._began = time.monotonic()

    async def go(self, cluster: Cluster) -> None:
        """Every item that no part holds yet, to the end or to what ended it."""
        self._began = time.monotonic()
        self._parts.mkdir(exist_ok=True)
        for part in self._begun():
            for item in finished_items(part):
                self._finished.add(item)
        hands = self._hands(cluster)
        try:
            async with interruptible(partial(self._options.warn, STOPPING)) as stop:
                await self._dispatch(hands, stop)
        finally:
            await asyncio.gather(*(hand.dismiss() for hand in hands))
        if stop.is_set():
            raise self.interrupted()
        for part in self._begun():
            await wait_for_lock(part, LOCK_PATIENCE)

    async def _dispatch(self, hands: Sequence[RayHand], stop: asyncio.Event) -> None:
        options = self._options
        self._dispatcher = dispatcher = Dispatcher(
            self._owed(),
            hands,
            stop=stop,
            max_failures=options.max_failures,
            patience=self._how.patience,
            warn=options.warn,
            first_alone=self._stage.prepare is not None and not any(map(is_prepared, self._begun())),
        )
        ticking = asyncio.create_task(self._tick())
        try:
            await dispatcher.run()
            if dispatcher.failed and not dispatcher.done and not self._finished.count:
                raise TooManyFailures(f"no problem could be done: {dispatcher.last_failure}")
        except Exception:
            await _close(dispatcher, None)
            raise
        finally:
            await cancel([ticking])
        await _close(dispatcher, None if stop.is_set() else self._marks.count)

    async def _tick(self) -> None:
        while True:
            self._options.report(self._snapshot())
            await asyncio.sleep(TICK)

    def _snapshot(self, *, final: bool = False) -> Snapshot:
        now, before = self._dispatcher, self._finished.count
        counts = self._counts
        return Snapshot(
            stage=self._stage.title or self._stage.command,
            done=before + (now.done if now else 0),
            before=before,
            total=self._stage.total,
            tokens=counts["tokens"],
            completions=counts["completions"],
            reused=counts["reused"],
            rejected=self._rejected,
            failed=now.failed if now else 0,
            seconds=time.monotonic() - self._began,
            final=final,
        )

    @property
    def _counts(self) -> Counter[str]:
        return self._dispatcher.counts if self._dispatcher else Counter()

    def interrupted(self) -> Interrupted:
        now = self._snapshot()
        return Interrupted(f"stopped after {now.done} of {now.total or 'the'} problems; --resume continues")

    def tidy(self) -> None:
        """Parts that were never begun do not stand in the way of the next try."""
        if not self._begun():
            shutil.rmtree(self._parts, ignore_errors=True)

    def _begun(self) -> list[Path]:
        return sorted(path.parent for path in self._parts.glob(f"*/{RUN}"))

    def _hands(self, cluster: Cluster) -> list[RayHand]:
        options, engine = self._options, self._stage.engine
        count = worker_count(options, self._how.workers, engine, cluster)
        needed = resources(options, engine, count, cluster)
        check_room(needed, count, cluster, options.warn)
        urls = options.limits.base_urls
        reuse = [*options.reuse, *([options.out] if (options.out / RUN).exists() else []), *self._begun()]
        bare = replace(self._stage, items=_none)
        home = str(Path.cwd())
        hands = []
        for index in range(count):
            part = self._parts / f"ray-{index + 1:05d}"
            own = replace(
                options,
                out=part,
                mode="resume",
                limits=replace(options.limits, base_urls=base_urls(urls, index, count)),
                reuse=tuple(path.absolute() for path in reuse if path != part),
                part=f"ray-{index + 1}",
                report=silent,
                warn=_ignore,
            )
            hands.append(RayHand(f"worker {index + 1}", Job(bare, own, home), needed, cluster.ray))
        return hands

    def _owed(self) -> Iterator[Unit]:
        """The items that no part holds; read as they are handed out."""
        for item in self._stage.items():
            if isinstance(item, Reject):
                self._rejected += 1
                if self._options.strict:
                    raise refused(item)
                continue
            number, mark = self._marks.next(item)
            if number not in self._finished:
                yield Unit(number, item, mark)

    def _rejects(self) -> Iterator[Mapping[str, Any]]:
        """Read again: they were only counted."""
        return (asdict(item) for item in self._stage.items() if isinstance(item, Reject)) if self._rejected else iter(())

    def merged(self) -> Summary:
        """The parts become the run; they are removed once it holds all they hold."""
        now, options = self._snapshot(final=True), self._options
        options.report(now)
        rejects, report, warn = self._rejects(), options.report, options.warn
        merged = merge(self._begun(), options.out, items=self._marks.count, rejects=rejects, report=report, warn=warn)
        if not merged.failed:
            remove_parts(self._parts)
        engines = {name: counts_of(self._counts, name) for name in self._stage.engines}
        return merged_summary(self._stage, merged, now, time.monotonic() - self._began, engines)


def counts_of(counts: Mapping[str, int], engine: str) -> dict[str, int]:
    """The amounts of a second engine."""
    return {name: counts.get(f"{engine}_{name}", 0) for name in ("completions", "tokens", "reused")}


async def _close(dispatcher: Dispatcher, items: int | None) -> None:
    await asyncio.gather(*(hand.close(items) for hand in dispatcher.present))


def _none() -> Iterator[Any]:
    """A worker does not read the input: it may not lie where the worker is."""
    return iter(())


def _ignore(_: str) -> None:
    """A worker hears its own warnings, and sends them."""
