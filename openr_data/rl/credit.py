"""How the rewards of a group become one advantage for each token. Knows numbers, no models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from openr_data.errors import UsageError
from openr_data.rl.advantages.carried import carried
from openr_data.rl.advantages.centred import centred
from openr_data.rl.advantages.grouped import grpo, rloo
from openr_data.rl.advantages.min_form import TEMPERATURE, min_form
from openr_data.rl.advantages.process import process_grpo
from openr_data.rl.advantages.progress import progress
from openr_data.rl.advantages.spread import spread
from openr_data.rl.trajectory import Group, Trajectory

Kind = Literal["outcome", "process", "progress", "min", "sum"]
_ROUNDING = 1e-9
"""What differences of equal means leave: no advantage."""


@dataclass(frozen=True, slots=True)
class Credit:
    """`kind` is where credit comes from:

    - `outcome`: the answer alone (GRPO, arXiv 2402.03300, 4.1.2);
    - `process`: the steps from here on, against those of the whole group (4.1.3 there);
    - `progress`: how far the step raised or lowered p(+) (process advantage verifiers, arXiv 2410.08146): blame lies on the step
      that went wrong, and not on those around it;
    - `min`: the worst step from here on (PURE, arXiv 2504.15275);
    - `sum`: the scores of all steps, added up to one reward. It pays for steps, and is here to show what that does.

    `process_weight` multiplies what steps bring and `outcome_weight` the answer's part, which is added (0: scores alone). `scale`
    divides by the standard deviation of the group. `temperature` is that of the soft minimum.

    `carry` reads the scores of `process` and `progress` as the least so far (`carried`): models that learnt from first errors say
    nothing of the steps behind one. `baseline` takes the others' mean at the same step from both (`centred`). Without it the sums
    of 4.1.3 are below 0 on the whole where errors come late, and all tokens become less likely: measured, it unlearns.

    `negative_weight` multiplies the answer's part where it is below 0. At 0 the answers of wrong solutions teach nothing (as in
    arXiv 2504.11343): these are right in nearly all of their tokens, and pushing them away moves those, too. Raises `UsageError`.
    """

    kind: Kind = "outcome"
    process_weight: float = 1.0
    outcome_weight: float = 1.0
    carry: bool = True
    baseline: bool = True
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
    """One number per generated token of each solution; 0 where nothing is known, and where all rewards are equal."""
    steps = [[each if abs(each) > _ROUNDING else 0.0 for each in line] for line in KINDS[credit.kind](group, credit)]
    return [spread(line, each.lengths) for line, each in zip(steps, group.trajectories, strict=True)]


def _outcome(group: Group, credit: Credit) -> list[list[float]]:
    return _whole(group, _answers(group, credit))


def _answers(group: Group, credit: Credit) -> list[float]:
    """The answer's part of each solution."""
    outcomes = [each.outcome for each in group.trajectories]
    found = rloo(outcomes) if credit.kind == "min" else grpo(outcomes, scale=credit.scale)
    return [value if value > 0 else credit.negative_weight * value for value in found]


def _progress(group: Group, credit: Credit) -> list[list[float]]:
    return _mixed(_centred([progress(line) for line in _scores(group, credit)], credit), group, credit)


def _process(group: Group, credit: Credit) -> list[list[float]]:
    steps = process_grpo(_scores(group, credit), scale=credit.scale)
    known = [
        line if any(score is not None for score in each.scores) else [None] * len(line)
        for line, each in zip(steps, group.trajectories, strict=True)
    ]
    return _mixed(_centred(known, credit), group, credit)


def _scores(group: Group, credit: Credit) -> list[Sequence[float | None]]:
    return [carried(each.scores) if credit.carry else each.scores for each in group.trajectories]


def _centred(steps: Sequence[Sequence[float | None]], credit: Credit) -> list[list[float]]:
    return centred(steps) if credit.baseline else [[each or 0.0 for each in line] for line in steps]


def _min(group: Group, credit: Credit) -> list[list[float]]:
    signed = [[None if p is None else 2 * p - 1 for p in each.scores] for each in group.trajectories]
    steps = min_form(signed, [each.lengths for each in group.trajectories], credit.temperature)
    return _mixed(steps, group, credit)


def _sum(group: Group, credit: Credit) -> list[list[float]]:
    return _whole(group, grpo([_added(each, credit) for each in group.trajectories], scale=credit.scale))


def _added(each: Trajectory, credit: Credit) -> float | None:
    known = [score for score in each.scores if score is not None]
    if not known or len(known) < len(each.scores) or (credit.outcome_weight and each.outcome is None):
        return None
    return credit.process_weight * sum(known) + credit.outcome_weight * (each.outcome or 0.0)


def _whole(group: Group, advantages: list[float]) -> list[list[float]]:
    """The same for every step of a solution."""
    return [[value] * len(each.steps) for value, each in zip(advantages, group.trajectories, strict=True)]


def _mixed(steps: list[list[float]], group: Group, credit: Credit) -> list[list[float]]:
    """Those of the steps and those of the answers, weighed."""
    return [
        [credit.process_weight * step + credit.outcome_weight * answer for step in line]
        for line, answer in zip(steps, _answers(group, credit), strict=True)
    ]


KINDS: Mapping[str, Callable[[Group, Credit], list[list[float]]]] = {
    "outcome": _outcome,
    "process": _process,
    "progress": _progress,
    "min": _min,
    "sum": _sum,
}
