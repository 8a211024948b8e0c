"""Step metrics: golden values worked by hand, and what must hold of any scores."""

from __future__ import annotations

from dataclasses import astuple
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from openr_data.prm.metrics import (
    Ranking,
    brier,
    cross_entropy,
    entropy,
    error_points,
    probabilities,
    ranking,
    roc_points,
    soft_metrics,
    spearman,
    step_metrics,
)

MARGINS = np.array([2.0, 1.0, 0.0, -1.0])
GOOD = np.array([True, False, True, False])


def test_ranking_by_hand() -> None:
    # Of the four pairs of a good and a bad step, three are in order: (2, 1), (2, -1), (0, -1); (0, 1) is not.
    # Good steps in order of score stand at ranks 1 and 3: (1/1 + 2/3) / 2. Bad ones from below at ranks 1 and 3 as well.
    found = ranking(MARGINS, GOOD)
    assert found is not None
    assert astuple(found) == pytest.approx((0.75, 5 / 6, 5 / 6))


def test_ties_count_half() -> None:
    found = ranking(np.zeros(4), GOOD)
    assert found == Ranking(0.5, 0.5, 0.5)


def test_one_class_has_no_ranking() -> None:
    assert ranking(MARGINS, np.ones(4, bool)) is None
    found = step_metrics(MARGINS, np.ones(4, bool), np.zeros(4, int))
    assert (found.pooled, found.by_problem, found.mixed) == (None, None, 0)
    assert (found.prior_nll, found.prior_brier) == (0.0, 0.0)


def test_step_metrics_by_hand() -> None:
    # Problem 7 holds the steps 2 (good) and 1 (bad), in order; problem 3 the steps 0 (good) and -1 (bad), in order as well.
    # Problem 5 has one class only and enters the pooled numbers alone.
    margins = np.array([*MARGINS, 0.0])
    found = step_metrics(margins, np.array([*GOOD, True]), np.array([7, 7, 3, 3, 5]))
    assert (found.steps, found.good, found.problems, found.mixed) == (5, 3, 3, 2)
    assert found.base_rate == 0.6
    assert found.by_problem == Ranking(1.0, 1.0, 1.0)
    assert found.pooled is not None
    assert found.pooled.auroc == pytest.approx(4 / 6)  # 2 beats both bad steps, each 0 only one of them
    # -log sigmoid(2), -log(1 - sigmoid(1)), -log sigmoid(0) twice, -log(1 - sigmoid(-1))
    by_hand = (log(1 + exp(-2)) + log(1 + exp(1)) + 2 * log(2) + log(1 + exp(-1))) / 5
    assert found.nll == pytest.approx(by_hand)
    assert found.prior_nll == pytest.approx(-(0.6 * log(0.6) + 0.4 * log(0.4)))
    assert found.prior_brier == pytest.approx(0.24)


def test_brier_by_hand() -> None:
    # p = .5 and .75 against 1 and 0: (.25 + .5625) / 2
    assert brier(np.array([0.0, log(3)]), np.array([1.0, 0.0])) == pytest.approx(0.40625)


def test_soft_metrics_by_hand() -> None:
    # Scores that equal the values reach the floor; the values 1/4 and 3/4 have the same entropy.
    values = np.array([0.25, 0.75])
    floor = -(0.25 * log(0.25) + 0.75 * log(0.75))
    found = soft_metrics(np.array([-log(3), log(3)]), values)
    assert found.cross_entropy == pytest.approx(floor)
    assert found.floor == pytest.approx(floor)
    assert found.excess == pytest.approx(0)
    assert found.spearman == pytest.approx(1)
    # Saying .5 of both costs log 2 each.
    assert soft_metrics(np.zeros(2), values).excess == pytest.approx(log(2) - floor)
    assert soft_metrics(np.zeros(2), values).spearman is None


def test_spearman_by_hand() -> None:
    # Ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * 4 / (4 * 15) = .6
    assert spearman(np.array([1.0, 2, 3, 4]), np.array([20.0, 10, 40, 30])) == pytest.approx(0.6)


def test_nothing_to_measure_is_told() -> None:
    empty = np.array([])
    with pytest.raises(ValueError, match="no step"):
        step_metrics(empty, empty.astype(bool), empty.astype(int))
    with pytest.raises(ValueError, match="no step"):
        soft_metrics(empty, empty)


def test_curves_by_hand() -> None:
    false, true = roc_points(MARGINS, GOOD)
    assert list(zip(false, true, strict=True)) == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
    recall, precision = error_points(MARGINS, GOOD)
    # From below: -1 is bad (precision 1 at recall 1/2), 0 is not, 1 is (2 of 3 at recall 1), 2 is not.
    assert list(zip(recall, precision, strict=True)) == [(0, 1), (0.5, 1), (0.5, 0.5), (1, pytest.approx(2 / 3)), (1, 0.5)]


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    rng = np.random.default_rng(0)
    margins = rng.normal(size=5000)
    false, true = roc_points(margins, rng.random(5000) < probabilities(margins))
    assert len(false) == len(true) == 400
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)


PAIRS = arrays(np.float64, st.integers(4, 30), elements=st.floats(-40, 40)).flatmap(
    lambda margins: st.tuples(st.just(margins), arrays(np.bool_, len(margins)))
)


@settings(max_examples=30)
@given(PAIRS)
def test_the_other_class_mirrors(pair: tuple[np.ndarray, np.ndarray]) -> None:
    margins, good = pair
    one, other = ranking(margins, good), ranking(-margins, ~good)
    assert (one is None) == (other is None)
    if one and other:
        assert astuple(one) == pytest.approx((other.auroc, other.ap_bad, other.ap_good))


@settings(max_examples=30)
@given(PAIRS)
def test_no_scores_beat_the_floor(pair: tuple[np.ndarray, np.ndarray]) -> None:
    margins, _ = pair
    values = np.linspace(0, 1, len(margins))
    assert cross_entropy(margins, values) >= entropy(values) - 1e-9
    assert cross_entropy(np.zeros(3), np.array([1.0, 0.0, 0.3])) == pytest.approx(log(2))
    found = probabilities(margins)
    assert ((found >= 0) & (found <= 1)).all()
    assert found + probabilities(-margins) == pytest.approx(np.ones(len(margins)))
