"""What each step of a solution is paid, for learners that look ahead by themselves (PPO). Knows numbers only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from openr_data.errors import UsageError
from openr_data.rl.trajectory import Trajectory

RewardKind = Literal["outcome", "prm", "mixed", "shaped"]
_KINDS = ("outcome", "prm", "mixed", "shaped")


@dataclass(frozen=True, slots=True)
class Rewards:
    """`outcome`: 1 for a right answer, at the last step. `prm`: p(+) of each step, which pays for steps. `mixed`: both, p(+)
    times `weight` (OpenR, arXiv 2410.09671). `shaped`: the outcome, and `weight` times how much p(+) has risen with the step:
    the differences add up to nothing but the last one, so that no number of steps pays (potential-based shaping, Ng, Harada and
    Russell 1999, with the potential 0 at the end). Raises `UsageError`.
    """

    kind: RewardKind = "outcome"
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise UsageError(f"there are no rewards '{self.kind}'; choose one of: {', '.join(_KINDS)}")
        if self.weight < 0:
            raise UsageError("the weight of the steps' rewards is not below 0")

    @property
    def scores(self) -> bool:
        """Whether a process reward model has to score the steps."""
        return self.kind != "outcome"


def step_rewards(each: Trajectory, rewards: Rewards, discount: float = 1.0) -> list[float] | None:
    """One number per step. `None`: something that is needed is not known, and nothing can be learnt from the solution.

    >>> one = Trajectory((1,), (2, 3), ("a", "b"), (1, 1), 1.0, (0.5, 0.75))
    >>> [step_rewards(one, Rewards(kind)) for kind in ("outcome", "prm", "mixed", "shaped")]
    [[0.0, 1.0], [0.5, 0.75], [0.5, 1.75], [0.5, 0.5]]
    """
    known = [score for score in each.scores if score is not None]
    if rewards.scores and len(known) < len(each.steps):
        return None
    if rewards.kind == "prm":
        return known
    if each.outcome is None:
        return None
    end = [*([0.0] * (len(each.steps) - 1)), each.outcome]
    if rewards.kind == "outcome":
        return end
    added = known if rewards.kind == "mixed" else _rises(known, discount)
    return [a + rewards.weight * b for a, b in zip(end, added, strict=True)]


def _rises(scores: list[float], discount: float) -> list[float]:
    """For each step, discount * after - before; the question has the potential 0, and so has the end.

    >>> _rises([0.5, 0.75, 0.25], 1.0)
    [0.5, 0.25, -0.75]
    """
    after, before = [*scores[:-1], 0.0], [0.0, *scores[:-1]]
    return [discount * b - a for a, b in zip(before, after, strict=True)]
