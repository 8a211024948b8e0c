"""Intervals: what is resampled, and that pairs are paired."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from openr_data.prm.intervals import Interval, auroc, difference, interval, resampled, share


def test_whole_problems_are_drawn() -> None:
    weights = resampled(5, draws=200, seed=1)
    assert weights.shape == (200, 5)
    assert (weights.sum(axis=1) == 5).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(5), abs=0.2)
    assert (weights == resampled(5, draws=200, seed=1)).all()


def test_a_share_by_hand() -> None:
    of = share(np.array([1.0, 2.0]), np.array([2.0, 2.0]))
    # As they are 3/4; the first problem twice 1/2; the second twice 1.
    assert of(np.array([[1.0, 1], [2, 0], [0, 2]])) == pytest.approx([0.75, 0.5, 1])
    assert np.isnan(share(np.array([0.0]), np.array([0.0]))(np.ones((1, 1)))).all()


def test_the_interval_of_a_mean_is_that_of_the_normal() -> None:
    values = np.random.default_rng(0).normal(size=400)
    found = interval(share(values), resampled(400))
    error = values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low is not None
    assert found.high is not None
    assert (found.low, found.high) == pytest.approx((found.value - 1.96 * error, found.value + 1.96 * error), abs=0.2 * error)


def test_pairs_are_paired() -> None:
    # The second is the first and .1: whatever is drawn, the difference is the same.
    first = np.random.default_rng(0).random(50)
    found = interval(difference(share(first + 0.1), share(first)), resampled(50))
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_one_problem_has_no_interval() -> None:
    assert interval(share(np.array([0.5])), resampled(1)) == Interval(0.5)


def test_what_is_not_defined_is_told() -> None:
    with pytest.raises(ValueError, match="not defined"):
        interval(auroc(np.array([1.0]), np.array([True]), np.array([0])), resampled(1))
    with pytest.raises(ValueError, match="not defined"):
        interval(auroc(np.array([]), np.array([], bool), np.array([], int)), resampled(1))


def test_draws_of_one_class_are_left_out() -> None:
    scores, good, problems = np.array([1.0, 0.0]), np.array([True, False]), np.array([0, 1])
    assert interval(auroc(scores, good, problems), resampled(2, draws=50)) == Interval(1.0, 1.0, 1.0)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from([-2.0, 0.0, 0.5, 3.0]), st.booleans(), st.integers(0, 3)), min_size=2, max_size=20).filter(
        lambda steps: len({good for _, good, _ in steps}) == 2
    ),
    st.lists(st.integers(1, 3), min_size=4, max_size=4),
)
def test_the_area_is_that_of_repeated_steps(steps: list[tuple[float, bool, int]], drawn: list[int]) -> None:
    scores, good, problems = (np.array(column) for column in zip(*steps, strict=True))
    found = auroc(scores, good, problems)(np.array([drawn], dtype=float))[0]
    assert found == pytest.approx(roc_auc_score(good, scores, sample_weight=np.array(drawn)[problems]))
    repeated = [(score, right) for score, right, owner in steps for _ in range(drawn[owner])]
    assert found == pytest.approx(roc_auc_score([right for _, right in repeated], [score for score, _ in repeated]))
