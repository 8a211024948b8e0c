"""Calibration: bins and errors by hand, and fits that find the truth again."""

from __future__ import annotations

from itertools import pairwise
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from openr_data.prm.calibration import Bin, calibration, ece, fit
from openr_data.prm.metrics import probabilities


def test_bins_of_equal_width_by_hand() -> None:
    scores = np.array([0.0, 0.4, 0.5, 0.6, 1.0])
    good = np.array([False, True, False, True, True])
    # Two bins: (0, .5] holds 0, .4 and .5; (.5, 1] the others.
    found = calibration(scores, good, bins=2)
    low, high = found.width
    assert (low.low, low.high, low.count, high.low, high.high, high.count) == (0, 0.5, 3, 0.5, 1, 2)
    assert (low.score, low.good, high.score, high.good) == pytest.approx((0.3, 1 / 3, 0.8, 1))
    # 3/5 * |.3 - 1/3| + 2/5 * |.8 - 1|
    assert found.ece_width == pytest.approx(0.02 + 0.08)


def test_bins_of_equal_mass_by_hand() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.9])
    found = calibration(scores, np.array([True, False, True, True]), bins=2)
    # The median is .25: two steps on each side.
    assert [(each.low, each.high, each.count) for each in found.mass] == [(0, 0.25, 2), (0.25, 1, 2)]
    assert found.ece_mass == pytest.approx((2 * abs(0.15 - 0.5) + 2 * abs(0.6 - 1)) / 4)


def test_equal_scores_share_a_bin() -> None:
    found = calibration(np.ones(30), np.arange(30) % 3 > 0)
    assert found.width == (Bin(14 / 15, 1.0, 30, 1.0, 20 / 30),)
    assert [each.count for each in found.mass] == [30]
    assert found.ece_mass == pytest.approx(1 / 3)


def test_without_steps_there_is_no_error() -> None:
    assert ece(()) == 0.0
    assert calibration(np.array([]), np.array([], bool)).width == ()


@settings(max_examples=40)
@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1)), st.integers(1, 20))
def test_every_step_is_in_one_bin(scores: np.ndarray, bins: int) -> None:
    good = scores > 0.3
    found = calibration(scores, good, bins)
    for each in (found.width, found.mass):
        assert sum(one.count for one in each) == len(scores)
        assert all(one.low - 1e-9 <= one.score <= one.high + 1e-9 for one in each)
        assert all(left.high <= right.low for left, right in pairwise(each))
        assert 0 <= ece(each) <= 1


def test_platt_by_hand() -> None:
    # Two groups of a score have two parameters: the fit says exactly each group's smoothed share. Of 4 good and 4 bad steps the
    # targets are 5/6 and 1/6. Score 1: three good, one bad -> (3 * 5/6 + 1/6) / 4 = 2/3; score -1: 1/3.
    margins = np.array([1.0, 1, 1, 1, -1, -1, -1, -1])
    good = np.array([True, True, True, False, True, False, False, False])
    found = fit(margins, good)
    assert (found.scale, found.shift) == pytest.approx((log(2), 0), abs=1e-6)
    assert fit(margins, good, "temperature").scale == pytest.approx(log(2), abs=1e-6)


def test_platt_moves_a_shifted_score_back() -> None:
    margins = np.array([1.0, 1, 1, 1, -1, -1, -1, -1])
    good = np.array([True, True, True, False, True, False, False, False])
    found = fit(1000 * margins + 3000, good)
    assert found.scale == pytest.approx(log(2) / 1000, rel=1e-4)
    assert found.shift == pytest.approx(-3 * log(2), rel=1e-4)
    assert fit(1000 * margins + 3000, good, "temperature").shift == 0.0


def test_separated_steps_have_a_finite_fit() -> None:
    found = fit(np.array([-1.0, -1, 1, 1]), np.array([False, False, True, True]))
    # Targets 3/4 and 1/4 at margins 1 and -1: log 3.
    assert found.scale == pytest.approx(log(3), abs=1e-6)


def test_a_fit_finds_the_truth_again() -> None:
    rng = np.random.default_rng(1)
    margins = rng.normal(1, 2, size=20_000)
    good = rng.random(20_000) < probabilities(0.5 * margins - 0.25)
    found = fit(margins, good)
    assert (found.scale, found.shift) == pytest.approx((0.5, -0.25), abs=0.04)
    before = calibration(probabilities(margins), good)
    after = calibration(probabilities(found.scale * margins + found.shift), good)
    assert after.ece_width < 0.02 < before.ece_width
    assert after.ece_mass < 0.02 < before.ece_mass


def test_one_class_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="both needed"):
        fit(np.array([1.0, 2.0]), np.array([True, True]))
