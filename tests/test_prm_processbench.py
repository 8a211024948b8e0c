"""ProcessBench's numbers: golden cases worked by hand and from the paper's tables, and properties."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openr_data.prm.processbench import SIZES, Hits, Judged, Score, f1, first_below, macro, score
from openr_data.types import NO_ERROR

CASES = st.builds(
    Judged,
    label=st.integers(NO_ERROR, 4),
    predicted=st.none() | st.integers(NO_ERROR, 4),
    answer_right=st.booleans(),
)


def published(accuracies: str) -> tuple[float, float, float]:
    error, correct, harmonic = map(float, accuracies.split())
    return error / 100, correct / 100, harmonic


@pytest.mark.parametrize(
    "row",  # error, correct, F1 of the paper's Table 5
    [
        "32.4 91.7 47.9",
        "18.0 82.0 29.5",
        "33.8 99.0 50.4",
        "21.7 72.2 33.4",
        "24.2 98.4 38.8",
        "50.2 71.5 59.0",
        "61.8 82.9 70.8",
    ],
)
def test_f1_is_the_papers(row: str) -> None:
    error, correct, harmonic = published(row)
    assert f1(error, correct) == pytest.approx(harmonic, abs=0.06)  # the accuracies are rounded, too


@pytest.mark.parametrize(
    ("subsets", "average"),  # Table 3
    [("47.9 29.5 24.8 23.8", 31.5), ("59.0 48.0 19.3 19.2", 36.4), ("68.2 62.6 50.7 44.3", 56.5), ("88.0 78.7 57.8 61.3", 71.5)],
)
def test_the_average_does_not_weigh_subsets(subsets: str, average: float) -> None:
    assert macro(map(float, subsets.split())) == pytest.approx(average, abs=0.06)


def test_an_average_needs_every_subset() -> None:
    assert macro([50.0, None]) is None
    assert macro([]) is None


def test_f1_without_any_hit_is_nought_and_not_nan() -> None:
    assert f1(0.0, 0.0) == 0.0
    assert f1(0.0, 1.0) == 0.0


def test_the_sizes_are_those_of_the_benchmark() -> None:
    assert sum(map(sum, SIZES.values())) == 3400


def test_a_step_at_the_threshold_is_right() -> None:
    assert first_below([0.5, 0.49, 0.0], 0.5) == 1
    assert first_below([0.5], 0.5) == NO_ERROR
    assert first_below([], 0.5) == NO_ERROR


def test_a_subset_by_hand() -> None:
    """Five cases with an error: exact, too late, too early, missed, no prediction; three without: right, false alarm, none."""
    found = score(
        [
            Judged(1, 1, answer_right=True),
            Judged(1, 2),
            Judged(2, 0, answer_right=True),
            Judged(0, NO_ERROR),
            Judged(0, None),
            Judged(NO_ERROR, NO_ERROR, answer_right=True),
            Judged(NO_ERROR, 0, answer_right=True),
            Judged(NO_ERROR, None, answer_right=True),
        ]
    )
    assert (found.errors, found.correct) == (Hits(1, 5), Hits(1, 3))
    assert found.f1 == pytest.approx(100 * 2 * (1 / 5) * (1 / 3) / (1 / 5 + 1 / 3))  # 25
    assert found.f1_of_judged == pytest.approx(100 * 2 * (1 / 4) * (1 / 2) / (1 / 4 + 1 / 2))  # 33.3
    assert found.places == {"early": 1, "exact": 1, "late": 1, "missed": 1, "none": 1}
    assert found.positions == {0: Hits(0, 2), 1: Hits(1, 2), 2: Hits(0, 1)}
    assert found.hidden == Hits(1, 2)
    assert (found.cases, found.silent, found.silent_errors) == (8, 2, 1)


def test_one_kind_of_case_alone_has_no_f1() -> None:
    assert score([Judged(0, 0)]).f1 is None
    assert score([]).f1 is None


@given(st.lists(CASES, max_size=30))
def test_counts_add_up(cases: Sequence[Judged]) -> None:
    found = score(cases)
    assert sum(found.places.values()) == found.errors.cases
    assert found.places.get("exact", 0) == found.errors.found
    assert sum(hits.cases for hits in found.positions.values()) == found.errors.cases
    assert sum(hits.found for hits in found.positions.values()) == found.errors.found
    assert found.cases == len(cases)
    assert found.silent == sum(case.predicted is None for case in cases)


@given(st.lists(CASES, max_size=30))
def test_f1_lies_between_its_parts_and_leaving_out_is_no_loss(cases: Sequence[Judged]) -> None:
    found: Score = score(cases)
    if found.f1 is None:
        return
    parts = sorted((100 * (found.errors.share or 0.0), 100 * (found.correct.share or 0.0)))
    assert parts[0] - 1e-9 <= found.f1 <= parts[1] + 1e-9
    assert found.f1_of_judged is None or found.f1_of_judged >= found.f1 - 1e-9
