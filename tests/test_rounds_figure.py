"""The figure of a loop's rounds."""

from __future__ import annotations

from io import BytesIO

import pytest
from matplotlib.image import imread

from openr_data.data_cards.rounds_figure import RoundPoint, rounds

BEFORE = ((0.5, 0.45, 0.55), (0.4, 0.36, 0.44))
POINTS = [
    RoundPoint((0.55, 0.5, 0.6), (0.5, None, None), 0.9, {"labels": 2_000_000, "learning": 1_000_000}),
    RoundPoint((0.61, 0.55, 0.66), (0.55, 0.5, 0.6), None, {"labels": 1_500_000}),
]


def test_it_says_in_words_what_it_shows() -> None:
    found = rounds(BEFORE, POINTS)
    assert "50.0 % before, 61.0 % after round 2; 4,500,000 generated tokens" in found.caption
    assert "process reward model" in found.alt
    height, width = imread(BytesIO(found.png)).shape[:2]
    assert width > 2 * height > 400


def test_the_same_numbers_give_the_same_bytes_and_others_do_not() -> None:
    assert rounds(BEFORE, POINTS).png == rounds(BEFORE, POINTS).png
    assert rounds(BEFORE, POINTS).png != rounds(BEFORE, POINTS[:1]).png


def test_a_loop_without_a_round_has_none() -> None:
    with pytest.raises(ValueError, match="at least one"):
        rounds(BEFORE, [])
