"""What a run ends with: the accuracy before and after with paired intervals, the tokens it took, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from openr_data.pipelines.rl.measuring import accuracy, paired_gain
from openr_data.pipelines.rl.record import finish
from openr_data.pipelines.rl.state import State, checkpoint, keep, write_metrics
from openr_data.prm.intervals import Interval


@dataclass(frozen=True, slots=True)
class Result:
    """`before`, `best` and `last` are accuracies on the held-out questions, greedily; `gain` is the paired difference of the best
    to the first: as the best was chosen by these questions, others have to confirm it. `tokens` are those that were generated to
    learn from, `stopped` why a guard ended the run.
    """

    updates: int
    best_update: int
    before: Interval
    best: Interval
    last: Interval
    gain: Interval
    tokens: int
    evaluation_tokens: int
    seconds: float
    stopped: str

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Result:
        intervals = {name: Interval(**body[name]) for name in ("before", "best", "last", "gain")}
        return cls(**{**body, **intervals})


def concluded(out: Path, state: State, seed: int) -> Result:
    """The best model into the directory of the run, and what became of it beside it."""
    write_metrics(out, state)  # a kill may have come between them and their checkpoint
    result = ended(state, seed)
    keep(checkpoint(out, result.best_update), out)
    finish(out, result.plain())
    return result


def ended(state: State, seed: int) -> Result:
    """Raises `ValueError` for a run that was never measured."""
    best = state.best
    if best is None:
        raise ValueError("the run was never measured")
    return Result(
        updates=state.updates,
        best_update=best.update,
        before=accuracy(state.evaluations[0].right, seed),
        best=accuracy(best.right, seed),
        last=accuracy(state.evaluations[-1].right, seed),
        gain=paired_gain(state.evaluations[0].right, best.right, seed),
        tokens=state.sampled,
        evaluation_tokens=state.evaluated,
        seconds=state.seconds,
        stopped=state.stopped,
    )
