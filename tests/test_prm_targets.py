"""Labels as targets: every estimator by hand, every labeler's output and every published layout by its rules."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layout_rows import PUBLISHED
from test_labelers_scripted import label_all

from openr_data.labelers import LabelConfig
from openr_data.labelers.readings import process_labels
from openr_data.layouts import LAYOUTS
from openr_data.layouts.base import ReadOptions
from openr_data.prm.config import LabelReading
from openr_data.prm.targets import NoTargets, Targets, targets
from openr_data.types import Cost, Estimate, LabeledSolution, Solution, StepLabel, Verdict

HARD, SOFT = LabelReading("hard"), LabelReading("soft")
HARD_KEPT, SOFT_KEPT = LabelReading("hard", after_error="keep"), LabelReading("soft", after_error="keep")

Counts = tuple[int, int] | None


def labelled(
    *counts: Counts, first_error: int | None, estimates: tuple[Estimate | None, ...] = (), **more: Any
) -> LabeledSolution:
    steps = tuple(f"step {number}" for number in range(len(counts)))
    solution = Solution("s", "p", steps, Verdict("wrong", "exact"))
    labels = tuple(None if each is None else StepLabel(*each) for each in counts)
    return LabeledSolution(solution, labels, first_error, "test", Cost(), more.pop("reason", ""), estimates=estimates, **more)


def estimates(estimator: str, *values: float | None) -> tuple[Estimate | None, ...]:
    return tuple(None if value is None else Estimate(value, estimator) for value in values)


def reason(solution: LabeledSolution, reading: LabelReading) -> str:
    with pytest.raises(NoTargets) as caught:
        targets(solution, reading)
    return caught.value.reason


def test_hard_targets_are_good_before_the_first_error_and_end_with_it() -> None:
    one = labelled((3, 4), (1, 4), (0, 4), (1, 4), first_error=2)
    assert targets(one, HARD) == (1.0, 1.0, 0.0, None)
    assert targets(one, HARD_KEPT) == (1.0, 1.0, 0.0, 0.0)
    assert targets(labelled(None, (1, 1), first_error=-1), HARD) == (1.0, 1.0)


def test_published_hard_labels_stand_as_they_are_also_after_an_error() -> None:
    one = labelled(None, None, None, None, first_error=1, hard=(True, False, None, True))
    assert targets(one, HARD) == (1.0, 0.0, None, None)
    assert targets(one, HARD_KEPT) == targets(one, SOFT_KEPT) == (1.0, 0.0, None, 1.0)


def test_a_threshold_reads_the_values_again_each_prefix_for_itself() -> None:
    one = labelled((5, 8), (4, 8), (6, 8), (0, 8), first_error=3)
    assert targets(one, LabelReading("hard", 0.5)) == (1.0, 0.0, None, None)
    assert targets(one, LabelReading("hard", 0.5, "keep")) == (1.0, 0.0, 1.0, 0.0)
    assert targets(one, LabelReading("hard", 0.25)) == (1.0, 1.0, 1.0, 0.0)


def test_under_a_threshold_a_step_that_was_not_measured_is_good_only_before_a_good_one() -> None:
    one = labelled(None, (6, 8), None, (2, 8), (0, 1), first_error=4)
    assert targets(one, LabelReading("hard", 0.5)) == (1.0, 1.0, None, 0.0, None)
    assert targets(one, LabelReading("hard", 0.9)) == (None, 0.0, None, None, None)


def test_a_threshold_has_no_say_over_ratings_and_labels_without_values() -> None:
    rated = labelled(None, None, None, first_error=2, estimates=estimates("rating", 1, 0, -1), hard=())
    assert targets(rated, LabelReading("hard", 0.5)) == (1.0, 1.0, 0.0)
    assert targets(labelled(None, None, first_error=1), LabelReading("hard", 0.5)) == (1.0, 0.0)


@pytest.mark.parametrize("estimator", ["mean", "posterior", "scan", "entropy", "value", "verdict", "label"])
def test_soft_targets_are_the_values_of_estimators_that_are_probabilities(estimator: str) -> None:
    one = labelled((1, 1), (1, 1), (1, 1), first_error=1, estimates=estimates(estimator, 0.75, 0.125, 0.5))
    assert targets(one, SOFT) == (0.75, 0.125, None)
    assert targets(one, SOFT_KEPT) == (0.75, 0.125, 0.5)


def test_counts_that_were_stopped_at_the_first_hit_are_read_by_their_posterior() -> None:
    """1 of 3 as (1 + .5) / (3 + 1), not as a third; the whole solution's verdict is 0."""
    read = (*estimates("stopped", 0.375, 0.5 / 9), Estimate(0.0, "verdict"))
    one = labelled((1, 3), (0, 8), (0, 1), first_error=1, estimates=read)
    assert targets(one, SOFT_KEPT) == (0.375, 0.5 / 9, 0.0)
    assert targets(one, LabelReading("hard", 0.3)) == (1.0, 0.0, None)


