"""From completions and foreign texts to graded solutions. Knows engines and graders, not files."""

from __future__ import annotations

from openr_data.labelers.verdicts import Truncated, Ungradable, counted, verdict_on
from openr_data.problems import ProblemSolutions, RawSolution
from openr_data.steps import StepFormat
from openr_data.tasks import concurrently
from openr_data.types import Engine, Grader, Problem, Sampling, Solution


async def sample_solutions(
    problem: Problem,
    engine: Engine,
    grader: Grader,
    *,
    n: int,
    sampling: Sampling,
    steps: StepFormat,
    truncated: Truncated,
    ungradable: Ungradable,
    sampler: str,
) -> list[Solution]:
    """`n` solutions of a problem, in the order of their sample index."""
    completions = await engine.sample(problem.question, (), n=n, sampling=sampling)
    verdicts = await concurrently(
        [verdict_on(c, c.text, problem.answer, grader, truncated=truncated, ungradable=ungradable) for c in completions]
    )
    return [
        Solution(
            id=f"{problem.id}/{completion.index}",
            problem_id=problem.id,
            steps=steps.split(completion.text),
            verdict=verdict,
            tokens=completion.token_count,
            sampler=sampler,
            finish_reason=completion.finish_reason,
            index=completion.index,
            seed=completion.seed,
        )
        for completion, verdict in zip(completions, verdicts, strict=True)
    ]


async def graded_solutions(
    item: ProblemSolutions, grader: Grader, steps: StepFormat, ungradable: Ungradable = "unknown"
) -> list[Solution]:
    """Solutions that other models wrote, graded against the reference answer."""

    async def one(index: int, raw: RawSolution) -> Solution:
        verdict = counted(await grader(steps.join(raw.steps), item.problem.answer), ungradable)
        return Solution(raw.id, item.problem.id, raw.steps, verdict, sampler=raw.sampler, index=index)

    return await concurrently([one(index, raw) for index, raw in enumerate(item.solutions)])
