"""What a run will cost, from a small pilot: calls, tokens with a range, and hours. The formulas are in `expected`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import islice
from math import ceil, exp, hypot, lgamma, log2, sqrt
from statistics import fmean, stdev

from openr_data.engines import EngineLimits
from openr_data.engines.open import open_engine
from openr_data.errors import InputError
from openr_data.graders import GRADERS, GradingPolicy, grades_itself
from openr_data.labelers import LabelConfig
from openr_data.pipelines.config import GenerateConfig
from openr_data.pipelines.runner import gather_or_cancel
from openr_data.pipelines.solving import sample_solutions
from openr_data.pipelines.sources import count_problems
from openr_data.problems import read_problems, usable_problems
from openr_data.types import Outcome, Problem, Solution


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a few problems showed. `right` and `wrong` are shares of the solutions (the rest is unknown), tokens and steps means.

    `*_error` are standard errors over problems, since solutions of one problem resemble each other. `outcomes` are the counts of
    right and wrong solutions of each problem. `wrong_prefixes` and `prefixes` are distinct proper prefixes per problem, of the
    wrong solutions and of the right ones too: a prefix that several share is measured once.
    """

    problems: int
    solutions: int
    right: float
    wrong: float
    wrong_error: float
    outcomes: tuple[tuple[int, int], ...]
    tokens: float
    tokens_error: float
    steps: float
    wrong_prefixes: float
    prefixes: float
    tokens_per_second: float

    def spread(self, *, of_wrong: bool) -> float:
        """Two standard errors of an amount that grows with the tokens, and with the wrong solutions as well, as a share of it."""
        tokens = self.tokens_error / self.tokens if self.tokens else 0.0
        wrong = self.wrong_error / self.wrong if of_wrong and self.wrong else 0.0
        return 2 * hypot(tokens, wrong)


@dataclass(frozen=True, slots=True)
class Amount:
    """Calls (completions), generated tokens and hours; `low` and `high` tokens are two standard errors away."""

    completions: float
    tokens: float
    low: float
    high: float
    hours: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """`problems` of the whole source; `generate` and one amount per labelling method on top of it."""

    problems: int
    pilot: Pilot
    generate: Amount
    label: dict[str, Amount]


def estimate(config: GenerateConfig, label: LabelConfig, limits: EngineLimits, *, pilot: int, methods: Sequence[str]) -> Estimate:
    """Run the pilot on the first problems of the source and extrapolate. Raises `InputError` for a source without problems."""
    problems = list(islice(usable_problems(config.source, grades_itself), pilot))
    if not problems:
        raise InputError(f"{config.source.location} holds no problem that can be used")
    measured = asyncio.run(_pilot(config, limits, problems))
    total = count_problems(config.source) or sum(isinstance(item, Problem) for item in read_problems(config.source))
    solutions = total * config.solutions
    return Estimate(
        problems=total,
        pilot=measured,
        generate=_amount(measured, solutions, solutions * measured.tokens, measured.spread(of_wrong=False)),
        label={
            method: _amount(
                measured,
                *expected(measured, label, method, total, config.solutions),
                measured.spread(of_wrong=not measures_all(label, method)),
            )
            for method in methods
        },
    )


async def _pilot(config: GenerateConfig, limits: EngineLimits, problems: Sequence[Problem]) -> Pilot:
    async with GRADERS[config.grader](GradingPolicy()) as grader, open_engine(config.engine, limits) as engine:
        began = time.monotonic()
        groups = await gather_or_cancel(
            [
                sample_solutions(
                    problem,
                    engine,
                    grader,
                    n=config.solutions,
                    sampling=config.sampling,
                    steps=engine.template.steps,
                    truncated=config.truncated,
                    ungradable=config.ungradable,
                    sampler=engine.identity,
                )
                for problem in problems
            ]
        )
        return summarise(groups, time.monotonic() - began)


