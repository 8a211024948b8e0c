"""Runs of reinforcement learning: what is refused, where a run lies, who trains it, and what becomes of its errors."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Protocol

import torch

from openr_data.errors import EngineError, Interrupted
from openr_data.models.processes import processes
from openr_data.models.trackers import check_trackers
from openr_data.pipelines.rl.outcome import Result
from openr_data.pipelines.rl.prepared import Asked, Listeners, Prepared, prepare
from openr_data.pipelines.rl.record import begin, finished
from openr_data.pipelines.rl.reference import ReferenceRun
from openr_data.pipelines.rl.scaled.device import take_device
from openr_data.pipelines.rl.scaled.extra import check_extra
from openr_data.pipelines.rl.tracking import tracked
from openr_data.store.lock import DirectoryLock

QUIET = Listeners()


class Run(Protocol):
    """One run that is under way."""

    def go(self) -> None:
        """To its end. Raises `Interrupted` with a checkpoint behind it, and `EngineError`."""
        ...

    def finish(self) -> Result:
        """The best model into the directory."""
        ...


def train_policy(asked: Asked, listeners: Listeners = QUIET) -> Result:
    """Trains a policy into `asked.out`. The model there is that of the best evaluation; the untrained one is among them.

    `asked.resume` goes on exactly from the last checkpoint, and tells a finished run again. Raises `UsageError`, `InputError`,
    `RunDirError`, `EngineError` and `StorageError`, one sentence each; the last good checkpoint stays.
    """
    check_trackers(asked.trackers)
    share = (0, 1)
    if asked.config.scale:
        check_extra()
        share = processes()
        take_device(asked.limits.device, share[1])
    listeners = listeners if share[0] == 0 else QUIET  # the first process speaks
    prepared = prepare(asked, listeners.warn, share)
    if share[0] == 0:
        begin(asked.out, prepared.record, resume=asked.resume)
    with DirectoryLock(asked.out) if share[0] == 0 else nullcontext():  # the first process has the directory
        done = finished(asked.out)
        return Result.read(done) if done is not None else _carried_out(prepared, listeners)


def _carried_out(prepared: Prepared, listeners: Listeners) -> Result:
    try:
        with tracked(prepared.asked.trackers, prepared.asked.out, listeners) as told:
            run = _begun(prepared, told)
            run.go()
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise Interrupted("stopped at once; --resume goes on from the last checkpoint") from None
    except torch.OutOfMemoryError:
        smaller = "a smaller --device-batch, --checkpointing, --lora" if prepared.config.scale else "fewer --batch-tokens"
        raise EngineError(f"there is too little memory: use {smaller} or fewer --slots; the last checkpoint is kept") from None
    return run.finish()


def _begun(prepared: Prepared, listeners: Listeners) -> Run:
    if prepared.config.scale is None:
        return ReferenceRun(prepared, listeners)
    from openr_data.pipelines.rl.scaled.run import ScaledRun  # TRL is an extra

    return ScaledRun(prepared, listeners)
