"""How good a policy is on questions that it did not learn from: greedily, and by samples at temperature 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.local import open_local
from openr_data.errors import EngineError
from openr_data.graders import GRADERS, GradingPolicy
from openr_data.pipelines.rl.rollouts import Rollouts
from openr_data.pipelines.rl.state import Evaluation
from openr_data.prm.intervals import Interval, difference, interval, resampled, share
from openr_data.types import Problem, Sampling


@dataclass(frozen=True, slots=True)
class Measured:
    """Per question, in their order: right greedily (1, 0), the share of right ones of the samples, and the tokens of all of them.
    `None`: not known.
    """

    greedy: tuple[float | None, ...]
    sampled: tuple[float | None, ...]
    tokens: int


async def measure(
    spec: EngineSpec, limits: EngineLimits, problems: Sequence[Problem], *, grader: str, max_tokens: int, samples: int, seed: int
) -> Measured:
    """The same seeds for every policy: differences are paired."""
    async with open_local(spec, limits) as engine, GRADERS[grader](GradingPolicy()) as opened:
        found = []
        for temperature, n in ((0.0, 1), (1.0, samples)):
            rollouts = Rollouts(engine, opened, None, Sampling(temperature, max_tokens, seed))
            found.append(await rollouts.groups(problems, n, seed))
    shares = [tuple(_share([each.outcome for each in group.trajectories]) for group in groups) for groups in found]
    tokens = sum(len(each.tokens) for groups in found for group in groups for each in group.trajectories)
    return Measured(shares[0], shares[1], tokens)


async def held_out(rollouts: Rollouts, problems: Sequence[Problem]) -> tuple[list[float | None], int]:
    """The policy's one greedy answer to each: 1 right, 0 wrong, `None` not known; and the tokens of all of them."""
    sampling = Sampling(0.0, rollouts.sampling.max_tokens, 0)
    greedy = Rollouts(rollouts.engine, rollouts.grader, None, sampling, reasoning=rollouts.reasoning)
    every = [group.trajectories for group in await greedy.groups(problems, 1, 0)]
    tokens = sum(len(each.tokens) for solutions in every for each in solutions)
    return [solutions[0].outcome if solutions else None for solutions in every], tokens


def measured(update: int, answers: tuple[Sequence[float | None], int]) -> Evaluation:
    """Raises `EngineError` where nothing is known."""
    right, tokens = answers
    if all(each is None for each in right):
        raise EngineError("no held-out question could be answered and graded, so nothing can be measured")
    return Evaluation(update, tuple(right), tokens)


def _share(outcomes: Sequence[float | None]) -> float | None:
    known = [each for each in outcomes if each is not None]
    return fmean(known) if known else None


def accuracy(right: Sequence[float | None], seed: int) -> Interval:
    """Over the questions that are known; 0 without bounds where none is."""
    known = np.array([each for each in right if each is not None])
    if not len(known):
        return Interval(0.0)
    return interval(share(known), resampled(len(known), seed=seed))


def paired_gain(before: Sequence[float | None], after: Sequence[float | None], seed: int) -> Interval:
    """The mean difference over the questions that both know; 0 without bounds where there is none."""
    both = [(a, b) for a, b in zip(before, after, strict=True) if a is not None and b is not None]
    if not both:
        return Interval(0.0)
    first, second = (np.array([pair[at] for pair in both]) for at in (0, 1))
    return interval(difference(share(second), share(first)), resampled(len(both), seed=seed))
