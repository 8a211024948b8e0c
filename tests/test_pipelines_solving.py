"""Solutions from completions and from foreign texts."""

from __future__ import annotations

import asyncio

import pytest

from openr_data.graders import ExactGrader
from openr_data.labelers.verdicts import Ungradable
from openr_data.pipelines.solving import graded_solutions
from openr_data.problems import ProblemSolutions, RawSolution
from openr_data.steps import StepFormat
from openr_data.types import Problem


@pytest.mark.parametrize(("ungradable", "silent"), [("unknown", "unknown"), ("wrong", "wrong")])
def test_foreign_solutions_follow_the_policy_for_texts_without_an_answer(ungradable: Ungradable, silent: str) -> None:
    texts = [("so", r"it is \boxed{4}"), ("so", r"it is \boxed{5}"), ("I do", "not know.")]
    item = ProblemSolutions(Problem("p", "2 + 2?", "4"), tuple(RawSolution(str(i), steps) for i, steps in enumerate(texts)))
    solutions = asyncio.run(graded_solutions(item, ExactGrader(), StepFormat("\n"), ungradable))
    assert [solution.verdict.outcome for solution in solutions] == ["right", "wrong", silent]
    assert solutions[2].verdict.reason == "no_answer"
