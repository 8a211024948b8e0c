"""Aggregations of step scores: by hand, by their properties, and in the space of margins."""

from __future__ import annotations

from math import exp, log, nan

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from openr_data.aggregate import AGGREGATES, EPSILON, RANKINGS

SCORES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)
MARGINS = st.lists(st.floats(-12.0, 12.0), min_size=1, max_size=8)
NAMES = pytest.mark.parametrize("name", AGGREGATES)


def probability(margin: float) -> float:
    return 1 / (1 + exp(-margin))


def test_every_aggregate_by_hand() -> None:
    """Of .9, .5 and .8: odds 9, 1 and 4."""
    found = {name: aggregate([0.9, 0.5, 0.8]) for name, aggregate in AGGREGATES.items()}
    assert found == pytest.approx(
        {
            "min": 0.5,
            "max": 0.9,
            "last": 0.8,
            "product": 0.36,
            "sum_logprob": log(0.36),
            "mean_logprob": log(0.36) / 3,
            "sum_logit": log(36),
            "mean": 2.2 / 3,
            "mean_odd": 14 / 3,
        },
        rel=1e-12,
    )


def test_certain_steps_are_clipped_where_a_logarithm_or_odds_would_be_infinite() -> None:
    assert AGGREGATES["sum_logprob"]([0.0, 1.0]) == pytest.approx(log(EPSILON) + log(1 - EPSILON))
    assert AGGREGATES["sum_logit"]([0.0, 1.0]) == pytest.approx(0.0, abs=1e-6)
    assert AGGREGATES["mean_odd"]([1.0]) == pytest.approx(1 / EPSILON, rel=1e-6)
    assert (AGGREGATES["product"]([0.0, 1.0]), AGGREGATES["min"]([0.0, 1.0])) == (0.0, 0.0)


@NAMES
@pytest.mark.parametrize("scores", [[], (), [0.5, nan], [nan, 0.5], [None, 0.5]])
def test_what_has_no_score_is_refused_and_is_no_low_score(name: str, scores: list[float]) -> None:
    for functions in (AGGREGATES, RANKINGS):
        with pytest.raises(ValueError, match=r"no scores|without a score"):
            functions[name](scores)


@NAMES
@settings(max_examples=30)
@given(SCORES, st.data())
def test_a_better_step_never_makes_a_worse_solution(name: str, scores: list[float], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(scores) - 1))
    better = [*scores]
    better[place] = data.draw(st.floats(scores[place], 1.0))
    worse, now = AGGREGATES[name](scores), AGGREGATES[name](better)
    assert now >= worse or now == pytest.approx(worse, rel=1e-12)


@pytest.mark.parametrize("name", [name for name in AGGREGATES if name != "last"])
@settings(max_examples=30)
@given(SCORES)
def test_the_order_of_the_steps_matters_to_the_last_alone(name: str, scores: list[float]) -> None:
    turned = scores[::-1]
    assert AGGREGATES[name](turned) == pytest.approx(AGGREGATES[name](scores), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ["min", "max", "last", "mean"])
@settings(max_examples=30)
@given(SCORES)
def test_these_stay_within_the_scores(name: str, scores: list[float]) -> None:
    assert min(scores) <= AGGREGATES[name](scores) * (1 + 1e-15) + 1e-300
    assert AGGREGATES[name](scores) <= max(scores) * (1 + 1e-15) + 1e-300


@given(SCORES)
def test_a_product_is_at_most_the_weakest_step_and_its_logarithm_the_sum(scores: list[float]) -> None:
    assert AGGREGATES["product"](scores) <= AGGREGATES["min"](scores)
    assume(min(scores) > EPSILON and max(scores) < 1 - EPSILON)
    assert log(AGGREGATES["product"](scores)) == pytest.approx(AGGREGATES["sum_logprob"](scores), rel=1e-9, abs=1e-12)


@NAMES
@settings(max_examples=30)
@given(MARGINS, MARGINS)
def test_margins_rank_solutions_as_probabilities_do(name: str, one: list[float], other: list[float]) -> None:
    scores = [AGGREGATES[name]([probability(margin) for margin in margins]) for margins in (one, other)]
    ranks = [RANKINGS[name](margins) for margins in (one, other)]
    if abs(scores[0] - scores[1]) > 1e-9 * max(map(abs, scores)):
        assert (ranks[0] > ranks[1]) == (scores[0] > scores[1])


def test_margins_tell_apart_what_probabilities_tie() -> None:
    sure, surer = [45.0, 46.0], [46.0, 47.0]
    assert AGGREGATES["product"]([probability(each) for each in sure]) == AGGREGATES["product"](
        [probability(each) for each in surer]
    )
    for name in RANKINGS:
        if name != "mean":  # which cannot leave 1
            assert RANKINGS[name](surer) > RANKINGS[name](sure)
