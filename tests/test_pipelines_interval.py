"""Ranges of totals: golden values, and how often they hold the truth when costs are as skewed as those of labelling."""

from __future__ import annotations

from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openr_data.pipelines.interval import student_t, total_range


@pytest.mark.parametrize(
    ("df", "t95", "t99"), [(1, 12.706, 63.657), (2, 4.303, 9.925), (5, 2.571, 4.032), (19, 2.093, 2.861), (100, 1.984, 2.626)]
)
def test_student_t_is_that_of_the_tables(df: int, t95: float, t99: float) -> None:
    assert student_t(0.975, df) == pytest.approx(t95, abs=0.002)
    assert student_t(0.995, df) == pytest.approx(t99, rel=0.005)


def test_without_skewness_it_is_the_t_interval() -> None:
    # Mean 3, standard deviation sqrt(2.5), t = 2.776: 1000 * (3 +- 2.776 * 0.7071) * sqrt(1 - 5/1000) around 3000.
    low, high = total_range([1, 2, 3, 4, 5], 1000)
    assert [low, high] == pytest.approx([3000 - 1958.2, 3000 + 1958.2], rel=1e-3)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=30), st.integers(0, 1000))
def test_a_range_holds_the_estimate_and_what_was_seen(values: list[int], more: int) -> None:
    low, high = total_range(values, len(values) + more)
    expected = sum(values) / len(values) * (len(values) + more)
    assert sum(values) <= low * (1 + 1e-9) + 1e-9
    assert low <= expected * (1 + 1e-9) + 1e-9
    assert expected <= high * (1 + 1e-9) + 1e-9


def test_what_the_sample_holds_wholly_is_known() -> None:
    assert total_range([3, 5], 2) == (8, 8)
    assert total_range([3], 7) == (3, inf)


def test_nineteen_of_twenty_ranges_hold_a_skewed_total() -> None:
    """Two thirds of the questions cost nothing, the others very different amounts."""
    random = Random(1)
    population = [random.gammavariate(1.5, 100) if random.random() < 0.35 else 0.0 for _ in range(2000)]
    held = 0
    for _ in range(400):
        low, high = total_range(random.sample(population, 20), len(population))
        held += low <= sum(population) <= high
    assert held >= 0.93 * 400
