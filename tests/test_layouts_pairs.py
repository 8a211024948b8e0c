"""Preference pairs: which solutions make one, how Step-DPO and DPO spell it, and published rows there and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openr_data.layouts import LAYOUTS, guess
from openr_data.layouts.base import ExportItem, ExportSolution, LayoutFault, ReadOptions, WriteOptions
from openr_data.layouts.faithful import faithful_rows, kept
from openr_data.layouts.pairs import pairs
from openr_data.types import Problem

STEP_DPO = {
    "dataset": "MATH_Rephrased",
    "prompt": "What is 2 + 3 * 4?",
    "initial_reason_steps": "Let's think step by step.\nStep 1: Multiply first: 3 * 4 = 12.\nStep 2:",
    "chosen": " Add: 2 + 12 = 14.",
    "rejected": " Add: 2 + 12 = 15.",
    "full_chosen": " Add: 2 + 12 = 14.\nStep 3: The answer is 14.",
    "full_rejected": " Add: 2 + 12 = 15.\nStep 3: The answer is 15.",
    "answer": "14",
}
FIRST_STEP = {**STEP_DPO, "initial_reason_steps": "Let's think step by step.\nStep 1:"}
PREFERENCE = {"prompt": "Why is the sky blue?", "chosen": "Rayleigh scattering.\nShort waves.", "rejected": "Paint."}
ROWS = [("step-dpo", STEP_DPO), ("step-dpo", FIRST_STEP), ("preference", PREFERENCE)]


def back(name: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    layout = LAYOUTS[name]
    parsed = kept(layout, layout.read(row, ReadOptions()), row)
    return list(faithful_rows(layout, parsed.problem, parsed.solutions))


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_a_published_pair_comes_back_and_needs_no_note(name: str, row: dict[str, Any]) -> None:
    layout = LAYOUTS[name]
    assert back(name, row) == [row]
    assert "row" not in kept(layout, layout.read(row, ReadOptions()), row).problem.metadata
    assert guess([row]) == [layout]


def test_a_step_dpo_row_is_two_solutions_that_part_at_one_step() -> None:
    parsed = LAYOUTS["step-dpo"].read(STEP_DPO, ReadOptions())
    chosen, rejected = parsed.solutions
    assert chosen.solution.steps == (
        "Let's think step by step.\nStep 1: Multiply first: 3 * 4 = 12.",
        "Step 2: Add: 2 + 12 = 14.",
        "Step 3: The answer is 14.",
    )
    assert (parsed.problem.answer, parsed.problem.source) == ("14", "MATH_Rephrased")
    assert (chosen.hard_labels, rejected.hard_labels) == ((True, True, None), (True, False, None))
    assert (chosen.first_error, rejected.first_error) == (None, 1)
    assert (chosen.solution.verdict.outcome, rejected.solution.verdict.outcome) == ("right", "wrong")


def test_a_preference_labels_only_the_whole() -> None:
    chosen, rejected = LAYOUTS["preference"].read(PREFERENCE, ReadOptions()).solutions
    assert [each and each.value for each in chosen.estimates] == [None, 1.0]
    assert [each and each.value for each in rejected.estimates] == [0.0]
    assert (chosen.first_error, rejected.first_error) == (None, None)


def own(steps: str, first_error: int | None, name: str = "") -> ExportSolution:
    """A solution with one letter per step."""
    hard = tuple(None if first_error is None else first_error == -1 or place < first_error for place in range(len(steps)))
    verdict: Any = "right" if first_error == -1 else "wrong"
    return ExportSolution(name or steps, tuple(steps), hard, (None,) * len(steps), first_error, verdict)


def names(solutions: list[ExportSolution], limit: int = 0, *, whole: bool = False) -> list[tuple[str, str, int]]:
    return [(pair.chosen.id, pair.rejected.id, pair.place) for pair in pairs(solutions, limit, whole=whole)]


def test_solutions_pair_where_one_goes_wrong_and_the_other_does_not() -> None:
    right, wrong, later = own("abc", -1), own("abx", 2), own("aby", 2, "later")
    assert names([right, wrong]) == [("abc", "abx", 2)]
    assert names([right, wrong, later]) == [("abc", "abx", 2), ("abc", "later", 2)]
    assert names([own("zbc", -1), wrong]) == []  # another first step: nothing is shared
    assert names([own("ab", -1), wrong]) == []  # ends before
    assert names([own("abx", -1, "same"), wrong]) == []  # the same text is no alternative
    assert names([own("abc", None), wrong]) == []  # nobody knows whether it is right
    assert names([own("axc", 1), wrong]) == [("abx", "axc", 1)]  # wrong before: the other one is chosen, where it still is right


def test_a_solution_that_goes_wrong_later_can_be_chosen_for_a_step_but_not_for_the_whole() -> None:
    later, wrong = own("abq", 2), own("ax", 1)
    assert names([later, wrong]) == [("abq", "ax", 1)]
    assert names([later, wrong], whole=True) == []
    assert names([later, own("ac", -1), wrong]) == [("ac", "ax", 1), ("abq", "ax", 1)]  # right to the end comes first


def test_equal_pairs_count_once_and_the_bound_gives_every_rejected_one_its_turn() -> None:
    assert names([own("ab", -1, "1"), own("ab", -1, "2"), own("ax", 1, "3"), own("ax", 1, "4")]) == [("1", "3", 1)]
    many = [own("ab", -1), own("ac", -1), own("ax", 1), own("ay", 1)]
    assert names(many) == [("ab", "ax", 1), ("ac", "ax", 1), ("ab", "ay", 1), ("ac", "ay", 1)]
    assert names(many, 2) == [("ab", "ax", 1), ("ab", "ay", 1)]


def written(name: str, solutions: list[ExportSolution], separator: str = "\n") -> list[dict[str, Any]]:
    item = ExportItem(Problem("p", "Q?", "4", "test"), tuple(solutions))
    return list(LAYOUTS[name].write(item, WriteOptions(separator=separator)))


def numbered(*steps: str, first_error: int) -> ExportSolution:
    texts = tuple(f"Step {number}: {step}" for number, step in enumerate(steps, start=1))
    return ExportSolution("s", texts, (), (), first_error, "right" if first_error == -1 else "wrong")


def test_how_step_dpo_spells_a_pair() -> None:
    right, wrong = numbered("a", "b", "c", first_error=-1), numbered("a", "x", "y", first_error=1)
    assert written("step-dpo", [right, wrong]) == [
        {
            "dataset": "test",
            "prompt": "Q?",
            "initial_reason_steps": "Step 1: a\nStep 2:",
            "chosen": " b",
            "rejected": " x",
            "full_chosen": " b\nStep 3: c",
            "full_rejected": " x\nStep 3: y",
            "answer": "4",
        }
    ]
    (plain,) = written("step-dpo", [own("abc", -1), own("axy", 1)], "\n\n")
    assert (plain["initial_reason_steps"], plain["chosen"], plain["full_rejected"]) == ("a\n\n", "b", "x\n\ny")


def test_how_a_preference_is_spelt() -> None:
    (row,) = written("preference", [own("abc", -1), own("axy", 1)])
    assert row == {"prompt": "Q?\na\n", "chosen": "b\nc", "rejected": "x\ny"}


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [
        ("step-dpo", {**STEP_DPO, "chosen": None}, "wrong_type"),
        ("step-dpo", {**STEP_DPO, "initial_reason_steps": "", "chosen": "", "full_chosen": ""}, "no_steps"),
        ("preference", {**PREFERENCE, "rejected": ""}, "no_steps"),
        ("preference", {**PREFERENCE, "prompt": [{"role": "user", "content": "a"}]}, "wrong_type"),
    ],
)
def test_what_is_no_pair_is_refused_with_its_reason(name: str, row: dict[str, Any], reason: str) -> None:
    with pytest.raises(LayoutFault) as fault:
        LAYOUTS[name].read(row, ReadOptions())
    assert fault.value.reason == reason


TEXT = st.text(alphabet=st.sampled_from("ab θ\n:Step123"), max_size=24)
EXTRA = st.dictionaries(
    st.sampled_from(["id", "dataset", "answer", "full_chosen"]), st.one_of(st.none(), st.integers(), TEXT), max_size=3
)


@given(TEXT, TEXT, TEXT, TEXT, EXTRA)
def test_whatever_is_read_comes_back(prompt: str, initial: str, chosen: str, rejected: str, extra: dict[str, Any]) -> None:
    row = {"prompt": prompt, "initial_reason_steps": initial, "chosen": chosen + ".", "rejected": rejected + ".", **extra}
    assert back("step-dpo", row) == [row]
    plain = {"prompt": prompt, "chosen": chosen + ".", "rejected": rejected + ".", **extra}
    assert back("preference", plain) == [plain]
