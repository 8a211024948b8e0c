"""Solutions of other models: layouts, grouping by question, answers joined from a second file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openr_data.errors import InputError, UsageError
from openr_data.problems import ProblemSolutions, ProblemSource, RawSolution, Reject, read_solutions
from openr_data.steps import StepFormat
from openr_data.types import Problem

Rows = list[dict[str, object]]


def write(path: Path, rows: Rows) -> ProblemSource:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return ProblemSource(str(path))


def shown(items: list[ProblemSolutions | Reject]) -> list[object]:
    return [item.reason if isinstance(item, Reject) else (item.problem.id, [s.id for s in item.solutions]) for item in items]


def test_rows_of_one_question_come_together(tmp_path: Path) -> None:
    rows: Rows = [
        {"question": "p", "steps": ["a", "b"], "answer": "1", "problem_id": "P", "generator": "m"},
        {"question": "p ", "steps": [{"text": "c"}], "answer": 1, "problem_id": "P", "labels": [True, 0.50], "level": 2},
        {"question": "other", "steps": ["d"], "answer": "2", "problem_id": "O"},
        {"question": "p", "steps": ["e"], "answer": "1", "problem_id": "P"},
    ]
    items = list(read_solutions(write(tmp_path / "s.jsonl", rows)))
    assert items[0] == ProblemSolutions(
        Problem("P", "p", "1", "s"),
        (RawSolution("s-0", ("a", "b"), "m"), RawSolution("s-1", ("c",), "", {"labels": "[true,0.5]"})),
    )
    assert shown(items)[1:] == [("O", ["s-2"]), ("P#2", ["s-3"])]


def test_questions_without_an_id_are_named_by_their_text(tmp_path: Path) -> None:
    rows: Rows = [{"question": "p  q", "steps": ["a"], "answer": "1"}, {"question": "p\nq", "steps": ["b"], "answer": "1"}]
    (item,) = list(read_solutions(write(tmp_path / "s.jsonl", rows)))
    assert isinstance(item, ProblemSolutions)
    assert item.problem.id.startswith("q-")
    assert item.problem.question == "p  q"
    again = next(read_solutions(write(tmp_path / "t.jsonl", rows[1:])))
    assert isinstance(again, ProblemSolutions)
    assert again.problem.id == item.problem.id


def test_process_bench_rows_take_their_answer_from_a_second_file(tmp_path: Path) -> None:
    rows: Rows = [
        {"id": "gsm8k-0", "generator": "m", "problem": "p\n q", "steps": ["a"], "final_answer_correct": False, "label": 0},
        {"id": "gsm8k-1", "generator": "m", "problem": "new", "steps": ["a"], "final_answer_correct": True, "label": -1},
        {"id": "gsm8k-2", "generator": "m", "problem": "twice", "steps": ["a"], "final_answer_correct": True, "label": -1},
    ]
    reference: Rows = [
        {"question": "p q", "answer": "so\n#### 1,000", "id": "ref"},
        {"question": "twice", "answer": "1"},
        {"question": "twice", "answer": "2"},
        {"question": "", "answer": "2"},
    ]
    source, answers = write(tmp_path / "pb.jsonl", rows), write(tmp_path / "ref.jsonl", reference)
    items = list(read_solutions(source, answers=answers))
    assert shown(items) == ["no_question", "no_reference_answer", "ambiguous_reference_answer", ("ref", ["gsm8k-0"])]
    (found,) = [item for item in items if isinstance(item, ProblemSolutions)]
    assert found.problem == Problem("ref", "p\n q", "1000", "ref")
    assert found.solutions[0].metadata == {"final_answer_correct": "false", "label": "0"}
    with pytest.raises(InputError, match=r"reference answer was recognised; .*--answer-field, or --answers with a file"):
        list(read_solutions(source))


def test_prompt_and_completions(tmp_path: Path) -> None:
    rows: Rows = [{"prompt": "p", "completions": ["Step 1: a", "Step 2: b"], "labels": [True, False]}]
    source, answers = write(tmp_path / "trl.jsonl", rows), write(tmp_path / "ref.jsonl", [{"question": "p", "answer": "7"}])
    (item,) = list(read_solutions(source, answers=answers))
    assert isinstance(item, ProblemSolutions)
    assert item.solutions == (RawSolution("trl-0", ("Step 1: a", "Step 2: b"), "", {"labels": "[true,false]"}),)
    assert item.problem.answer == "7"


@pytest.mark.parametrize("column", ["solution", "response"])
def test_whole_texts_are_split_by_the_given_format(column: str, tmp_path: Path) -> None:
    source = write(tmp_path / "s.jsonl", [{"question": "p", column: "a\n\nb\nc", "answer": "7"}])
    (item,) = list(read_solutions(source, step_format=StepFormat("\n\n")))
    assert isinstance(item, ProblemSolutions)
    assert item.solutions[0].steps == ("a", "b\nc")
    with pytest.raises(UsageError, match=f"the column '{column}' holds whole texts; .* --step-separator"):
        list(read_solutions(source))


def test_bad_rows_are_rejects_and_the_limit_counts_questions(tmp_path: Path) -> None:
    good = {"question": "p", "steps": ["a"], "answer": "1"}
    rows: Rows = [
        {**good, "id": "x"},
        {**good, "id": "x"},
        {**good, "steps": []},
        {**good, "steps": None},
        {**good, "steps": [" ", ""]},
        {**good, "steps": ["a", 5]},
        {**good, "steps": 5},
        {**good, "steps": ["a\u0000"]},
        {**good, "steps": ["a"] * 2001},
        {**good, "steps": "one text"},
        {**good, "answer": ""},
        {**good, "question": "q"},
        {**good, "question": "r"},
    ]
    source = write(tmp_path / "s.jsonl", rows)
    items = list(read_solutions(source))
    reasons = ["duplicate_id", "no_steps", "no_steps", "no_steps", "wrong_type", "wrong_type", "control_characters", "too_long"]
    assert [item.reason for item in items if isinstance(item, Reject)] == [*reasons, "wrong_type", "no_answer"]
    assert sum(isinstance(item, ProblemSolutions) for item in items) == 3
    limited = list(read_solutions(ProblemSource(source.location, limit=2)))
    assert sum(isinstance(item, ProblemSolutions) for item in limited) == 2


def test_a_long_run_of_one_question_is_handed_out_in_parts(tmp_path: Path) -> None:
    row: dict[str, object] = {"question": "p", "steps": ["a"], "answer": "1", "problem_id": "P"}
    items = list(read_solutions(write(tmp_path / "s.jsonl", [row] * 1030)))
    sizes = [(item.problem.id, len(item.solutions)) for item in items if isinstance(item, ProblemSolutions)]
    assert sizes == [("P", 1024), ("P#2", 6)]


def test_sources_without_solutions(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="generate builtin"):
        read_solutions(ProblemSource("builtin"))
    with pytest.raises(InputError, match="no column with the steps of a solution"):
        list(read_solutions(write(tmp_path / "s.jsonl", [{"question": "p", "answer": "1"}])))
    (tmp_path / "s.jsonl").write_text("")
    with pytest.raises(InputError, match="is empty"):
        list(read_solutions(ProblemSource(str(tmp_path / "s.jsonl"))))
    rows: Rows = [{"question": "p", "answer": "1", "mine": ["a"]}]
    (item,) = list(read_solutions(ProblemSource(write(tmp_path / "s.jsonl", rows).location, steps_field="mine")))
    assert isinstance(item, ProblemSolutions)


def test_answers_that_cannot_be_graded_are_rejects_wherever_they_come_from(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"question": "a", "answer": "x {", "steps": ["1"]},
        {"question": "b", "answer": "2", "steps": ["2"]},
    ]
    source = write(tmp_path / "solutions.jsonl", rows)

    def gradable(answer: str) -> bool:
        return "{" not in answer

    own = list(read_solutions(source, gradable=gradable))
    joined = list(read_solutions(source, answers=source, gradable=gradable))
    assert [item.reason for item in own if isinstance(item, Reject)] == ["ungradable_answer"]
    assert [item.reason for item in joined if isinstance(item, Reject)] == ["ungradable_answer", "no_reference_answer"]
    for items in (own, joined):
        assert [item.problem.question for item in items if isinstance(item, ProblemSolutions)] == ["b"]
