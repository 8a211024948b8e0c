"""The adaptive labeler's posterior: against the sum over all states, by hand, step by step, and at the ends of the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from adaptive_cases import SHAPED, by_enumeration, modelled, observed, position_prior
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.labelers.adaptive import Inference, Posterior, Seen, ValueModel
from openr_data.labelers.adaptive.model import LEVELS, even

CASES = {
    "nothing seen": (observed([0, 0, 0], [0, 0, 0]), 0),
    "misses only": (observed([0, 0, 0], [4, 3, 5]), 0),
    "a hit in the middle": (observed([3, 1, 0], [8, 2, 6]), 0),
    "a hit at the end": (observed([0, 0, 1], [2, 8, 1]), 0),
    "repeats alone": (observed([0, 0, 0], [0, 0, 0], [5, 0, 0], [6, 7, 0]), 0),
    "hits and repeats": (observed([9, 2, 0], [32, 4, 3], [2, 3, 0], [32, 4, 0]), 0),
    "one step known": (observed([9, 0, 0], [32, 8, 8], [0, 2, 0], [32, 8, 0]), 1),
    "all but the last known": (observed([0, 0, 0], [8, 8, 8]), 2),
    "two steps": (observed([5, 0], [8, 3], [1, 0], [8, 0]), 0),
    "one step": (observed([5], [8]), 0),
    "one step, nothing seen": (observed([0], [0]), 0),
}


@pytest.mark.parametrize("model", [ValueModel(), SHAPED], ids=["default", "shaped"])
@pytest.mark.parametrize("name", CASES)
def test_it_is_the_sum_over_all_states(name: str, model: ValueModel) -> None:
    seen, known = CASES[name]
    found, truth = Inference(model).posterior(seen, known), by_enumeration(model, seen, known)
    for each in ("first", "good", "hit_good", "hit_bad"):
        assert getattr(found, each) == pytest.approx(np.array(getattr(truth, each)), rel=1e-9, abs=1e-12), each


@pytest.mark.parametrize("model", [ValueModel(), SHAPED], ids=["default", "shaped"])
def test_values_move_as_the_words_say(model: ValueModel) -> None:
    """A good value may go anywhere; at the error and after it none rises, and from the lowest level none falls."""
    for matrix in (*model.walks(9), *model.drops(9), *model.decays(9)):
        assert matrix.sum(1) == pytest.approx(1.0)
        assert (matrix >= 0).all()
    assert (model.walks(9) > 0).all()
    for moves in (model.walks, model.drops, model.decays):
        assert (moves(4) == moves(9)[-3:]).all()  # how far it is to the end decides
    for matrix in (*model.drops(9), *model.decays(9)):
        assert (np.triu(matrix, 1) == 0).all()
        assert matrix[0, 0] == pytest.approx(1.0)
    for length in (1, 2, 7, 8, 30):
        assert model.prior(length) == pytest.approx(np.array(position_prior(model, length)), rel=1e-12)


def test_without_evidence_it_is_the_prior_and_what_is_known_is_left_out_of_it() -> None:
    nothing = observed([0] * 9, [0] * 9)
    prior = SHAPED.prior(9)
    assert Inference(SHAPED).posterior(nothing).first == pytest.approx(prior)
    known = Inference(SHAPED).posterior(nothing, 4)
    assert known.first == pytest.approx(np.append(np.zeros(4), prior[4:] / prior[4:].sum()), abs=1e-15)
    assert known.good[:5] == pytest.approx(1.0)
    assert Inference(SHAPED).posterior(nothing, 8).first.tolist() == [0.0] * 8 + [1.0]


def test_where_the_prior_has_nothing_left_the_last_step_is_the_error() -> None:
    early = ValueModel(position=(1.0, *(0.0,) * 7))
    assert Inference(early).posterior(observed([0] * 8, [0] * 8), 4).first.tolist() == [0.0] * 7 + [1.0]


def test_two_steps_by_hand() -> None:
    """M = 2, three misses from the first prefix, both steps as likely, and matrices that can be summed by hand.

    A good prefix has any level with 1/20, so three misses have the mean of (1 - p)^3; a bad one is lost: (1 - .004)^3.
    """
    anything, lost = [[0.05] * 20] * 20, [[1.0, *[0.0] * 19]] * 20
    good, bad = float(((1 - LEVELS) ** 3).mean()), 0.996**3
    assert (round(good, 6), round(bad, 6)) == (0.356982, 0.988048)
    model = modelled(anything, lost, lost)
    assert Inference(model).posterior(observed([0, 0], [0, 3])).first == pytest.approx([bad / (good + bad), good / (good + bad)])
    # Of two rollouts from the question one repeats the first step: a right step is repeated with .5 here, an error with .1.
    rows = ((*(0.0,) * 4, 1.0, *(0.0,) * 4), (0.0, 0.0, 1.0, *(0.0,) * 6), (1 / 9,) * 9)
    right, wrong = 0.5 * 0.5 * good, 0.1 * 0.9 * bad
    found = Inference(modelled(anything, lost, lost, repeats=rows)).posterior(observed([0, 0], [0, 3], [1, 0], [2, 0]))
    assert found.first == pytest.approx([wrong / (right + wrong), right / (right + wrong)])
    assert found.first == pytest.approx([0.499099, 0.500901], abs=1e-6)
    assert (found.best, found.confidence) == (2, found.first[1])


def test_what_is_seen_of_a_step_speaks_for_that_step() -> None:
    """The third of six steps is the only one that rollouts do not repeat: it is the likeliest error, not one beside it."""
    model = ValueModel(repeats=(even(0.1, 2.0), even(2.0, 0.1), even(1.0, 1.0)))
    seen = observed([0] * 6, [0] * 6, [9, 9, 0, 9, 9, 0], [10, 10, 10, 10, 10, 0])
    assert Inference(model).posterior(seen).best == 3


def test_more_hits_behind_a_prefix_make_it_surer() -> None:
    inference = Inference(ValueModel())
    surer = [float(inference.posterior(observed([4, 0, 0, hits, 0], [8, 2, 2, 8, 2])).good[3]) for hits in range(5)]
    assert surer == sorted(surer)
    assert surer[0] < 0.5 < surer[-1]


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, int, list[tuple[int, int, int, int, int]]]:
    length = draw(st.integers(1, 7))
    known = draw(st.integers(0, length - 1))
    counts = st.integers(0, 3)
    place = st.integers(0, length - 1)
    news = draw(st.lists(st.tuples(place, counts, counts, counts, counts), min_size=1, max_size=6))
    return length, known, news


@settings(max_examples=60, deadline=None)
@given(histories())
def test_followed_news_by_news_it_is_what_it_is_anew(history: tuple[int, int, list[tuple[int, int, int, int, int]]]) -> None:
    length, known, news = history
    inference = Inference(SHAPED)
    followed = inference.follow(length, known)
    counts = np.zeros((4, length))
    for place, *more in news:
        hits, misses, again, other = more
        counts[:, place] += (hits, hits + misses, again, again + other)
        seen = Seen(*counts.copy())
        assert_same(followed.posterior(seen), inference.posterior(seen, known))


def assert_same(one: Posterior, other: Posterior) -> None:
    for name in ("first", "good", "hit_good", "hit_bad"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9, abs=1e-12), name
    assert one.first.sum() == pytest.approx(1.0)
    assert (np.diff(one.good) <= 0).all()
    assert ((one.first >= 0) & (one.first <= 1)).all()
    assert ((one.value >= 0) & (one.value <= 1)).all()


@pytest.mark.parametrize("shape", ["misses", "hits", "turns", "late", "against"])
@pytest.mark.parametrize("model", [ValueModel(), SHAPED], ids=["default", "shaped"])
def test_long_solutions_with_thousands_of_rollouts_stay_in_the_numbers(model: ValueModel, shape: str) -> None:
    length, many = 200, 5000
    decided = np.full(length, float(many))
    place = np.arange(length)
    hits = {
        "misses": np.zeros(length),
        "hits": decided,
        "turns": np.where(place % 2 == 0, decided, 0.0),
        "late": np.where(place == length - 1, decided, 0.0),
        "against": np.where(place < 100, 0.0, decided),
    }[shape]
    tried = np.append(decided[:-1], 0.0)
    found = Inference(model).posterior(Seen(hits, decided, np.where(place % 3 == 0, tried, 0.0), tried))
    assert_same(found, found)
    last_rise = {"turns": 198, "late": 199, "against": 100}.get(shape, 0)  # no bad value rises
    assert found.first[:last_rise].sum() < 1e-9
