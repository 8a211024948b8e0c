"""How the rewards of a group become one advantage for each token. Knows numbers, no models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from openr_data.errors import UsageError
from openr_data.rl.advantages.grouped import grpo, rloo
from openr_data.rl.advantages.min_form import TEMPERATURE, min_form
from openr_data.rl.advantages.process import process_grpo
from openr_data.rl.advantages.spread import spread
from openr_data.rl.trajectory import Group, Trajectory

Kind = Literal["outcome", "process", "min", "sum"]


@dataclass(frozen=True, slots=True)
class Credit:
    """`kind` is where credit comes from:

    - `outcome`: the answer alone (GRPO, arXiv 2402.03300, 4.1.2);
    - `process`: the steps from here on, against those of the whole group (4.1.3 there);
    - `min`: the worst step from here on (PURE, arXiv 2504.15275);
    - `sum`: the scores of all steps, added up to one reward. It pays for steps, and is here to show what that does.

    `process_weight` multiplies what steps bring and `outcome_weight` the answer's part, which is added (0: scores alone). `scale`
    divides by the standard deviation of the group. `temperature` is that of the soft minimum.

    `negative_weight` multiplies what is below 0 in the end. At 0 only what is better than the group's mean is learnt, most where
    few are (as by arXiv 2504.11343): a wrong solution is right in nearly all of its tokens, and pushing it away moves those, too.
    Raises `UsageError`.
    """

    kind: Kind = "outcome"
    process_weight: float = 1.0
    outcome_weight: float = 1.0
    negative_weight: float = 1.0
    scale: bool = True
    temperature: float = TEMPERATURE

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"there is no credit '{self.kind}'; choose one of: {', '.join(KINDS)}")
        if self.temperature <= 0 or min(self.process_weight, self.outcome_weight, self.negative_weight) < 0:
            raise UsageError("weights of credit are not below 0, and the temperature of the soft minimum is above it")

    @property
    def scores(self) -> bool:
        """Whether a process reward model has to score the steps."""
        return self.kind != "outcome"


def token_advantages(group: Group, credit: Credit) -> list[list[float]]:
    """One number per generated token of each solution; 0 where nothing is known."""
    steps = KINDS[credit.kind](group, credit)
    weighed = [[value if value > 0 else credit.negative_weight * value for value in line] for line in steps]
    return [spread(line, each.lengths) for line, each in zip(weighed, group.trajectories, strict=True)]


def _outcome(group: Group, credit: Credit) -> list[list[float]]:
    return _whole(group, grpo(_outcomes(group), scale=credit.scale))


def _process(group: Group, credit: Credit) -> list[list[float]]:
    steps = process_grpo([each.scores for each in group.trajectories], scale=credit.scale)
    return _mixed(steps, _whole(group, grpo(_outcomes(group), scale=credit.scale)), credit)


def _min(group: Group, credit: Credit) -> list[list[float]]:
    signed = [[None if p is None else 2 * p - 1 for p in each.scores] for each in group.trajectories]
    steps = min_form(signed, [each.lengths for each in group.trajectories], credit.temperature)
    return _mixed(steps, _whole(group, rloo(_outcomes(group))), credit)


def _sum(group: Group, credit: Credit) -> list[list[float]]:
    return _whole(group, grpo([_added(each, credit) for each in group.trajectories], scale=credit.scale))


def _added(each: Trajectory, credit: Credit) -> float | None:
    known = [score for score in each.scores if score is not None]
    if not known or len(known) < len(each.scores) or (credit.outcome_weight and each.outcome is None):
        return None
    return credit.process_weight * sum(known) + credit.outcome_weight * (each.outcome or 0.0)


def _outcomes(group: Group) -> list[float | None]:
    return [each.outcome for each in group.trajectories]


def _whole(group: Group, advantages: list[float]) -> list[list[float]]:
    """The same for every step of a solution."""
    return [[value] * len(each.steps) for value, each in zip(advantages, group.trajectories, strict=True)]


def _mixed(steps: list[list[float]], outcomes: list[list[float]], credit: Credit) -> list[list[float]]:
    return [
        [credit.process_weight * step + credit.outcome_weight * answer for step, answer in zip(*lines, strict=True)]
        for lines in zip(steps, outcomes, strict=True)
    ]


KINDS: Mapping[str, Callable[[Group, Credit], list[list[float]]]] = {
    "outcome": _outcome,
    "process": _process,
    "min": _min,
    "sum": _sum,
}
