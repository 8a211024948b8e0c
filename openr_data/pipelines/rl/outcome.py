"""What a run ends with: the accuracy before and after with paired intervals, the tokens it took, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from openr_data.pipelines.rl.state import Evaluation, State
from openr_data.prm.intervals import Interval, difference, interval, resampled, share


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


def ended(state: State, seed: int) -> Result:
    """Raises `ValueError` for a run that was never measured."""
    best = state.best
    if best is None:
        raise ValueError("the run was never measured")
    return Result(
        updates=state.updates,
        best_update=best.update,
        before=_accuracy(state.evaluations[0], seed),
        best=_accuracy(best, seed),
        last=_accuracy(state.evaluations[-1], seed),
        gain=gain(state.evaluations[0], best, seed),
        tokens=state.sampled,
        evaluation_tokens=state.evaluated,
        seconds=state.seconds,
        stopped=state.stopped,
    )


def gain(before: Evaluation, after: Evaluation, seed: int) -> Interval:
    """The paired difference over the questions that both know."""
    both = [(a, b) for a, b in zip(before.right, after.right, strict=True) if a is not None and b is not None]
    first, second = (np.array([pair[at] for pair in both]) for at in (0, 1))
    return interval(difference(share(second), share(first)), resampled(len(both), seed=seed))


def _accuracy(evaluation: Evaluation, seed: int) -> Interval:
    known = np.array([each for each in evaluation.right if each is not None])
    return interval(share(known), resampled(len(known), seed=seed))
