"""Answers of candidates: graded against the reference, and grouped by equality without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openr_data.graders import OpenGrader
from openr_data.search.base import Path
from openr_data.search.grouping import group_answers
from openr_data.steps import StepFormat
from openr_data.tasks import concurrently
from openr_data.types import Verdict

TRUNCATED = Verdict("unknown", "truncated")


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate, its verdict and the number of its answer (`None`: it has none)."""

    path: Path
    verdict: Verdict
    answer: int | None


async def judge(paths: Sequence[Path], answer: str, grader: OpenGrader, steps: StepFormat) -> list[Judged]:
    """Equal answers have the same number, that of the first of them in this order. What was cut has no answer."""
    verdicts = await concurrently([verdict_of(path, answer, grader, steps) for path in paths])

    async def equal(first: str, second: str) -> bool:
        return (await grader.grade_answer(first, second)).outcome == "right"

    groups = await group_answers([verdict.answer for verdict in verdicts], equal)
    return [Judged(path, verdict, group) for path, verdict, group in zip(paths, verdicts, groups, strict=True)]


async def verdict_of(path: Path, answer: str, grader: OpenGrader, steps: StepFormat) -> Verdict:
    if path.summary is not None:
        return await grader(path.summary, answer)
    return TRUNCATED if path.end != "finished" else await grader(steps.join(path.steps), answer)
