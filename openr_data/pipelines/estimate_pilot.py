"""The pilot of an estimate: a random sample of the questions is really solved and labelled, by every method side by side.

Knows no totals and no prices. Methods share their rollouts, so the pilot stays cheap; each is charged what it would pay alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

from openr_data.engines import TEMPLATES, EngineLimits
from openr_data.engines.open import open_engine
from openr_data.errors import ContextOverflow, EngineError, InputError
from openr_data.graders import GRADERS, GradingPolicy, OpenGrader, grades_itself
from openr_data.labelers import LabelConfig, build_labeler
from openr_data.pipelines.config import GenerateConfig
from openr_data.pipelines.metering import Bill, Memo, Meter, tokens_per_second
from openr_data.pipelines.solving import sample_solutions
from openr_data.problems import ProblemSource, usable_problems
from openr_data.steps import StepFormat
from openr_data.tasks import concurrently
from openr_data.types import Problem, Solution

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Observed:
    """One question: its solutions, what they cost, and what each method paid on top of them.

    `probed` are the methods that asked for the continuation of a step. `failed`: why the engine refused the question, or a method
    of it; as in a run, that costs what was paid until then.
    """

    solutions: tuple[Solution, ...]
    generate: Bill
    label: Mapping[str, Bill]
    probed: frozenset[str]
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """`drawn` is what the pilot itself paid; `tokens_per_second` is 0 where it was over in no time."""

    observed: tuple[Observed, ...]
    tokens_per_second: float
    drawn: Bill


def sampled(source: ProblemSource, n: int, seed: int) -> tuple[list[Problem], int]:
    """`n` of the problems, each with the same chance (Vitter's algorithm R), and how many there are. Reads the whole source once.

    Raises `InputError` for a source without problems that can be used.
    """
    random = Random(f"pilot {seed}")
    chosen: list[Problem] = []
    total = 0
    for total, problem in enumerate(usable_problems(source, grades_itself), start=1):
        if total <= n:
            chosen.append(problem)
        elif (place := random.randrange(total)) < n:
            chosen[place] = problem
    if not chosen:
        raise InputError(f"{source.location} holds no problem that can be used")
    return chosen, total


async def trial(
    config: GenerateConfig, labels: Mapping[str, LabelConfig], limits: EngineLimits, problems: Sequence[Problem]
) -> Trial:
    """Solve the problems and label the solutions by each method. Raises `EngineError` when nothing could be done."""
    spans = any(label.spans for label in labels.values())
    spec = replace(config.engine, separator="") if spans else config.engine
    async with (
        GRADERS[config.grader](GradingPolicy()) as grader,
        open_engine(spec, limits) as engine,
        Memo(engine) as memo,
    ):
        template = engine.template
        steps = TEMPLATES[template.name].steps if spans and config.engine.separator is None else template.steps
        pilot = _Pilot(config, labels, memo, grader, steps)
        warm = await pilot.warm_up(problems[0])
        observed = await concurrently([pilot.observe(problem) for problem in problems])
        if all(one.failed and not one.solutions for one in observed):
            raise EngineError(f"no problem of the pilot could be done: {observed[0].failed}")
        return Trial(tuple(observed), tokens_per_second(memo.draws[warm:], engine.slots), memo.drawn)


@dataclass(frozen=True, slots=True)
class _Pilot:
    config: GenerateConfig
    labels: Mapping[str, LabelConfig]
    memo: Memo
    grader: OpenGrader
    steps: StepFormat

    async def warm_up(self, problem: Problem) -> int:
        """The first request pays for what an engine does once, and its time says nothing. Returns how many requests that were."""
        await _refusal(Meter(self.memo).sample(problem.question, (), n=1, sampling=self.config.sampling))
        return len(self.memo.draws)

    async def observe(self, problem: Problem) -> Observed:
        meter = Meter(self.memo)
        solutions, failed = await _refusal(self._solve(problem, meter))
        if solutions is None:
            return Observed((), meter.bill, {method: Bill() for method in self.labels}, frozenset(), failed)
        meters = {method: Meter(self.memo, owned=meter.paid) for method in self.labels}
        failures = await concurrently([self._label(method, problem, solutions, meters[method]) for method in self.labels])
        return Observed(
            solutions=tuple(solutions),
            generate=meter.bill,
            label={method: one.bill for method, one in meters.items()},
            probed=frozenset(method for method, one in meters.items() if one.probed),
            failed=next(filter(None, failures), ""),
        )

    async def _solve(self, problem: Problem, meter: Meter) -> list[Solution]:
        return await sample_solutions(
            problem,
            meter,
            self.grader,
            n=self.config.solutions,
            sampling=self.config.sampling,
            steps=self.steps,
            truncated=self.config.truncated,
            ungradable=self.config.ungradable,
            sampler=self.memo.engine.identity,
        )

    async def _label(self, method: str, problem: Problem, solutions: Sequence[Solution], meter: Meter) -> str:
        labeler = build_labeler(
            self.labels[method],
            meter,
            self.grader,
            self.config.sampling,
            self.steps,
            pieces=self.memo.engine.pieces,
            sampler=self.memo.engine.identity,
        )
        return (await _refusal(labeler(problem, solutions)))[1]


async def _refusal(work: Awaitable[Result]) -> tuple[Result | None, str]:
    """What came out, or why the engine refused this one question; a fault that would end a run is raised."""
    try:
        return await work, ""
    except EngineError as error:
        if not (error.retryable or isinstance(error, ContextOverflow)):
            raise
        return None, str(error)
