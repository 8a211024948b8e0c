"""TRL, RLHFlow, SCAN and fine-tuning rows: as they are published, there and back, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openr_data.layouts import LAYOUTS, guess
from openr_data.layouts.base import ExportItem, ExportSolution, LayoutFault, ReadOptions, WriteOptions
from openr_data.layouts.faithful import faithful_rows, kept
from openr_data.types import Problem

TRL_HARD = {
    "prompt": "Janet’s ducks lay 16 eggs per day. How much does she make?",
    "completions": ["Step 1: 16 - 3 = 13", "Step 2: 13 * 2 = 26", "Step 3: The answer is: 26"],
    "labels": [True, False, False],
}
TRL_SOFT = {"prompt": "θ?", "completions": ["a", "b"], "labels": [0.875, 0.25]}
RLHFLOW: dict[str, Any] = {
    "conversations": [
        {"content": "How many eggs? Step 1: Janet eats 3 eggs.", "role": "user"},
        {"content": "+", "role": "assistant"},
        {"content": "Step 2: The answer is: 18 ки", "role": "user"},
        {"content": "-", "role": "assistant"},
    ]
}
SCAN = {"question": "Was ist 1 + 1?", "steps": ["1 + 1 = 2", "Also 2°"], "scores": [1.0, 0.4375]}
SFT = {"prompt": "What is 2 + 2?", "completion": "2 + 2 is 4.\n\nThe answer is 4."}
PUBLISHED: dict[str, list[dict[str, Any]]] = {"trl": [TRL_HARD, TRL_SOFT], "rlhflow": [RLHFLOW], "scan": [SCAN], "sft": [SFT]}
ROWS = [(name, row) for name, rows in PUBLISHED.items() for row in rows]


def talk(step: str, sign: str) -> list[dict[str, str]]:
    return [{"content": step, "role": "user"}, {"content": sign, "role": "assistant"}]


def back(name: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    layout = LAYOUTS[name]
    parsed = kept(layout, layout.read(row, ReadOptions()), row)
    return list(faithful_rows(layout, parsed.problem, parsed.solutions))


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_a_published_row_comes_back_and_needs_no_note(name: str, row: dict[str, Any]) -> None:
    layout = LAYOUTS[name]
    assert back(name, row) == [row]
    parsed = kept(layout, layout.read(row, ReadOptions()), row)
    assert all("row" not in each.notes for each in parsed.solutions)
    assert guess([row]) == [layout]


def test_hard_labels_of_trl_are_read_as_labels() -> None:
    (solution,) = LAYOUTS["trl"].read(TRL_HARD, ReadOptions()).solutions
    assert solution.first_error == 1
    assert [(each.value, each.estimator) for each in solution.estimates if each] == [
        (1.0, "label"),
        (0.0, "label"),
        (0.0, "label"),
    ]
    assert solution.hard_labels == (True, False, False)
    assert (solution.method, solution.reason) == ("trl", "published")


def test_soft_labels_are_read_at_the_threshold() -> None:
    (solution,) = LAYOUTS["trl"].read(TRL_SOFT, ReadOptions()).solutions
    assert (solution.first_error, [each.estimator for each in solution.estimates if each]) == (1, ["value", "value"])
    (lenient,) = LAYOUTS["trl"].read(TRL_SOFT, ReadOptions(threshold=0.25)).solutions
    assert lenient.first_error == -1
    (above_zero,) = LAYOUTS["scan"].read({**SCAN, "scores": [0.0, 1]}, ReadOptions(threshold=0)).solutions
    assert above_zero.first_error == 0


def test_rlhflow_parts_question_and_first_step() -> None:
    parsed = LAYOUTS["rlhflow"].read(RLHFLOW, ReadOptions())
    assert parsed.problem.question == "How many eggs?"
    assert parsed.solutions[0].solution.steps == ("Step 1: Janet eats 3 eggs.", "Step 2: The answer is: 18 ки")
    assert parsed.solutions[0].first_error == 1


def test_fine_tuning_rows_have_no_labels() -> None:
    (solution,) = LAYOUTS["sft"].read(SFT, ReadOptions()).solutions
    assert solution.solution.steps == ("2 + 2 is 4.\n", "The answer is 4.")
    assert (solution.first_error, solution.hard_labels, solution.estimates) == (None, (None, None), ())


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [
        ("trl", {**TRL_HARD, "labels": [True]}, "labels_mismatch"),
        ("trl", {**TRL_HARD, "labels": ["+", "-", "-"]}, "wrong_type"),
        ("trl", {**TRL_HARD, "labels": [2, 0, 0]}, "wrong_type"),
        ("trl", {**TRL_HARD, "labels": [True, 0.5, 0.5]}, "wrong_type"),
        ("trl", {**TRL_HARD, "labels": None}, "wrong_type"),
        ("trl", {**TRL_HARD, "prompt": 3}, "wrong_type"),
        ("trl", {**TRL_HARD, "completions": ["a", None, "c"]}, "wrong_type"),
        ("trl", {**TRL_HARD, "completions": [], "labels": []}, "no_steps"),
        ("trl", {**TRL_SOFT, "labels": [1.5, 0.5]}, "out_of_range"),
        ("trl", {**TRL_SOFT, "labels": [float("nan"), 0.5]}, "out_of_range"),
        ("scan", {**SCAN, "scores": [0.5]}, "labels_mismatch"),
        ("scan", {**SCAN, "scores": [True, False]}, "wrong_type"),
        ("scan", {**SCAN, "scores": [0.5, -0.1]}, "out_of_range"),
        ("rlhflow", {"conversations": RLHFLOW["conversations"][:3]}, "labels_mismatch"),
        ("rlhflow", {"conversations": []}, "labels_mismatch"),
        ("rlhflow", {"conversations": ["a", "b"]}, "wrong_type"),
        ("rlhflow", {"conversations": RLHFLOW["conversations"][::-1]}, "labels_mismatch"),
        (
            "rlhflow",
            {"conversations": [{"content": "Why? Step 1: a", "role": "user"}, {"content": "?", "role": "assistant"}]},
            "labels_mismatch",
        ),
        (
            "rlhflow",
            {"conversations": [{"content": "no mark", "role": "user"}, {"content": "+", "role": "assistant"}]},
            "no_question",
        ),
        ("sft", {"prompt": "a", "completion": ""}, "no_steps"),
        ("sft", {"prompt": ["a"], "completion": "b"}, "wrong_type"),
    ],
)
def test_what_is_not_of_the_layout_is_refused_with_its_reason(name: str, row: dict[str, Any], reason: str) -> None:
    with pytest.raises(LayoutFault) as fault:
        LAYOUTS[name].read(row, ReadOptions())
    assert fault.value.reason == reason


def solution(**changes: Any) -> ExportSolution:
    usual: dict[str, Any] = {"id": "s", "steps": ("a", "b"), "hard": (True, False), "soft": (0.75, 0.0), "first_error": 1}
    return ExportSolution(**{**usual, "verdict": "wrong", **changes})


def written(name: str, each: ExportSolution, options: WriteOptions | None = None) -> list[dict[str, Any]]:
    return list(LAYOUTS[name].write(ExportItem(Problem("p", "Q?", "2"), (each,)), options or WriteOptions()))


def test_our_own_solutions_in_every_layout() -> None:
    assert written("trl", solution()) == [{"prompt": "Q?", "completions": ["a", "b"], "labels": [True, False]}]
    assert written("trl", solution(), WriteOptions(soft=True))[0]["labels"] == [0.75, 0.0]
    assert written("scan", solution())[0]["scores"] == [1.0, 0.0]
    assert written("scan", solution(), WriteOptions(soft=True))[0]["scores"] == [0.75, 0.0]
    assert written("rlhflow", solution()) == [
        {
            "conversations": [
                {"content": "Q? Step 1: a", "role": "user"},
                {"content": "+", "role": "assistant"},
                {"content": "Step 2: b", "role": "user"},
                {"content": "-", "role": "assistant"},
            ]
        }
    ]
    right = solution(hard=(True, True), first_error=-1, verdict="right")
    assert written("sft", right, WriteOptions(separator="\n\n")) == [{"prompt": "Q?", "completion": "a\n\nb"}]


@pytest.mark.parametrize(
    ("name", "each", "reason"),
    [
        ("trl", solution(hard=(True, None)), "unlabelled_step"),
        ("rlhflow", solution(hard=(None, None)), "unlabelled_step"),
        ("scan", solution(hard=(True, None)), "unlabelled_step"),
        ("sft", solution(), "wrong_answer"),
        ("sft", solution(verdict="right"), "wrong_step"),
        ("sft", solution(hard=(True, True), first_error=-1, verdict="unknown"), "unknown_answer"),
    ],
)
def test_a_solution_that_the_layout_cannot_hold_is_refused(name: str, each: ExportSolution, reason: str) -> None:
    with pytest.raises(LayoutFault) as fault:
        written(name, each)
    assert fault.value.reason == reason


TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
LABELS = st.one_of(st.booleans(), st.none(), st.sampled_from([0, 1]))
VALUES = st.one_of(st.floats(0, 1), st.none())
EXTRA = st.dictionaries(
    st.sampled_from(["id", "source", "θ"]), st.one_of(st.none(), st.integers(), TEXT, st.lists(TEXT)), max_size=2
)


@st.composite
def stepwise(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    steps = draw(st.lists(TEXT, min_size=1, max_size=5))
    some = st.lists(draw(st.sampled_from([LABELS, VALUES])), min_size=len(steps), max_size=len(steps))
    if draw(st.booleans()):
        return "trl", {"prompt": draw(TEXT), "completions": steps, "labels": draw(some), **draw(EXTRA)}
    scores = st.lists(VALUES, min_size=len(steps), max_size=len(steps))
    return "scan", {"question": draw(TEXT), "steps": steps, "scores": draw(scores), **draw(EXTRA)}


@st.composite
def conversations(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    steps = draw(st.lists(TEXT, min_size=1, max_size=5))
    steps[0] = draw(st.sampled_from(["{} Step 1: {}", "{}\n{}"])).format(draw(TEXT) + "?", steps[0] + ".")
    turns = []
    for step in steps:
        turns += [{"content": step, "role": "user", **draw(EXTRA)}, {"content": draw(st.sampled_from("+-")), "role": "assistant"}]
    return "rlhflow", {"conversations": turns, **draw(EXTRA)}


@st.composite
def completions(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    return "sft", {"prompt": draw(TEXT), "completion": draw(TEXT) + ".", **draw(EXTRA)}


@given(st.one_of(stepwise(), conversations(), completions()))
def test_whatever_is_read_comes_back_with_its_types(case: tuple[str, dict[str, Any]]) -> None:
    name, row = case
    (again,) = back(name, row)
    assert (again, repr(sorted(again.items()))) == (row, repr(sorted(row.items())))


@given(st.one_of(stepwise(), conversations()))
def test_every_reading_has_one_value_per_step(case: tuple[str, dict[str, Any]]) -> None:
    name, row = case
    (solution,) = LAYOUTS[name].read(row, ReadOptions()).solutions
    assert len(solution.hard_labels) == len(solution.solution.steps) == len(solution.estimates)
    first = solution.first_error
    assert first is None or first == -1 or solution.hard_labels[first] is False
