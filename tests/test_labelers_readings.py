"""Readings of counts, aggregation functions and agreement metrics: numbers worked by hand."""

from __future__ import annotations

from math import exp, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.aggregate import AGGREGATES, EPSILON
from openr_data.labelers.agreement import Agreement, agreement
from openr_data.labelers.readings import HALF, first_error, hard_labels, process_labels, soft_labels
from openr_data.types import NO_ERROR, Cost, LabeledSolution, Solution, StepLabel, Verdict

COUNTS = [StepLabel(6, 8), None, StepLabel(3, 8), StepLabel(0, 8), None, StepLabel(0, 1)]


def labelled(first: int | None, steps: int = 4) -> LabeledSolution:
    solution = Solution("s", "p", ("x",) * steps, Verdict("wrong", "different"))
    return LabeledSolution(solution, (None,) * steps, first, "omegaprm", Cost(), "binary_search")


def test_soft_and_hard_labels_read_the_same_counts() -> None:
    assert soft_labels(COUNTS) == (0.75, None, 0.375, 0.0, None, 0.0)
    assert hard_labels(COUNTS) == (True, None, True, False, None, False)
    assert hard_labels(COUNTS, 0.375) == (True, None, False, False, None, False)


def test_openr_reads_a_hard_but_solvable_step_as_wrong() -> None:
    assert hard_labels(COUNTS, HALF) == (True, None, False, False, None, False)
    assert first_error([StepLabel(6, 8), StepLabel(3, 8), StepLabel(0, 8)]) == 2
    assert first_error([StepLabel(6, 8), StepLabel(3, 8), StepLabel(0, 8)], HALF) == 1
    assert hard_labels([StepLabel(4, 8)], HALF) == (False,)


@pytest.mark.parametrize(
    ("hits", "last_success", "first_failure"),
    [
        ([3, 2, 0, 0], 2, 2),
        ([0, 0], 0, 0),
        ([3, 0, 2, 0], 3, 1),
        ([3, 3], NO_ERROR, NO_ERROR),
        ([0, 3], NO_ERROR, 0),
        ([None, 2, 0], 2, 2),
        ([2, None, 0], None, None),
        ([None, 0], None, None),
        ([2, None], None, None),
        ([None, None], None, None),
        ([None, 0, 3, 0], 3, None),
        ([], None, None),
    ],
)
def test_first_error_by_the_counts(hits: list[int | None], last_success: int | None, first_failure: int | None) -> None:
    labels = [None if h is None else StepLabel(h, 4) for h in hits]
    assert first_error(labels) == last_success
    assert first_error(labels, rule="first_failure") == first_failure


def test_training_labels_keep_the_skipped_steps_before_the_error() -> None:
    assert process_labels(labelled(2)) == (True, True, False, None)
    assert process_labels(labelled(0)) == (False, None, None, None)
    assert process_labels(labelled(NO_ERROR)) == (True,) * 4
    assert process_labels(labelled(None)) == (None,) * 4


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("min", 0.5),
        ("max", 0.9),
        ("last", 0.8),
        ("product", 0.36),
        ("sum_logprob", log(0.36)),
        ("mean_logprob", log(0.36) / 3),
        ("sum_logit", log(9) + log(1) + log(4)),
        ("mean", 2.2 / 3),
        ("mean_odd", (9 + 1 + 4) / 3),
    ],
)
def test_aggregates_by_hand(name: str, expected: float) -> None:
    assert AGGREGATES[name]([0.9, 0.5, 0.8]) == pytest.approx(expected)
    with pytest.raises(ValueError, match="no scores"):
        AGGREGATES[name]([])


def test_certain_scores_stay_finite() -> None:
    odds = (1 - EPSILON) / EPSILON
    assert AGGREGATES["sum_logit"]([1.0, 0.0]) == pytest.approx(0.0, abs=1e-6)
    assert AGGREGATES["mean_odd"]([1.0]) == pytest.approx(odds)
    assert AGGREGATES["sum_logprob"]([0.0]) == pytest.approx(log(EPSILON))


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=12))
@settings(max_examples=80, deadline=None)
def test_aggregates_are_consistent_with_each_other(scores: list[float]) -> None:
    a = {name: aggregate(scores) for name, aggregate in AGGREGATES.items()}
    assert exp(a["sum_logprob"]) == pytest.approx(a["product"])
    slack = 1e-12
    assert a["min"] - slack <= exp(a["mean_logprob"]) <= a["mean"] + 1e-9
    assert a["mean"] <= a["max"] + slack
    assert min(scores) - slack <= a["last"] <= max(scores) + slack


def test_agreement_by_hand() -> None:
    pairs = [
        (labelled(2), 2),
        (labelled(1), 3),
        (labelled(NO_ERROR), 3),
        (labelled(0), NO_ERROR),
        (labelled(None), 1),
    ]
    result = agreement(pairs)
    assert (result.solutions, result.decided, result.exact, result.early, result.late) == (5, 4, 1, 2, 1)
    # Good prefixes said/true of 4 steps: 2/2, 1/3, 4/3, 0/4.
    assert (result.wrong_as_wrong, result.right_as_wrong, result.wrong_as_right, result.right_as_right) == (
        2 + 1,
        2 + 4,
        1,
        2 + 1 + 3,
    )
    assert (result.exact_match, result.coverage, result.too_early, result.too_late) == (0.25, 0.8, 0.5, 0.25)
    assert (result.wrong_precision, result.wrong_recall) == (3 / 9, 3 / 4)
    assert (result.right_precision, result.right_recall) == (6 / 7, 6 / 12)
    assert agreement(pairs[:2]) + agreement(pairs[2:]) == result


def test_a_share_of_nothing_is_none() -> None:
    assert Agreement().exact_match is None
    assert agreement([]).wrong_precision is None
