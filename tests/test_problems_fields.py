"""Which column is the question and which the answer, and how an answer is read out of its cell."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.errors import InputError
from openr_data.problems import ProblemSource, Reject, read_problems
from openr_data.problems.answers import cell_text, last_boxed, read_answer
from openr_data.problems.fields import lookup
from openr_data.problems.reject import RowFault
from openr_data.types import Problem

MATH = {"problem": "p", "level": "Level 5", "type": "Algebra", "solution": r"so $x = \boxed{\frac{1}{2}}$."}
MATH500 = {**MATH, "answer": r"\frac{1}{2}", "subject": "Algebra", "unique_id": "test/algebra/1.json"}
GSM8K = {"question": "p", "answer": "He has 1,000 + 234.\n#### 1,234"}
PRM800K = {"labeler": "x", "question": {"problem": "p", "ground_truth_answer": "29"}, "label": {"steps": []}}
NUMINA = {"problem": "p", "solution": "...", "answer": "7", "source": "olympiads", "problem_type": "Algebra"}
EXPORT = {
    "id": "e",
    "question": "p",
    "answer": "7",
    "source": "mine",
    "difficulty": "3",
    "metadata": {"seed": "0", "deep": {"x": 1}},
}


def read(path: Path, rows: list[dict[str, object]], **options: str) -> list[Problem | Reject]:
    (path / "data.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return list(read_problems(ProblemSource(str(path / "data.jsonl"), **options)))  # type: ignore[arg-type] # text options only


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (MATH, Problem("data-0", "p", r"\frac{1}{2}", "data", "Level 5", {"type": "Algebra"})),
        (
            MATH500,
            Problem("test/algebra/1.json", "p", r"\frac{1}{2}", "data", "Level 5", {"type": "Algebra", "subject": "Algebra"}),
        ),
        (GSM8K, Problem("data-0", "p", "1234", "data")),
        (PRM800K, Problem("data-0", "p", "29", "data", "", {"labeler": "x"})),
        (NUMINA, Problem("data-0", "p", "7", "olympiads", "", {"problem_type": "Algebra"})),
        (EXPORT, Problem("e", "p", "7", "mine", "3", {"seed": "0"})),
        ({"problem": "p", "final_answer": 3, "id": 12}, Problem("12", "p", "3", "data")),
        ({"question": "p", "answer": "… #### 18", "final_answer": "18"}, None),
        (
            {"question": "p", "answer": "x\n#### 18", "final_answer": "18"},
            Problem("data-0", "p", "18", "data", "", {"final_answer": "18"}),
        ),
        ({"question": "p", "problem": "q", "answer": "1"}, None),
        ({"question": "p", "problem": "p", "answer": "1"}, Problem("data-0", "p", "1", "data", "", {"question": "p"})),
    ],
)
def test_public_layouts_are_recognised_or_refused(row: dict[str, object], wanted: Problem | None, tmp_path: Path) -> None:
    if wanted is not None:
        assert read(tmp_path, [row]) == [wanted]
        return
    with pytest.raises(InputError, match=r"could both be the .*; columns seen: question, .*; name the right one with --"):
        read(tmp_path, [row])


def test_columns_can_be_named(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"q": {"text": ["p", "z"]}, "problem": "no", "a.b": 5, "key": "k"}]
    options = {"question_field": "q.text.0", "answer_field": "a.b", "id_field": "key"}
    assert read(tmp_path, rows, **options) == [Problem("k", "p", "5", "data", "", {"problem": "no"})]
    with pytest.raises(InputError, match=r"there is no column 'nope'; columns seen: q, problem, .*--id-field"):
        read(tmp_path, rows, question_field="q.text.0", answer_field="a.b", id_field="nope")
    assert lookup({"q": ["a"]}, "q.1") is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"text": "p", "answer": "1"},
            "no column with the question was recognised; columns seen: text, answer; name .* --question-field",
        ),
        (
            {"problem": "p", "steps": ["a"]},
            "no column with the reference answer was recognised; columns seen: problem, steps; .*--answer-field",
        ),
        ({}, "columns seen: none"),
    ],
)
def test_columns_that_cannot_be_told_are_listed(row: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, [row])


def test_a_gap_in_the_first_row_does_not_hide_a_column(tmp_path: Path) -> None:
    items = read(tmp_path, [{"question": "p", "answer": None}, {"question": "p", "answer": "2"}])
    assert [item.reason if isinstance(item, Reject) else item.answer for item in items] == ["no_answer", "2"]


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("#### 5", "5"),
        ("a\n #### -1,234,567.50 \n", "-1234567.50"),
        ("a\n#### $1,000", "$1000"),
        ("#### 1,2", "1,2"),
        ("#### 3\n#### 4", "4"),
        (" 1,000 ", "1,000"),
        ("costs #### 5", "costs #### 5"),
        (r"\boxed{a} then \boxed{\text{b } c}", r"\text{b } c"),
        (r"\fbox{7}", "7"),
        (r"\boxed{unclosed", r"\boxed{unclosed"),
        (r"\boxed{1} and \boxed{unclosed", "1"),
        (5, "5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e22, "10000000000000000000000"),
        (1e-7, "0.0000001"),
        (Decimal("1.10"), "1.10"),
    ],
)
def test_answers_are_read(value: object, answer: str) -> None:
    assert read_answer(value) == answer


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no_answer"),
        ("", "no_answer"),
        ("####", "no_answer"),
        (r"\boxed{}", "no_answer"),
        (True, "wrong_type"),
        (float("inf"), "nan"),
        (Decimal("NaN"), "nan"),
        (b"1", "wrong_type"),
        ({}, "wrong_type"),
    ],
)
def test_answers_are_refused(value: object, reason: str) -> None:
    with pytest.raises(RowFault) as caught:
        read_answer(value)
    assert caught.value.reason == reason


def test_a_solution_without_an_answer_in_it_is_refused() -> None:
    with pytest.raises(RowFault, match="holds no final answer"):
        read_answer("a long text about x", solution=True)


def test_numbers_keep_the_digits_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text(
        '{"question": "p", "answer": 0.10}\n{"question": "p", "answer": 12345678901234567890.5E1}\n'
    )
    items = list(read_problems(ProblemSource(str(tmp_path / "data.jsonl"))))
    assert [item.answer for item in items if isinstance(item, Problem)] == ["0.10", "123456789012345678905"]


balanced = st.recursive(
    st.text(alphabet="ab $", max_size=4) | st.sampled_from(["\\frac", "\\{", "\\}", "\\\\"]),
    lambda inner: st.lists(inner, max_size=3).map("".join) | inner.map(lambda text: "{" + text + "}"),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(balanced, balanced)
def test_a_box_gives_back_any_balanced_content(content: str, other: str) -> None:
    assert last_boxed(f"\\boxed{{{other}}}, or rather $\\boxed{{{content}}}$, {other}") == content.strip()


@settings(max_examples=100, deadline=None)
@given(st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False, min_value=-1e90, max_value=1e90))
def test_number_texts_are_exact(value: float) -> None:
    text = cell_text(value)
    assert text is not None
    assert Decimal(text) == Decimal(str(value))
