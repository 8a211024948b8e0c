r"""The check that comes before any sampling: does every reference answer grade right against itself? Samples nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from itertools import islice

from openr_data.graders.grader import OpenGrader
from openr_data.types import Problem, Verdict

_WINDOW = 256


@dataclass(frozen=True, slots=True)
class BadReference:
    """A problem whose reference answer cannot be graded: every rollout of it would be unknown or wrong."""

    problem_id: str
    answer: str
    verdict: Verdict


async def _check(grader: OpenGrader, problem: Problem) -> BadReference | None:
    verdict = await grader(f"The solution ends here: \\boxed{{{problem.answer}}}", problem.answer)
    return None if verdict.outcome == "right" else BadReference(problem.id, problem.answer, verdict)


async def selfcheck(grader: OpenGrader, problems: Iterable[Problem]) -> AsyncIterator[BadReference]:
    r"""The problems whose reference answer, boxed at the end of a response, does not grade right. Memory stays flat."""
    source = iter(problems)
    while window := list(islice(source, _WINDOW)):
        for bad in await asyncio.gather(*(_check(grader, problem) for problem in window)):
            if bad is not None:
                yield bad