def test_counts_without_a_reading_are_shares() -> None:
    assert targets(labelled((3, 4), (0, 8), first_error=1), SOFT) == (0.75, 0.0)


def test_a_count_that_its_method_left_unread_is_no_value() -> None:
    """SCAN reads nothing after the error; what passed through there ended at its first hit."""
    one = labelled((3, 4), (0, 4), (1, 1), first_error=1, estimates=estimates("scan", 1.0, 0.0, None))
    assert targets(one, SOFT_KEPT) == (1.0, 0.0, None)


@pytest.mark.parametrize(("estimator", "values"), [("progress", (1.5, 0.5, 0.0)), ("advantage", (0.25, -0.5, -0.25))])
def test_of_ratios_and_differences_the_counts_are_read(estimator: str, values: tuple[float, ...]) -> None:
    one = labelled((6, 8), (3, 8), (0, 1), first_error=2, estimates=estimates(estimator, *values))
    assert targets(one, SOFT) == (0.75, 0.375, 0.0)
    assert targets(one, LabelReading("hard", 0.5)) == (1.0, 0.0, None)


def test_an_advantage_that_could_not_be_read_leaves_its_count() -> None:
    one = labelled((3, 4), (1, 4), first_error=1, estimates=estimates("advantage", None, -0.5))
    assert targets(one, SOFT) == (0.75, 0.25)


def test_ratings_become_probabilities() -> None:
    one = labelled(None, None, None, first_error=2, estimates=estimates("rating", 1, 0, -1))
    assert targets(one, SOFT) == (1.0, 0.5, 0.0)


def test_unmeasured_steps_are_good_by_logic_before_the_error_and_unknown_after_it() -> None:
    """A binary search over eight steps looked at the prefixes of 4, 6 and 5 steps."""
    read = (*estimates("mean", None, None, None, 0.5, 0.125, 0.0, None), Estimate(0.0, "verdict"))
    one = labelled(None, None, None, (4, 8), (1, 8), (0, 8), None, (0, 1), first_error=5, estimates=read)
    assert targets(one, SOFT) == (1.0, 1.0, 1.0, 0.5, 0.125, 0.0, None, None)
    assert targets(one, SOFT_KEPT) == (1.0, 1.0, 1.0, 0.5, 0.125, 0.0, None, 0.0)
    assert targets(one, HARD) == (1.0, 1.0, 1.0, 1.0, 1.0, 0.0, None, None)


def test_what_is_no_training_row_says_why() -> None:
    undecided = labelled((3, 4), (1, 4), first_error=None, reason="rollout_limit")
    assert reason(undecided, HARD) == reason(undecided, SOFT) == "undecided"
    assert reason(labelled(first_error=-1), HARD) == "no_steps"
    assert reason(labelled(None, first_error=-1, estimates=estimates("value", 1.5)), SOFT) == "out_of_range"
    assert reason(labelled(None, first_error=-1, estimates=estimates("value", float("nan"))), SOFT) == "out_of_range"
    open_step = labelled((0, 8), None, first_error=1, hard=(None, False))
    assert targets(open_step, HARD) == (None, 0.0)


def test_published_labels_of_single_steps_are_rows_though_the_end_is_open() -> None:
    one = labelled(None, None, first_error=None, hard=(True, None))
    assert targets(one, HARD) == targets(one, SOFT) == (1.0, None)


METHODS = [
    LabelConfig(method="omegaprm", rollouts=4, filter_rollouts=4, searches=2),
    LabelConfig(method="omegaprm", rollouts=4, filter_rollouts=4, searches=2, exact_counts=True),
    LabelConfig(method="adaptive", rollouts=4, filter_rollouts=4, searches=2, pilot=0),
    LabelConfig(method="math-shepherd", rollouts=4),
    LabelConfig(method="math-shepherd", rollouts=4, estimates="soft"),
    LabelConfig(method="mips", rollouts=4),
    LabelConfig(method="scan", rollouts=4, filter_rollouts=8),
    LabelConfig(method="epicprm", rollouts=4, filter_rollouts=8),
    LabelConfig(method="genprm", rollouts=4, filter_rollouts=8),
    LabelConfig(method="er-prm", rollouts=4),
    LabelConfig(method="pav", rollouts=4, best_of=2),
    LabelConfig(method="pav", rollouts=4, drop=0.2),
]


@pytest.mark.parametrize("config", METHODS, ids=lambda config: f"{config.method}-{config.estimates}")
def test_every_labeler_gives_rows_by_the_same_rules(config: LabelConfig) -> None:
    found = [one for labeling in asyncio.run(label_all(config, "recovery=0.2", n=2)) for one in labeling.solutions]
    decided = [one for one in found if one.first_error is not None]
    assert len(decided) >= 8
    for one in found:
        if one.first_error is None:
            assert reason(one, SOFT) == "undecided"
            continue
        hard, soft = targets(one, HARD), targets(one, SOFT)
        assert hard == tuple(None if label is None else float(label) for label in process_labels(one))
        assert [target is None for target in soft] == [target is None for target in hard]
        assert all(target is None or 0 <= target <= 1 for target in soft)
    assert any(target not in {0.0, 1.0, None} for one in decided for target in targets(one, SOFT))


