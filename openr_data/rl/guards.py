"""Signs that a policy games its rewards instead of solving problems, and when that ends a run. Knows numbers, no models.

PURE (arXiv 2504.15275) saw summed rewards of a process reward model end in long chains of empty steps within tens of updates:
what rises is the reward, what falls is the share of right answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from openr_data.errors import UsageError
from openr_data.rl.trajectory import Group, Trajectory


@dataclass(frozen=True, slots=True)
class Guards:
    """Bounds on the mean of the last `window` updates, against the first `window`. 0 switches one off.

    `steps` and `tokens`: how many times as many steps per solution, or tokens per step. `repeats`: the share of steps that stand
    in their solution before. `gap`: by how much the share of right answers may fall while the reward of the steps rises. `kl`:
    nats per token away from the reference model. Raises `UsageError`.
    """

    window: int = 5
    steps: float = 2.0
    tokens: float = 3.0
    repeats: float = 0.3
    gap: float = 0.15
    kl: float = 0.0

    def __post_init__(self) -> None:
        if self.window < 1:
            raise UsageError("--guard-window is at least 1: without updates there is nothing to compare")


@dataclass(frozen=True, slots=True)
class Signs:
    """Of one update: means over its solutions. `score` is the mean p(+) of a solution's steps, `lowest` of its worst step and
    `total` of their sum; `None` without scores. `right` is the share of right answers among those that are known,
    and `learnt` that of the solutions from which anything could be learnt: none, where all rewards of a group are equal.
    """

    steps: float
    tokens: float
    repeats: float
    cut: float
    right: float | None
    score: float | None = None
    lowest: float | None = None
    total: float | None = None
    kl: float = 0.0
    learnt: float = 1.0


def signs(groups: Sequence[Group], kl: float = 0.0, learnt: float = 1.0) -> Signs:
    """Raises `ValueError` without a solution."""
    every = [each for group in groups for each in group.trajectories]
    if not every:
        raise ValueError("there is no solution to look at")
    count = max(1, sum(len(each.steps) for each in every))
    known = [[score for score in each.scores if score is not None] for each in every]
    scored = [line for line in known if line]
    return Signs(
        steps=fmean(len(each.steps) for each in every),
        tokens=sum(len(each.tokens) for each in every) / count,
        repeats=sum(map(_repeats, every)) / count,
        cut=fmean(each.cut for each in every),
        right=_mean([each.outcome for each in every if each.outcome is not None]),
        score=_mean([fmean(line) for line in scored]),
        lowest=_mean([min(line) for line in scored]),
        total=_mean([sum(line) for line in scored]),
        kl=kl,
        learnt=learnt,
    )


def reason_to_stop(history: Sequence[Signs], guards: Guards) -> str:
    """One sentence, or nothing. `history` holds every update of the run so far."""
    if len(history) >= guards.window and not _of(history[-guards.window :], "learnt"):
        return f"in {guards.window} updates all rewards of each question were equal: the questions are too easy or too hard"
    if len(history) < 2 * guards.window:
        return ""
    first, now = history[: guards.window], history[-guards.window :]
    steps, tokens = _ratio(first, now, "steps"), _ratio(first, now, "tokens")
    if guards.steps and steps > guards.steps:
        return f"solutions have {steps:.1f} times as many steps as at the beginning"
    if guards.tokens and tokens > guards.tokens:
        return f"steps have {tokens:.1f} times as many tokens as at the beginning"
    if guards.repeats and _of(now, "repeats") > max(guards.repeats, _of(first, "repeats") * 2):
        return f"{_of(now, 'repeats'):.0%} of the steps stand in their solution before"
    if guards.kl and _of(now, "kl") > guards.kl:
        return f"the policy is {_of(now, 'kl'):.2f} nats per token away from the reference model"
    return _gap(first, now, guards.gap)


def _gap(first: Sequence[Signs], now: Sequence[Signs], most: float) -> str:
    right, score, total = ((_known(first, name), _known(now, name)) for name in ("right", "score", "total"))
    if not most or right[0] is None or right[1] is None:
        return ""
    risen = any(a is not None and b is not None and b > a for a, b in (score, total))
    if right[0] - right[1] > most and risen:
        shares = f"from {right[0]:.0%} to {right[1]:.0%}"
        return f"the reward of steps rose while the share of right answers fell {shares}"
    return ""


def _repeats(each: Trajectory) -> int:
    texts = [step.strip() for step in each.steps]
    return len(texts) - len(set(texts))


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _known(window: Sequence[Signs], name: str) -> float | None:
    """The mean over the updates of which it is known."""
    return _mean([value for each in window if (value := getattr(each, name)) is not None])


def _of(window: Sequence[Signs], name: str) -> float:
    return fmean(getattr(each, name) for each in window)


def _ratio(first: Sequence[Signs], now: Sequence[Signs], name: str) -> float:
    return _of(now, name) / max(_of(first, name), 1e-9)
