"""Labelling on the scripted engine's chains, with an engine that writes down what it was asked and may answer out of order."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from openr_data.engines import EngineSpec
from openr_data.engines.chain import chain_problems
from openr_data.engines.prompts import resolve_template
from openr_data.engines.script import parse_script
from openr_data.engines.scripted import ScriptedEngine
from openr_data.labelers import LabelConfig, MonteCarlo, build_labeler
from openr_data.steps import StepFormat
from openr_data.types import Completion, Engine, Labeling, Problem, Sampling, Solution, Steps, Verdict

LINES = StepFormat("\n")
SAMPLING = Sampling(temperature=1.0, max_tokens=400, seed=3)
WRITING = replace(SAMPLING, seed=99)
"""Solutions are drawn with another seed than the rollouts."""


async def grade(response: str, answer: str, /) -> Verdict:
    _, said, tail = response.rpartition("The answer is ")
    if not said:
        return Verdict("unknown", "no_answer")
    return Verdict("right" if tail.strip() == answer else "wrong", "exact", tail.strip())


@dataclass
class Asked:
    """The scripted engine; keeps the samples asked for. `order`: it gives way a random number of times before it answers."""

    script: str = ""
    order: int | None = None
    samples: Counter[tuple[str, int]] = field(default_factory=Counter)
    prefixes: list[Steps] = field(default_factory=list)
    before: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.spec = EngineSpec("scripted", script=self.script)
        template = resolve_template(self.spec.template, auto="builtin", separator="\n")
        self.engine = ScriptedEngine(parse_script(self.script), template, 256)
        self.wait = Random(self.order)

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        self.before()
        self.prefixes.append(prefix)
        self.samples.update((LINES.open(prefix), index) for index in range(start, start + n))
        for _ in range(self.wait.randrange(12) if self.order is not None else 0):
            await asyncio.sleep(0)
        return await self.engine.sample(question, prefix, n=n, sampling=sampling, start=start)


def problems(count: int, *, seed: int = 5, steps: tuple[int, int] = (6, 10)) -> list[Problem]:
    return list(chain_problems(count, seed=seed, steps=steps, starts=(10, 9999)))


def written(problem: Problem, script: str, count: int) -> list[Solution]:
    """Solutions as `generate` would write them. Undecided ones among them."""

    async def draw() -> list[Solution]:
        completions = await Asked(script).sample(problem.question, (), n=count, sampling=WRITING)
        return [
            Solution(
                f"{problem.id}-{completion.index}",
                problem.id,
                LINES.split(completion.text),
                await grade(completion.text, problem.answer),
                completion.token_count,
                index=completion.index,
                seed=completion.seed,
            )
            for completion in completions
        ]

    return asyncio.run(draw())


def label(config: LabelConfig, engine: Engine, problem: Problem, solutions: Sequence[Solution]) -> Labeling:
    return asyncio.run(build_labeler(config, engine, grade, SAMPLING, LINES, sampler="chain")(problem, solutions))


def measuring(engine: Engine, **options: Any) -> MonteCarlo:
    return MonteCarlo(engine, grade, SAMPLING, LINES, **options)
