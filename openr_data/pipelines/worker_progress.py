"""What several worker processes tell of their shares, as one progress. Knows snapshots, not processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from openr_data.pipelines.parts import Share
from openr_data.pipelines.progress import Snapshot


@dataclass(slots=True)
class WorkerProgress:
    """A share, and what its processes have told: `past` sums those that ended, `now` is the one that runs.

    `restarts` counts those since a problem was finished; `fruitful`: the last one has finished some.
    """

    share: Share
    past: Snapshot | None = None
    now: Snapshot | None = None
    restarts: int = 0
    fruitful: bool = False

    def hear(self, snapshot: Snapshot) -> None:
        self.fruitful = self.fruitful or snapshot.done > snapshot.before
        self.now = snapshot

    def end(self) -> None:
        """The process has ended: what it generated counts on, what it has done is in its part."""
        self.past, self.now = self.total(), None

    def total(self) -> Snapshot | None:
        if self.past is None or self.now is None:
            return self.now or self.past
        sums = {name: getattr(self.past, name) + getattr(self.now, name) for name in ("tokens", "completions", "reused")}
        return replace(self.now, before=self.past.before, **sums)


def joined(stage: str, total: int, workers: Sequence[WorkerProgress], seconds: float, *, final: bool = False) -> Snapshot:
    """The snapshot of the whole run; `total` items (0: not known but from the workers)."""
    told = [now for worker in workers if (now := worker.total()) is not None]

    def summed(name: str) -> int:
        return sum(getattr(each, name) for each in told)

    known = len(told) == len(workers) and all(each.total for each in told)
    return Snapshot(
        stage=stage,
        done=summed("done"),
        total=total or (summed("total") if known else 0),
        tokens=summed("tokens"),
        completions=summed("completions"),
        reused=summed("reused"),
        rejected=max((each.rejected for each in told), default=0),  # every worker meets them all
        failed=summed("failed"),
        seconds=seconds,
        final=final,
        before=summed("before"),
    )
