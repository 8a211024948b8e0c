"""The candidates of a run, by problem: solutions with an answer and a verdict, grouped by equal answers. Scores nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from openr_data.errors import InputError
from openr_data.graders import MathGrader
from openr_data.pipelines.prm.evaluation.config import EVERYTHING, EvaluationConfig
from openr_data.pipelines.prm.evaluation.steps import Wanted
from openr_data.problems.digests import normal_question
from openr_data.search.grouping import group_answers
from openr_data.store.read import ItemRecords, RunReader
from openr_data.tasks import concurrently
from openr_data.types import Solution


@dataclass(frozen=True, slots=True)
class Pool:
    """The candidates of a problem and, of each, the number of its answer: equal ones have the same. `drawn` counts all solutions,
    those that are no candidates included.
    """

    problem: str
    question: str
    candidates: tuple[Solution, ...]
    drawn: int
    answers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Pools:
    """`excluded` counts, by reason, solutions that are no candidates: they are in no number. `elsewhere` are questions that are
    not looked at.
    """

    source: str
    pools: tuple[Pool, ...]
    excluded: Mapping[str, int]
    elsewhere: int


def read_pools(run: Path, config: EvaluationConfig) -> Pools:
    """Of the wanted questions, each with at least one candidate. Raises `InputError` where there is none."""
    excluded: Counter[str] = Counter()
    wanted = Wanted(config)
    pools, elsewhere = [], 0
    for item in RunReader.open(run).items(tables=("solutions", "labeled")):
        if not wanted.takes(normal_question(item.problem.question)):
            elsewhere += 1
            continue
        solutions = list(_solutions(item))
        reasons = [why_not(each) for each in solutions]
        excluded.update(reason for reason in reasons if reason)
        kept = tuple(each for each, reason in zip(solutions, reasons, strict=True) if not reason)
        pools.append(Pool(item.problem.id, item.problem.question, kept, len(solutions)))
    if not any(pool.candidates for pool in pools):
        hint = "" if config.split == EVERYTHING else f" among {config.told}; --split {EVERYTHING} takes every question"
        raise InputError(f"{run} has no solution with an answer and a verdict{hint}")
    return Pools(str(run), tuple(asyncio.run(_grouped(pools))), dict(excluded.most_common()), elsewhere)


def why_not(solution: Solution) -> str:
    """Why it is no candidate: neither an engine's nor a grader's failure is a wrong answer; empty for a candidate."""
    if not solution.steps:
        return "no steps"
    if solution.verdict.answer is None:
        return f"no answer ({solution.verdict.reason})"
    return f"no verdict ({solution.verdict.reason})" if solution.verdict.outcome == "unknown" else ""


def _solutions(item: ItemRecords) -> Iterator[Solution]:
    yield from item.solutions
    yield from (one.solution for one in item.labeled if one.origin == "given")


async def _grouped(pools: Sequence[Pool]) -> list[Pool]:
    async with MathGrader() as grader:
        answers = await concurrently(
            equal_answers([each.verdict.answer or "" for each in pool.candidates], grader) for pool in pools
        )
    return [replace(pool, answers=tuple(found)) for pool, found in zip(pools, answers, strict=True)]


async def equal_answers(answers: Sequence[str], grader: MathGrader) -> list[int]:
    """Each answer's number: that of the first answer that it is equal to, as answers are graded, without the reference answer."""

    async def equal(first: str, second: str) -> bool:
        return (await grader.grade_answer(first, second)).outcome == "right"

    return [number for number in await group_answers(answers, equal) if number is not None]
