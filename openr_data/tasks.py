"""Several coroutines at once, as one call, and the end of tasks that nobody waits for. Knows nothing of what they do."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def concurrently(jobs: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all jobs at once; results in their order.

    The first failure cancels the others and is raised as itself once they have ended; cancelling the call cancels them all.
    """
    jobs = list(jobs)
    if len(jobs) == 1:  # the usual case where rollouts come one at a time: no task for one job
        return [await jobs[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


async def cancel(tasks: Collection[asyncio.Task[T]]) -> None:
    """Returns when they have ended."""
    waited = list(tasks)
    for task in waited:
        task.cancel()
    await asyncio.gather(*waited, return_exceptions=True)
