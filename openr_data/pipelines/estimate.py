"""What a run will cost, from a small pilot: calls, tokens and hours, each with a range. The formulas are in `expected`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil, log2, sqrt
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
from openr_data.types import Problem, Solution


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a few problems showed. Tokens and steps are per solution; `*_error` are standard errors of the means."""

    problems: int
    solutions: int
    right: float
    right_error: float
    mixed: float
    tokens: float
    tokens_error: float
    steps: float
    tokens_per_second: float


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
        generate=_amount(measured, solutions, solutions * measured.tokens),
        label={method: _amount(measured, *expected(measured, label, method, total, config.solutions)) for method in methods},
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
    solutions = [solution for group in groups for solution in group]
    right = [float(solution.verdict.outcome == "right") for solution in solutions]
    tokens = [float(solution.tokens) for solution in solutions]
    mixed = [len({solution.verdict.outcome for solution in group} & {"right", "wrong"}) == 2 for group in groups]
    return Pilot(
        problems=len(groups),
        solutions=len(solutions),
        right=fmean(right),
        right_error=_standard_error(right),
        mixed=fmean(mixed),
        tokens=fmean(tokens),
        tokens_error=_standard_error(tokens),
        steps=fmean(len(solution.steps) for solution in solutions),
        tokens_per_second=sum(tokens) / max(seconds, 1e-9),
    )


def expected(pilot: Pilot, label: LabelConfig, method: str, problems: int, solutions: int) -> tuple[float, float]:
    """Completions and tokens of a labelling, on top of the solutions themselves.

    A rollout from step t of M costs about (1 - t/M) of a solution, so half of one on average. Math-Shepherd: k(M-1) rollouts per
    wrong solution (per solution with soft estimates, and for MiPS). OmegaPRM: the filter's rollouts of every problem beyond the
    solutions it reuses, and k*ceil(log2 M) per search, on the problems that have right and wrong rollouts.

    >>> pilot = Pilot(10, 40, 0.5, 0.0, 1.0, 100.0, 0.0, 8.0, 1000.0)
    >>> expected(pilot, LabelConfig(rollouts=4), "math-shepherd", problems=1, solutions=2)
    (28.0, 1400.0)
    >>> expected(pilot, LabelConfig(rollouts=4, filter_rollouts=10, searches=0), "omegaprm", problems=1, solutions=2)
    (20.0, 1400.0)
    """
    wrong = solutions * (1 - pilot.right)
    half = pilot.tokens / 2
    if method == "omegaprm":
        root = max(0, label.filter_rollouts - solutions)
        searches = pilot.mixed * (wrong + label.searches)
        probes = searches * label.rollouts * ceil(log2(max(2.0, pilot.steps)))
        return problems * (root + probes), problems * (root * pilot.tokens + probes * half)
    labelled = solutions if method == "mips" or label.estimates == "soft" else wrong
    rollouts = problems * labelled * label.rollouts * max(0.0, pilot.steps - 1)
    return rollouts, rollouts * half


def _amount(pilot: Pilot, completions: float, tokens: float) -> Amount:
    spread = 2 * pilot.tokens_error / pilot.tokens if pilot.tokens else 0.0
    spread += 2 * pilot.right_error
    hours = tokens / max(pilot.tokens_per_second, 1e-9) / 3600
    return Amount(completions, tokens, tokens * max(0.0, 1 - spread), tokens * (1 + spread), hours)


def _standard_error(values: Sequence[float]) -> float:
    return stdev(values) / sqrt(len(values)) if len(values) > 1 else 0.0
