"""What is published is read as its authors mean it, and given back exactly as it came."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layout_rows import PUBLISHED

from openr_data.layouts import LAYOUTS, guess
from openr_data.layouts.base import ExportItem, ExportSolution, LayoutFault, Parsed, ReadOptions, WriteOptions
from openr_data.layouts.faithful import faithful_rows, kept
from openr_data.layouts.patch import apply, difference
from openr_data.layouts.published import first_error
from openr_data.store.codecs import labeled_row, problem_row, read_labeled, read_problem
from openr_data.types import Problem

OPTIONS = ReadOptions()

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, 2.5]), st.text("aθ", max_size=2)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=12,
)


def parsed(layout: str, row: dict[str, Any], options: ReadOptions = OPTIONS) -> Parsed:
    return LAYOUTS[layout].read(row, options)


def hard(found: Parsed) -> list[list[bool | None]]:
    return [list(one.hard_labels) for one in found.solutions]


def fault(layout: str, row: dict[str, Any]) -> str:
    with pytest.raises(LayoutFault) as caught:
        parsed(layout, row)
    return caught.value.reason


def stored(found: Parsed) -> Parsed:
    """The records after a stay in the tables."""
    problem = read_problem({**problem_row(found.problem), "problem_id": found.problem.id})
    return Parsed(problem, tuple(read_labeled(labeled_row(problem, one)) for one in found.solutions))


@given(json_values, json_values)
def test_a_patch_makes_one_value_of_the_other(base: Any, wanted: Any) -> None:
    patch = difference(base, wanted)
    made = apply(base, json.loads(json.dumps(patch)))
    assert json.dumps(made, sort_keys=True) == json.dumps(wanted, sort_keys=True)
    assert (patch is None) == (json.dumps(base, sort_keys=True) == json.dumps(wanted, sort_keys=True))


@pytest.mark.parametrize("layout", sorted(PUBLISHED))
@given(data=st.data())
def test_every_published_row_comes_back_as_it_was(layout: str, data: st.DataObject) -> None:
    row = data.draw(PUBLISHED[layout])
    assert LAYOUTS[layout].matches(row)
    assert layout in {one.name for one in guess([row])}
    records = stored(kept(LAYOUTS[layout], parsed(layout, row), row))
    (again,) = faithful_rows(LAYOUTS[layout], records.problem, records.solutions)
    assert json.dumps(again, sort_keys=True) == json.dumps(row, sort_keys=True)


def test_the_first_error_is_the_first_step_called_wrong() -> None:
    assert first_error([True, False, True]) == 1
    assert first_error([None, None, False]) == 2
    assert first_error([True, None, True]) == -1
    assert first_error([True, None]) is None
    assert first_error([]) is None


def prm800k_row(steps: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    return {
        "is_quality_control_question": False,
        "is_initial_screening_question": False,
        "question": {"problem": "Q", "ground_truth_answer": "4"},
        "label": {"steps": steps, "finish_reason": "solution"},
        **changes,
    }


def completion(text: str, rating: int | None, *, flagged: bool = False) -> dict[str, Any]:
    return {"text": text, "rating": rating, "flagged": flagged}


BRANCHING = prm800k_row(
    [
        {"completions": [completion("a", 1)], "human_completion": None, "chosen_completion": 0},
        {
            "completions": [completion("b0", -1), completion("b1", 0)],
            "human_completion": {"text": "bh", "rating": None, "source": "human", "flagged": False},
            "chosen_completion": None,
        },
        {"completions": [completion("c0", 1), completion("c1", -1)], "human_completion": None, "chosen_completion": 0},
    ]
)


def test_prm800k_is_the_chosen_prefix_with_each_alternative_and_the_chain() -> None:
    found = parsed("prm800k", BRANCHING)
    steps = [one.solution.steps for one in found.solutions]
    assert steps == [("a", "b0"), ("a", "b1"), ("a", "bh", "c1"), ("a", "bh", "c0")]
    assert hard(found) == [[True, False], [True, True], [True, True, False], [True, True, True]]
    assert [one.first_error for one in found.solutions] == [1, -1, 2, -1]
    assert found.problem.answer == "4"


@pytest.mark.parametrize(("neutral", "label"), [("good", True), ("bad", False), ("none", None)])
def test_a_neutral_rating_is_what_the_options_say(neutral: Any, label: bool | None) -> None:
    found = parsed("prm800k", BRANCHING, ReadOptions(neutral=neutral))
    assert hard(found)[1] == [True, label]


def test_prm800k_that_ends_at_an_error_has_no_chain() -> None:
    steps: list[dict[str, Any]] = [
        {"completions": [completion("a", 1)], "human_completion": None, "chosen_completion": 0},
        {"completions": [completion("b", -1)], "human_completion": None, "chosen_completion": None},
    ]
    found = parsed("prm800k", prm800k_row(steps))
    assert [one.solution.steps for one in found.solutions] == [("a", "b")]
    assert found.solutions[0].first_error == 1


def test_prm800k_that_ends_at_a_step_without_completions_keeps_its_chain() -> None:
    nothing = {"completions": None, "human_completion": None, "chosen_completion": None}
    row = prm800k_row([*BRANCHING["label"]["steps"], nothing])
    assert parsed("prm800k", row).solutions == parsed("prm800k", BRANCHING).solutions
    assert fault("prm800k", prm800k_row([nothing])) == "no_steps"
    records = stored(kept(LAYOUTS["prm800k"], parsed("prm800k", row), row))
    assert list(faithful_rows(LAYOUTS["prm800k"], records.problem, records.solutions)) == [row]


def test_prm800k_sets_aside_by_rule_and_reads_all_when_asked() -> None:
    step = {"completions": [completion("a", 1, flagged=True)], "human_completion": None, "chosen_completion": 0}
    quality = prm800k_row([step], is_quality_control_question=True)
    screening = prm800k_row([step], is_initial_screening_question=True)
    gave_up = prm800k_row([step], label={"steps": [step], "finish_reason": "give_up"})
    bad = prm800k_row([step], label={"steps": [step], "finish_reason": "bad_problem"})
    reasons = [fault("prm800k", row) for row in (quality, screening, gave_up, bad)]
    assert reasons == ["quality_control", "screening", "give_up", "bad_problem"]
    for row in (quality, screening, gave_up, bad):
        assert hard(parsed("prm800k", row, ReadOptions(keep_excluded=True))) == [[True]]
    assert hard(parsed("prm800k", prm800k_row([step]))) == [[None]], "a flagged completion keeps its text and has no label"


def test_prm800k_that_contradicts_itself_is_refused() -> None:
    beyond = {"completions": [completion("a", 1)], "human_completion": None, "chosen_completion": 3}
    assert fault("prm800k", prm800k_row([beyond])) == "labels_mismatch"
    nobody = {"completions": [completion("a", -1)], "human_completion": None, "chosen_completion": None}
    assert fault("prm800k", prm800k_row([nobody, nobody])) == "labels_mismatch"
    assert fault("prm800k", prm800k_row([])) == "no_steps"
    assert fault("prm800k", prm800k_row([{"completions": [{"text": "a", "rating": 7}], "chosen_completion": 0}])) == "wrong_type"
    assert fault("prm800k", {"question": "Q", "label": {}}) == "wrong_type"


SHEPHERD = {"input": "Q? Step 1: a ки\nStep 2: b ки", "label": "Q? Step 1: a +\nStep 2: b -", "task": "GSM8K"}


def test_math_shepherd_as_published() -> None:
    found = parsed("math-shepherd", SHEPHERD)
    (one,) = found.solutions
    assert (found.problem.question, found.problem.source) == ("Q?", "GSM8K")
    assert one.solution.steps == ("Step 1: a", "Step 2: b")
    assert (hard(found), one.first_error, one.solution.verdict.outcome) == ([[True, False]], 1, "wrong")
    (right,) = parsed("math-shepherd", {**SHEPHERD, "label": "Q? Step 1: a -\nStep 2: b +"}).solutions
    assert (right.first_error, right.solution.verdict.outcome) == (0, "right")


def test_a_question_may_have_steps_of_its_own() -> None:
    question, steps = "Start with 5. Step 1: add 2. Step 2: halve. What comes out?", ["Step 2: 7 / 2", "So 3.5"]
    item = ExportItem(
        Problem("p", question, "3.5"), (ExportSolution("s", tuple(steps), (True, True), (None, None), -1, "right"),)
    )
    for layout in ("math-shepherd", "openrlhf", "rlhflow"):
        (row,) = LAYOUTS[layout].write(item, WriteOptions())
        found = parsed(layout, row)
        assert found.problem.question == question
        assert found.solutions[0].solution.steps == ("Step 1: Step 2: 7 / 2", "Step 2: So 3.5")


def test_labels_that_are_not_monotone_are_kept() -> None:
    row = {"input": "Q? Step 1: a ки\nStep 2: b ки", "label": "Q? Step 1: a -\nStep 2: b +"}
    found = stored(parsed("math-shepherd", row))
    assert (hard(found), found.solutions[0].first_error) == ([[False, True]], 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"input": "Q? Step 1: a"}, "missing_tag"),
        ({"input": "Q? Step 1: a ки and more"}, "missing_tag"),
        ({"label": "Q? Step 1: a +\nStep 2: b"}, "labels_mismatch"),
        ({"label": "Q? Step 1: a +\nStep 2: c -"}, "labels_mismatch"),
        ({"label": "Q? Step 1: a +\nStep 2: b - +"}, "labels_mismatch"),
        ({"input": "Q ки? Step 1: a ки", "label": "Q +? Step 1: a -"}, "no_question"),
        ({"input": 7}, "wrong_type"),
    ],
)
def test_math_shepherd_with_missing_tags_or_other_labels_is_refused(changes: dict[str, Any], reason: str) -> None:
    assert fault("math-shepherd", {**SHEPHERD, **changes}) == reason


def test_math_aps_prefixes_become_the_solutions_that_they_are_prefixes_of() -> None:
    entries = [("Q", 0.25), ("Q\n\nA", 0.5), ("Q\n\nA\n\n B", 0.0), ("Q\n\nC", 1.0), ("Q\n\nA", 0.5)]
    steps = [{"solution_prefix": text, "mc_value": value} for text, value in entries]
    found = parsed("math-aps", {"question": "Q", "final_answer": "4", "reasoning_steps": steps})
    assert [one.solution.steps for one in found.solutions] == [("A", "B"), ("C",)]
    assert [[each and each.value for each in one.estimates] for one in found.solutions] == [[0.5, 0.0], [1.0]]
    assert [one.first_error for one in found.solutions] == [1, -1]
    assert found.problem.metadata["root_value"] == "0.25"
    strict = parsed("math-aps", {"question": "Q", "final_answer": "4", "reasoning_steps": steps}, ReadOptions(threshold=0.75))
    assert [one.first_error for one in strict.solutions] == [0, -1]


def test_math_aps_tree_paths() -> None:
    leaf = {"text": "B", "mc_value": 0.0, "children": []}
    inner = {"text": "A", "mc_value": 0.5, "children": [leaf, {"text": "C", "mc_value": 1.0, "children": []}]}
    root = {"text": "Q", "mc_value": 0.5, "children": [inner]}
    found = parsed("math-aps-tree", {"question": "Q", "final_answer": "4", "reasoning_steps": root})
    assert [one.solution.steps for one in found.solutions] == [("A", "B"), ("A", "C")]
    assert [one.first_error for one in found.solutions] == [1, -1]


def test_math_aps_that_is_broken_is_refused() -> None:
    def row(steps: Any) -> dict[str, Any]:
        return {"question": "Q", "final_answer": "", "reasoning_steps": steps}

    assert fault("math-aps", row([{"solution_prefix": "R", "mc_value": 1.0}])) == "prefix_mismatch"
    assert fault("math-aps", row([{"solution_prefix": "Q", "mc_value": 1.5}])) == "wrong_type"
    assert fault("math-aps", row([{"solution_prefix": "Q", "mc_value": True}])) == "wrong_type"
    assert fault("math-aps-tree", row({"text": "R", "mc_value": 1.0, "children": []})) == "prefix_mismatch"
    assert fault("math-aps-tree", row([])) == "wrong_type"


def test_processbench_as_published() -> None:
    row = {"id": "x-1", "generator": "G", "problem": "Q", "steps": ["a", "b", "c"], "final_answer_correct": False, "label": 1}
    (one,) = parsed("processbench", row).solutions
    assert (one.first_error, one.solution.verdict.outcome, one.solution.id, one.solution.sampler) == (1, "wrong", "x-1", "G")
    assert fault("processbench", {**row, "label": 3}) == "labels_mismatch"
    assert fault("processbench", {**row, "label": True}) == "wrong_type"


def test_openr_and_openrlhf_as_published() -> None:
    (one,) = parsed("openr", {"question": "Q", "process": "a \n\n\n\n\n b \n\n\n\n\n", "label": ["+", 0]}).solutions
    assert (one.solution.steps, one.first_error) == (("a", "b"), 1)
    assert fault("openr", {"question": "Q", "process": "a \n\n\n\n\n", "label": ["+", "-"]}) == "labels_mismatch"
    assert fault("openr", {"question": "Q", "process": "a", "label": []}) == "missing_tag"
    (soft,) = parsed("openrlhf", {"input": SHEPHERD["input"], "value": [0.75, 0.25]}).solutions
    assert (soft.first_error, [each and each.value for each in soft.estimates]) == (1, [0.75, 0.25])
    assert fault("openrlhf", {"input": SHEPHERD["input"], "value": ["+", 0.5]}) == "wrong_type"
    assert fault("openrlhf", {"input": SHEPHERD["input"], "value": ["+"]}) == "labels_mismatch"


NATIVE = ExportItem(
    Problem("p", "Q?", "4", "GSM8K"),
    (
        ExportSolution("s1", ("a", "b", "c"), (True, False, False), (0.5, 0.0, None), 1, "wrong", "policy"),
        ExportSolution("s2", ("a", "d"), (True, True), (0.5, 1.0), -1, "right", "policy"),
    ),
)
EXPECTED: dict[str, list[dict[str, Any]]] = {
    "math-shepherd": [
        {
            "input": "Q? Step 1: a ки\nStep 2: b ки\nStep 3: c ки",
            "label": "Q? Step 1: a +\nStep 2: b -\nStep 3: c -",
            "task": "GSM8K",
        },
        {"input": "Q? Step 1: a ки\nStep 2: d ки", "label": "Q? Step 1: a +\nStep 2: d +", "task": "GSM8K"},
    ],
    "openrlhf": [
        {"input": "Q? Step 1: a ки\nStep 2: b ки\nStep 3: c ки", "value": ["+", "-", "-"]},
        {"input": "Q? Step 1: a ки\nStep 2: d ки", "value": ["+", "+"]},
    ],
    "openr": [
        {"question": "Q?", "process": "a \n\n\n\n\n b \n\n\n\n\n c \n\n\n\n\n", "label": ["+", "-", "-"]},
        {"question": "Q?", "process": "a \n\n\n\n\n d \n\n\n\n\n", "label": ["+", "+"]},
    ],
    "processbench": [
        {"id": "s1", "generator": "policy", "problem": "Q?", "steps": ["a", "b", "c"], "final_answer_correct": False, "label": 1},
        {"id": "s2", "generator": "policy", "problem": "Q?", "steps": ["a", "d"], "final_answer_correct": True, "label": -1},
    ],
    "math-aps": [
        {
            "question": "Q?",
            "final_answer": "4",
            "reasoning_steps": [
                {"solution_prefix": "Q?\n\na", "mc_value": 0.5},
                {"solution_prefix": "Q?\n\na\nb", "mc_value": 0.0},
                {"solution_prefix": "Q?\n\na\nd", "mc_value": 1.0},
            ],
        }
    ],
    "math-aps-tree": [
        {
            "question": "Q?",
            "final_answer": "4",
            "reasoning_steps": {
                "text": "Q?",
                "mc_value": 0.5,
                "children": [
                    {
                        "text": "a",
                        "mc_value": 0.5,
                        "children": [
                            {"text": "b", "mc_value": 0.0, "children": []},
                            {"text": "d", "mc_value": 1.0, "children": []},
                        ],
                    }
                ],
            },
        }
    ],
}


@pytest.mark.parametrize("layout", sorted(EXPECTED))
def test_our_own_records_in_every_layout(layout: str) -> None:
    assert list(LAYOUTS[layout].write(NATIVE, WriteOptions())) == EXPECTED[layout]


def test_steps_of_measured_prefixes_stand_as_the_policy_wrote_them() -> None:
    spans = ExportSolution("s", ("7 + ", "5 =", " 12"), (True,) * 3, (0.5, None, 1.0), -1, "right")
    item, options = ExportItem(Problem("p", "Q?", "12"), (spans,)), WriteOptions(separator="")
    (flat,), (tree,) = (list(LAYOUTS[layout].write(item, options)) for layout in ("math-aps", "math-aps-tree"))
    assert [each["solution_prefix"] for each in flat["reasoning_steps"]] == ["Q?\n\n7 + ", "Q?\n\n7 + 5 = 12"]
    (first,) = tree["reasoning_steps"]["children"]
    assert (first["text"], [each["text"] for each in first["children"]]) == ("7 + ", ["5 = 12"])


def test_our_own_records_as_prm800k() -> None:
    rows = list(LAYOUTS["prm800k"].write(NATIVE, WriteOptions()))
    assert [[step["completions"][0]["text"] for step in row["label"]["steps"]] for row in rows] == [["a", "b"], ["a", "d"]]
    assert [[step["completions"][0]["rating"] for step in row["label"]["steps"]] for row in rows] == [[1, -1], [1, 1]]
    assert [row["label"]["finish_reason"] for row in rows] == ["found_error", "solution"]
    assert rows[0]["label"]["steps"][-1]["chosen_completion"] is None
    first, second = (parsed("prm800k", row) for row in rows)
    assert (first.solutions[0].first_error, second.solutions[0].first_error) == (1, -1)


@pytest.mark.parametrize("layout", ["math-shepherd", "openrlhf", "openr"])
def test_a_step_that_holds_the_tag_is_refused(layout: str) -> None:
    tags = "ки" if layout != "openr" else "\n\n\n\n\n"
    item = ExportItem(Problem("p", "Q", "4"), (ExportSolution("s", (f"a{tags}b",), (True,), (None,), -1, "right"),))
    with pytest.raises(LayoutFault) as caught:
        list(LAYOUTS[layout].write(item, WriteOptions()))
    assert caught.value.reason == "tag_in_text"


def test_soft_values_of_our_own_as_openrlhf() -> None:
    item = ExportItem(Problem("p", "Q", "4"), (ExportSolution("s", ("a", "b"), (True, False), (0.75, 0.0), 1, "wrong"),))
    (row,) = LAYOUTS["openrlhf"].write(item, WriteOptions(soft=True))
    assert row["value"] == [0.75, 0.0]
    sure = ExportItem(Problem("p", "Q", "4"), (ExportSolution("s", ("a", "b"), (True, True), (1.0, 1.0), -1, "right"),))
    (row,) = LAYOUTS["openrlhf"].write(sure, WriteOptions(soft=True))
    assert row["value"] == [1.0, 1.0], "a column of signs and numbers is of no use"
