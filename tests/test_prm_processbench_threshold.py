"""The search for the best threshold against trying every one there is, and intervals against drawing the cases themselves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from openr_data.prm.processbench import Hits, Judged, Score, f1, first_below, score
from openr_data.prm.processbench_threshold import Scored, Threshold, best_threshold, f1_interval, right_between
from openr_data.types import NO_ERROR

SCORES = st.floats(-4, 4) | st.integers(-2, 2).map(float)


@st.composite
def scored(draw: st.DrawFn) -> Scored:
    scores = draw(st.lists(SCORES, min_size=1, max_size=5))
    label = draw(st.integers(NO_ERROR, len(scores) - 1))
    return ([] if draw(st.integers(0, 9)) == 0 else scores), label


def f1_at(cases: Sequence[Scored], threshold: float) -> float | None:
    """By doing what the definition says; no scores, no prediction."""
    return score([Judged(label, first_below(scores, threshold) if scores else None) for scores, label in cases]).f1


def usable(cases: Sequence[Scored]) -> bool:
    labels = [label for _, label in cases]
    return any(scores for scores, _ in cases) and NO_ERROR in labels and any(label != NO_ERROR for label in labels)


def test_the_best_threshold_by_hand() -> None:
    """At t in (.3, .4] both errors and one of the two right solutions are found: F1 = 2 * 1 * .5 / 1.5. In (.2, .3] one error is
    lost (F1 = 50), up to .15 both, and above .4 the last right solution.
    """
    cases: list[Scored] = [([0.9, 0.3], 1), ([0.2], 0), ([0.9, 0.15], NO_ERROR), ([0.4, 0.8], NO_ERROR)]
    found = best_threshold(cases)
    assert found.value == pytest.approx(0.35)
    assert found.f1 == pytest.approx(200 / 3)


def test_of_equal_thresholds_the_lowest_stretch_counts() -> None:
    """In (.2, .3] one error and both right ones are found (F1 = 2 * .5 * 1 / 1.5), in (.5, .6] both errors and one."""
    cases: list[Scored] = [([0.2], 0), ([0.5], 0), ([0.3], NO_ERROR), ([0.6], NO_ERROR)]
    assert best_threshold(cases).value == 0.25
    assert f1_at(cases, 0.25) == pytest.approx(200 / 3)
    assert f1_at(cases, 0.55) == pytest.approx(200 / 3)


def test_what_is_never_found_still_gives_a_threshold() -> None:
    assert best_threshold([([0.1, 0.9], 1), ([], NO_ERROR)]) == Threshold(0.1, 0.0)


@pytest.mark.parametrize("cases", [[([0.5], 0)], [([0.5], NO_ERROR)], [([], 0), ([], NO_ERROR)]])
def test_no_threshold_without_both_kinds_of_cases_and_scores(cases: list[Scored]) -> None:
    with pytest.raises(ValueError, match="a threshold needs"):
        best_threshold(cases)


@given(st.lists(scored(), min_size=2, max_size=12))
def test_no_threshold_is_better(cases: list[Scored]) -> None:
    assume(usable(cases))
    found = best_threshold(cases)
    everything = sorted({each for scores, _ in cases for each in scores})
    tried = [*everything, *(a / 2 + b / 2 for a, b in pairwise(everything)), everything[0] - 1, everything[-1] + 1]
    reached = [f1_at(cases, each) or 0.0 for each in tried]
    assert f1_at(cases, found.value) == pytest.approx(found.f1)
    assert found.f1 == pytest.approx(max(reached))
    lowest = min(each for each, value in zip(tried, reached, strict=True) if value > found.f1 - 1e-9)
    assert all(f1_at(cases, each) == pytest.approx(found.f1) for each in tried if lowest <= each <= found.value)


@given(scored(), SCORES)
def test_the_stretch_of_a_case_is_where_it_is_right(case: Scored, threshold: float) -> None:
    scores, label = case
    assume(scores)
    low, high = right_between(scores, label)
    assert (first_below(scores, threshold) == label) == (low < threshold <= high)


def counted(errors: Hits, correct: Hits) -> Score:
    return Score(errors, correct, 0, 0, {}, {}, Hits(0, 0))


def test_an_interval_is_that_of_drawing_the_cases() -> None:
    kinds = [np.repeat([1.0, 0.0], [60, 147]), np.repeat([1.0, 0.0], [150, 43])]
    random = np.random.default_rng(1)
    drawn = [[random.choice(kind, len(kind)).mean() for kind in kinds] for _ in range(4000)]
    low, high = np.quantile([f1(error, correct) or 0.0 for error, correct in drawn], [0.025, 0.975])
    found = f1_interval([counted(Hits(60, 207), Hits(150, 193))])
    assert found == pytest.approx((low, high), abs=0.5)


def test_an_average_of_subsets_is_surer_than_one() -> None:
    one = counted(Hits(60, 207), Hits(150, 193))
    alone, together = f1_interval([one]), f1_interval([one] * 4)
    assert alone is not None
    assert together is not None
    assert (together[1] - together[0]) == pytest.approx((alone[1] - alone[0]) / 2, rel=0.1)
    assert f1_interval([one]) == alone  # the same numbers in every run


def test_no_interval_without_f1() -> None:
    assert f1_interval([counted(Hits(1, 2), Hits(0, 0))]) is None
    assert f1_interval([counted(Hits(0, 2), Hits(0, 3))]) == (0.0, 0.0)
    assert f1_interval([]) is None
