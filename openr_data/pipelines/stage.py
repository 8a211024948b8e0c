"""Carries out a stage, whatever it computes: items in, durable tables out, and a sentence or a summary at the end.

An item that cannot be done is set aside with its reason; the run stops when too many are, or when the engine cannot go on. What
finished is on disk in every case, and the same command with `--resume` continues. The work itself is `openr_data.pipelines.work`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

from openr_data.errors import Interrupted, TooManyFailures
from openr_data.pipelines.admission import check_early
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.merge import MergeSummary
from openr_data.pipelines.plan import Stage
from openr_data.pipelines.progress import Snapshot
from openr_data.pipelines.run_card import automatic_card
from openr_data.pipelines.runner import interruptible
from openr_data.pipelines.work import Work, counted, open_work
from openr_data.store.manifest import TableSize

STOPPING = "stopping: what is in flight is finished first; press Ctrl-C again to stop at once"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a stage leaves behind. `totals` sum over every attempt at the run, `reused`, `seconds` and `tokens` are of this
    one; the other counts are the run's present state. `items` includes the `failed` ones. `engines` has the completions, tokens
    and reused completions of each second engine in this attempt: they are in no other count but `totals`, under its name.
    A part has no `rows`, and its `items` are its own.
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
    engines: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

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
    async with interruptible(partial(options.warn, STOPPING)) as stop, open_work(stage, options) as work:
        await work.go(stop)
        if stop.is_set():
            await work.run.close("interrupted")
            work.report(stopped=True)
            raise Interrupted(f"stopped after {work.done} of {work.total or 'the'} problems; --resume continues")
        return await _finish(work)


async def _finish(work: Work) -> Summary:
    """Every item is finished or set aside: seal what is left, write what describes the run, and close it."""
    if work.last_failure and work.done == work.before and not work.done:
        raise TooManyFailures(f"no problem could be done: {work.last_failure}")
    run = work.run
    sizes = await run.complete(work.seen)
    if not run.record.part:
        await _describe(work, sizes)
    await run.close("finished")
    work.report(final=True)
    return _summary(work, {name: size.rows for name, size in sizes.items()})


async def _describe(work: Work, sizes: Mapping[str, TableSize]) -> None:
    """The card, and the copy of the tables where one is wanted."""
    run = work.run
    counts = {"problems": work.seen, "rejected rows": work.rejected, "failed problems": run.failed}
    card = automatic_card(run.path, run.record, sizes, counts, work.options.warn)
    if card is not None:
        await run.write_card(card)
    if work.stage.arrow:
        await run.write_arrow()


def _summary(work: Work, rows: Mapping[str, int]) -> Summary:
    tally = work.tools.engine.tally
    return Summary(
        command=work.stage.command,
        out=str(work.options.out),
        items=work.done + work.run.failed if work.run.record.part else work.seen,
        rows=rows,
        rejected=work.rejected,
        failed=work.run.failed,
        reused=tally.reused,
        seconds=work.seconds,
        tokens=tally.tokens,
        totals=dict(work.run.record.totals),
        redone=tuple(work.run.redone),
        engines={name: counted(engine.tally) for name, engine in work.tools.engines.items()},
    )


def merged_summary(
    stage: Stage[Any],
    merged: MergeSummary,
    now: Snapshot,
    seconds: float,
    engines: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> Summary:
    """Of a run whose parts were merged; `now` is the last that was heard of the workers."""
    return Summary(
        command=stage.command,
        out=merged.out,
        items=merged.items,
        rows=merged.rows,
        rejected=merged.rejected,
        failed=merged.failed,
        reused=now.reused,
        seconds=seconds,
        tokens=now.tokens,
        totals=merged.totals,
        engines=dict(engines),
    )