def summarise(groups: Sequence[Sequence[Solution]], seconds: float) -> Pilot:
    outcomes = [[solution.verdict.outcome for solution in group] for group in groups]
    wrong = [group.count("wrong") / len(group) for group in outcomes]
    tokens = [fmean(solution.tokens for solution in group) for group in groups]
    solutions = sum(map(len, groups))
    return Pilot(
        problems=len(groups),
        solutions=solutions,
        right=sum(group.count("right") for group in outcomes) / solutions,
        wrong=fmean(wrong),
        wrong_error=_standard_error(wrong),
        outcomes=tuple((group.count("right"), group.count("wrong")) for group in outcomes),
        tokens=fmean(tokens),
        tokens_error=_standard_error(tokens),
        steps=fmean(len(solution.steps) for group in groups for solution in group),
        wrong_prefixes=fmean(_distinct_prefixes(group, {"wrong"}) for group in groups),
        prefixes=fmean(_distinct_prefixes(group, {"right", "wrong"}) for group in groups),
        tokens_per_second=sum(solution.tokens for group in groups for solution in group) / max(seconds, 1e-9),
    )


def _distinct_prefixes(group: Sequence[Solution], outcomes: Set[Outcome]) -> int:
    solutions = [solution.steps for solution in group if solution.verdict.outcome in outcomes]
    return len({steps[:t] for steps in solutions for t in range(1, len(steps))})


def mixed_share(outcomes: Sequence[tuple[int, int]], n: int) -> float:
    """The expected share of problems that show right and wrong answers in `n` rollouts (0: all problems, no filter).

    A few solutions see fewer mixed problems than a filter of 32 rollouts will: each problem's probability of a right answer gets
    the Beta posterior of Jeffreys' prior, (right + 1/2, wrong + 1/2).

    >>> round(mixed_share([(4, 0)], 32), 2), round(mixed_share([(4, 0)], 4), 2), mixed_share([(4, 0)], 0)
    (0.66, 0.28, 1.0)
    """

    def all_alike(a: float, b: float) -> float:
        return exp(lgamma(a + n) - lgamma(a) + lgamma(a + b) - lgamma(a + b + n))

    if not n:
        return 1.0
    return fmean(1 - all_alike(r + 0.5, w + 0.5) - all_alike(w + 0.5, r + 0.5) for r, w in outcomes)


def measures_all(label: LabelConfig, method: str) -> bool:
    """Whether right solutions cost rollouts as well."""
    return method == "mips" or (method == "math-shepherd" and label.estimates == "soft")


def expected(pilot: Pilot, label: LabelConfig, method: str, problems: int, solutions: int) -> tuple[float, float]:
    """Completions and tokens of a labelling, on top of the solutions themselves.

    A rollout from step t of M costs about (1 - t/M) of a solution, so half of one on average. Math-Shepherd: k rollouts
    per prefix of the wrong solutions (of all with soft estimates, and for MiPS). OmegaPRM: the root's rollouts of every problem
    beyond the solutions it reuses, and at most k*ceil(log2 M) per search, on the problems that pass the filter, up to the
    rollout limit.

    >>> pilot = Pilot(10, 40, 0.5, 0.5, 0.0, ((2, 2),), 100.0, 0.0, 8.0, 7.0, 14.0, 1000.0)
    >>> expected(pilot, LabelConfig(rollouts=4), "math-shepherd", problems=1, solutions=2)
    (28.0, 1400.0)
    >>> expected(pilot, LabelConfig(rollouts=4, filter_rollouts=0, searches=1), "omegaprm", problems=1, solutions=2)
    (26.0, 1400.0)
    """
    wrong = solutions * pilot.wrong
    half = pilot.tokens / 2
    if method == "omegaprm":
        filtered = label.filter_rollouts or (label.rollouts if label.searches else 0)
        root = max(0, filtered - solutions)
        searches = mixed_share(pilot.outcomes, label.filter_rollouts) * (wrong + label.searches)
        probes = searches * label.rollouts * ceil(log2(max(2.0, pilot.steps)))
        if label.rollout_limit:
            probes = min(probes, max(0, label.rollout_limit - filtered))
        return problems * (root + probes), problems * (root * pilot.tokens + probes * half)
    rollouts = problems * label.rollouts * (pilot.prefixes if measures_all(label, method) else pilot.wrong_prefixes)
    return rollouts, rollouts * half


def _amount(pilot: Pilot, completions: float, tokens: float, spread: float) -> Amount:
    hours = tokens / max(pilot.tokens_per_second, 1e-9) / 3600
    return Amount(completions, tokens, tokens * max(0.0, 1 - spread), tokens * (1 + spread), hours)


def _standard_error(values: Sequence[float]) -> float:
    return stdev(values) / sqrt(len(values)) if len(values) > 1 else 0.0
