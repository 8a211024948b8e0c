"""The pilot of an estimate: a random sample of the questions is really solved and labelled, by every method side by side.

Knows no totals and no prices. Methods share their rollouts, so the pilot stays cheap; each is charged what it would pay alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from random import Random
from typing import TYPE_CHECKING, TypeVar

from openr_data.engines import TEMPLATES, EngineLimits
from openr_data.engines.open import open_engine
from openr_data.errors import ContextOverflow, EngineError, InputError
from openr_data.graders import GRADERS, GradingPolicy, OpenGrader, grades_itself
from openr_data.labelers import LabelConfig, MonteCarlo, adaptive_labeler, build_labeler, measurement
from openr_data.pipelines.config import GenerateConfig
from openr_data.pipelines.metering import Bill, Key, Memo, Meter, tokens_per_second
from openr_data.pipelines.pilot import needs_pilot
from openr_data.pipelines.solving import sample_solutions
from openr_data.problems import ProblemSource, usable_problems
from openr_data.steps import StepFormat
from openr_data.tasks import concurrently
from openr_data.types import Problem, Solution

if TYPE_CHECKING:
    from openr_data.labelers.adaptive import Seen

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Observed:
    """One question: its solutions, what they cost, and what each method paid on top of them.

    `probed` are the methods that asked for the continuation of a step. `failed`: why the engine refused the question, or a method
    of it; as in a run, that costs what was paid until then. `fit` is what a method pays to fit its model on this question, on top
    of labelling it, and `seen` how many solutions it fits the model to here.
    """

    solutions: tuple[Solution, ...]
    generate: Bill
    label: Mapping[str, Bill]
    probed: frozenset[str]
    failed: str = ""
    fit: Mapping[str, Bill] = field(default_factory=dict)
    seen: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """`drawn` is what the pilot itself paid; `tokens_per_second` is 0 where it was over in no time. `wanted` is to how many
    solutions a run fits the model of a method, for those that have one.
    """

    observed: tuple[Observed, ...]
    tokens_per_second: float
    drawn: Bill
    wanted: Mapping[str, int] = field(default_factory=dict)


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
        began = time.thread_time()
        solved = await concurrently([pilot.solve(problem) for problem in problems])
        if not any(one.solutions for one in solved):
            raise EngineError(f"no problem of the pilot could be done: {solved[0].failed}")
        fitted = {method: await pilot.fit(method, solved) for method in labels if needs_pilot(labels[method])}
        observed = await concurrently([pilot.observe(place, one, fitted) for place, one in enumerate(solved)])
        wanted = {method: labels[method].pilot for method in fitted}
        speed = min(tokens_per_second(memo.draws[warm:], engine.slots), _asked(observed) / max(time.thread_time() - began, 1e-9))
        return Trial(tuple(observed), speed, memo.drawn, wanted)


@dataclass(frozen=True, slots=True)
class _Solved:
    problem: Problem
    solutions: tuple[Solution, ...]
    meter: Meter
    failed: str

    @property
    def wrong(self) -> list[Solution]:
        return [solution for solution in self.solutions if solution.verdict.outcome == "wrong"]


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A configuration with its model, and for each question what the fit saw and asked for."""

    label: LabelConfig
    seen: Sequence[int]
    meters: Sequence[Meter]


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

    async def solve(self, problem: Problem) -> _Solved:
        meter = Meter(self.memo)
        work = sample_solutions(
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
        solutions, failed = await _refusal(work)
        return _Solved(problem, tuple(solutions or ()), meter, failed)

    async def fit(self, method: str, solved: Sequence[_Solved]) -> _Fitted:
        """As a run does it, with what is there."""
        meters = [Meter(self.memo, owned=one.meter.paid) for one in solved]
        observers = [adaptive_labeler(self.labels[method], self._measure(method, meter)) for meter in meters]
        work = [_refusal(each.observe(one.problem, one.wrong)) for each, one in zip(observers, solved, strict=True)]
        seen = [result[0] if result else [] for result, _ in await concurrently(work)]
        model = fitted_model(list(chain.from_iterable(seen))[: self.labels[method].pilot])
        return _Fitted(replace(self.labels[method], model=model), [len(each) for each in seen], meters)

    async def observe(self, place: int, solved: _Solved, fitted: Mapping[str, _Fitted]) -> Observed:
        labels = {method: fitted[method].label if method in fitted else label for method, label in self.labels.items()}
        meters = {method: Meter(self.memo, owned=solved.meter.paid) for method in labels}
        failures: list[str] = []
        if solved.solutions:
            failures = await concurrently([self._label(labels[method], solved, meters[method]) for method in labels])
        extra = {method: self.memo.bill(_without(one.meters[place].paid, meters[method].paid)) for method, one in fitted.items()}
        return Observed(
            solutions=solved.solutions,
            generate=solved.meter.bill,
            label={method: one.bill for method, one in meters.items()},
            probed=frozenset(method for method, one in meters.items() if one.probed),
            failed=next(filter(None, failures), solved.failed),
            fit=extra,
            seen={method: one.seen[place] for method, one in fitted.items()},
        )

    def _measure(self, method: str, meter: Meter) -> MonteCarlo:
        engine = self.memo.engine
        config = self.labels[method]
        return measurement(config, meter, self.grader, self.config.sampling, self.steps, engine.pieces, engine.identity)

    async def _label(self, label: LabelConfig, solved: _Solved, meter: Meter) -> str:
        pieces, sampler = self.memo.engine.pieces, self.memo.engine.identity
        labeler = build_labeler(label, meter, self.grader, self.config.sampling, self.steps, pieces=pieces, sampler=sampler)
        return (await _refusal(labeler(solved.problem, solved.solutions)))[1]


def fitted_model(seen: Sequence[Seen]) -> str:
    from openr_data.labelers.adaptive import fit

    return json.dumps(fit(seen).to_json())


def _asked(observed: Sequence[Observed]) -> int:
    """The tokens that all methods together asked for. However fast the engine, labelling them takes this thread its time."""
    return sum(bill.tokens for one in observed for bill in (one.generate, *one.label.values(), *one.fit.values()))


def _without(paid: Mapping[Key, int], other: Mapping[Key, int]) -> dict[Key, int]:
    return {key: tokens for key, tokens in paid.items() if key not in other}


async def _refusal(work: Awaitable[Result]) -> tuple[Result | None, str]:
    """What came out, or why the engine refused this one question; a fault that would end a run is raised."""
    try:
        return await work, ""
    except EngineError as error:
        if not (error.retryable or isinstance(error, ContextOverflow)):
            raise
        return None, str(error)