PRM800K_ROW = {
    "question": {"problem": "2 + 2?", "ground_truth_answer": "4"},
    "label": {
        "finish_reason": "found_error",
        "steps": [
            {"completions": [{"text": "a", "rating": 1}, {"text": "b", "rating": -1}], "chosen_completion": 0},
            {"completions": [{"text": "c", "rating": 0}], "chosen_completion": 0},
            {"completions": [{"text": "d", "rating": -1}], "chosen_completion": 0},
        ],
    },
}
PUBLISHED_ROWS: list[tuple[str, dict[str, Any], list[Targets], list[Targets]]] = [
    ("prm800k", PRM800K_ROW, [(0.0,), (1.0, 1.0, 0.0)], [(0.0,), (1.0, 0.5, 0.0)]),
    ("math-shepherd", {"input": "q Step 1: a ки\nStep 2: b ки\nStep 3: c ки", "label": "q Step 1: a +\nStep 2: b -\nStep 3: c +"},
     [(1.0, 0.0, None)], [(1.0, 0.0, None)]),
    ("processbench", {"problem": "q", "steps": ["a", "b", "c"], "label": 1, "final_answer_correct": True},
     [(1.0, 0.0, None)], [(1.0, 0.0, None)]),
    ("math-aps", {"question": "q", "final_answer": "4", "reasoning_steps": [
        {"solution_prefix": "q\n\na", "mc_value": 0.25}, {"solution_prefix": "q\n\na\n\nb", "mc_value": 0.0}]},
     [(1.0, 0.0)], [(0.25, 0.0)]),
    ("trl", {"prompt": "q", "completions": ["a", "b", "c"], "labels": [0.75, 0.25, 0.5]},
     [(1.0, 0.0, None)], [(0.75, 0.25, None)]),
    ("trl", {"prompt": "q", "completions": ["a", "b"], "labels": [True, None]}, [(1.0, None)], [(1.0, None)]),
    ("openrlhf", {"input": "q Step 1: a ки\nStep 2: b ки", "value": ["+", "-"]}, [(1.0, 0.0)], [(1.0, 0.0)]),
    ("scan", {"question": "q", "steps": ["a", "b"], "scores": [0.625, 0.375]}, [(1.0, 0.0)], [(0.625, 0.375)]),
    ("openr", {"question": "q", "process": "a \n\n\n\n\n b \n\n\n\n\n", "label": ["+", "-"]}, [(1.0, 0.0)], [(1.0, 0.0)]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "row", "hard", "soft"), PUBLISHED_ROWS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_rows_of_published_layouts(layout: str, row: dict[str, Any], hard: list[Targets], soft: list[Targets]) -> None:
    found = LAYOUTS[layout].read(row, ReadOptions()).solutions
    assert [targets(one, HARD) for one in found] == hard
    assert [targets(one, SOFT) for one in found] == soft


def test_neutral_ratings_are_read_as_asked() -> None:
    read = {
        each: LAYOUTS["prm800k"].read(PRM800K_ROW, ReadOptions(neutral=each)).solutions[1] for each in ("good", "bad", "none")
    }
    hard = {each: targets(one, HARD) for each, one in read.items()}
    assert hard == {"good": (1.0, 1.0, 0.0), "bad": (1.0, 0.0, None), "none": (1.0, None, 0.0)}


@given(st.data())
def test_any_published_row_is_trained_on_or_told(data: st.DataObject) -> None:
    layout, rows = data.draw(st.sampled_from(sorted(PUBLISHED.items(), key=lambda pair: pair[0])))
    for one in LAYOUTS[layout].read(data.draw(rows), ReadOptions()).solutions:
        for reading in (HARD, SOFT, HARD_KEPT, SOFT_KEPT, LabelReading("hard", 0.5)):
            found = _targets_or_reason(one, reading)
            if isinstance(found, str):
                assert found in {"undecided", "no_label"}
                continue
            assert len(found) == len(one.solution.steps)
            assert any(target is not None for target in found)
            assert all(target is None or 0 <= target <= 1 for target in found)


def _targets_or_reason(one: LabeledSolution, reading: LabelReading) -> Targets | str:
    try:
        return targets(one, reading)
    except NoTargets as fault:
        return fault.reason


def test_keeping_steps_after_the_error_changes_nothing_before_it() -> None:
    one = labelled((3, 4), (0, 4), (1, 4), first_error=1)
    kept, masked = targets(one, SOFT_KEPT), targets(one, SOFT)
    assert kept[:2] == masked[:2]
    assert kept == (0.75, 0.0, 0.25)
    assert targets(replace(one, first_error=-1), SOFT) == kept
