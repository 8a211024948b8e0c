"""The public data sets as published, where they are at hand (`OPENR_SHARED_DATA`, or `../shared/data` beside the checkout)."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from openr_data.problems import ProblemSource, Reject, read_problems, read_solutions
from openr_data.types import Problem

DATA = Path(os.environ.get("OPENR_SHARED_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def place(name: str) -> ProblemSource:
    if not (DATA / name).is_file():
        pytest.skip(f"{name} is not there")
    return ProblemSource(str(DATA / name))


@pytest.mark.parametrize(
    ("name", "rows", "rejects", "first_answer"),
    [
        ("math500.jsonl", 500, [], r"\left( 3, \frac{\pi}{2} \right)"),
        ("gsm8k_test.jsonl", 1319, [], "18"),
        ("gsm8k_train.jsonl", 7473, [], "72"),
        ("math_train_7500.jsonl", 7500, [(2300, "no_answer"), (2544, "no_answer")], r"\frac{1}{4}"),
        ("samples_prm800k.jsonl", 6, [(5, "no_answer")], "29"),
        ("samples_math-aps.jsonl", 3, [], "64"),
        ("samples_math-aps-tree.jsonl", 3, [], "3"),
    ],
)
def test_problems(name: str, rows: int, rejects: list[tuple[int, str]], first_answer: str) -> None:
    items = list(read_problems(place(name)))
    assert len(items) == rows
    assert [(item.row, item.reason) for item in items if isinstance(item, Reject)] == rejects
    problems = [item for item in items if isinstance(item, Problem)]
    assert problems[0].answer == first_answer
    assert len({problem.id for problem in problems}) == rows - len(rejects)
    if name.startswith("gsm8k"):
        assert all(problem.answer.lstrip("-").replace(".", "", 1).isdecimal() for problem in problems)


@pytest.mark.parametrize(
    ("name", "answers", "matched", "rows"),
    [("processbench_gsm8k.json", "gsm8k_test.jsonl", 400, 400), ("processbench_math.json", "math500.jsonl", 112, 1000)],
)
def test_process_bench_joined_with_its_answers(name: str, answers: str, matched: int, rows: int) -> None:
    items = list(read_solutions(place(name), answers=place(answers)))
    reasons = Counter(item.reason for item in items if isinstance(item, Reject))
    found = [solution for item in items if not isinstance(item, Reject) for solution in item.solutions]
    assert len(found) == matched
    assert reasons == Counter({"no_reference_answer": rows - matched})
    assert all(-1 <= int(solution.metadata["label"]) < len(solution.steps) for solution in found)
    assert {solution.metadata["final_answer_correct"] for solution in found} == {"true", "false"}
