"""The figures of an evaluation: what their captions say by hand, and the same bytes whatever the user has set."""

from __future__ import annotations

import matplotlib
import pytest

from openr_data.data_cards.figures import Figure
from openr_data.data_cards.prm_figures import Curve, ReliabilityBin, best_of_n, discrimination, reliability

BINS = (ReliabilityBin(0.0, 0.5, 30, 0.25, 0.4), ReliabilityBin(0.5, 1.0, 970, 0.9, 0.85))
CURVES = (
    Curve("pass@n", (0.5, 0.75), plain=True),
    Curve("majority", (0.5, 0.5), (0.4, 0.4), (0.6, 0.6), plain=True),
    Curve("min", (0.5, 0.7), (0.4, 0.6), (0.6, 0.8)),
    Curve("last", (0.5, 0.7)),
)


def drawn() -> list[Figure]:
    return [
        reliability(BINS, BINS[1:], (0.053, 0.05)),
        discrimination(([0, 0, 1], [0, 0.5, 1]), ([0, 0.5, 1], [1, 0.5, 0.25]), (0.75, 0.5), 0.25),
        best_of_n((1, 8), CURVES, "math"),
    ]


def test_captions_say_what_is_to_be_seen() -> None:
    shown = {figure.name: figure.caption for figure in drawn()}
    assert shown["reliability"] == (
        "Expected calibration error 0.053 over 2 bins of equal width and 0.050 over 1 of equal mass (1,000 steps). Above the "
        "diagonal the model is too doubtful, below it too sure."
    )
    assert shown["discrimination"] == (
        "A good step scores above a wrong one in 75.0 % of pairs. Wrong steps, 25.0 % of all, are found with an average "
        "precision of 0.500. Dashed: chance."
    )
    assert shown["best-of-n"] == (
        "Math: with n = 8, pass@n 75.0 %, majority 50.0 %, min 70.0 %, last 70.0 %. Bands: 95 % intervals over problems."
    )


def test_the_same_numbers_give_the_same_bytes_whatever_the_user_has_set() -> None:
    made = [figure.png for figure in drawn()]
    assert all(png.startswith(b"\x89PNG") for png in made)
    with matplotlib.rc_context({"figure.dpi": 31, "font.size": 30, "axes.facecolor": "black"}):
        assert [figure.png for figure in drawn()] == made


@pytest.mark.parametrize("sizes", [(1,), (1, 2, 4, 8, 16, 32, 64, 100)])
def test_one_size_or_many_can_be_drawn(sizes: tuple[int, ...]) -> None:
    figure = best_of_n(sizes, [Curve("pass@n", [1.0] * len(sizes), plain=True), Curve("min", [0.0] * len(sizes))])
    assert figure.caption.startswith(f"With n = {sizes[-1]}, pass@n 100.0 %, min 0.0 %")
