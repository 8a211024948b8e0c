"""Best of n of N: every formula against the average over all subsets, one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.order_statistics import Subsets, best_of, majority, pass_at, selection, weighted_vote


def average(pool: int, n: int, of: Callable[[Sequence[int]], float]) -> float:
    found = [of(subset) for subset in combinations(range(pool), n)]
    return sum(found) / len(found)


def tied_share(values: Sequence[float], right: Sequence[float]) -> float:
    tops = [place for place, value in enumerate(values) if value == max(values)]
    return sum(right[place] for place in tops) / len(tops)


def test_selection_by_hand() -> None:
    # Of 4 candidates, 2 are drawn: C(3, 1) = 3 of the 6 pairs hold the best, C(2, 1) the second without it, C(1, 1) the third.
    assert selection([0.4, 0.1, 0.3, 0.2], 2) * 6 == pytest.approx([3, 0, 2, 1])
    # Two tied above one: all three pairs hold one of them, and each is chosen as often.
    assert selection([0.5, 0.5, 0.1], 2) == pytest.approx([0.5, 0.5, 0])


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), st.booleans()), min_size=1, max_size=7), st.data())
def test_best_of_is_the_average_over_subsets(candidates: list[tuple[float, bool]], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(candidates)))
    scores, right = [score for score, _ in candidates], [float(each) for _, each in candidates]
    expected = average(len(scores), n, lambda rows: tied_share([scores[i] for i in rows], [right[i] for i in rows]))
    assert best_of(scores, right, n) == pytest.approx(expected)
    assert selection(scores, n).sum() == pytest.approx(1)
    passed = average(len(scores), n, lambda rows: float(any(right[i] for i in rows)))
    assert pass_at(int(sum(right)), len(right), n) == pytest.approx(passed)


def vote(answers: Sequence[int], weights: Sequence[float], right: Sequence[float]) -> float:
    found = sorted(set(answers))
    sums = [sum(w for a, w in zip(answers, weights, strict=True) if a == each) for each in found]
    return tied_share(sums, [right[each] for each in found])


def test_majority_by_hand() -> None:
    # Sizes 2, 1, 1 and n = 2: the pair of one answer wins (1 of 6 pairs); the other 5 are ties of two answers.
    # Answer 0 is in 4 of those: 1/6 + 4/6 * 1/2 = 1/2; the others in 3 each: 3/6 * 1/2.
    assert majority([2, 1, 1], 2) == pytest.approx([0.5, 0.25, 0.25])


@settings(max_examples=40)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4).filter(lambda sizes: sum(sizes) <= 8), st.data())
def test_majority_is_the_average_over_subsets(sizes: list[int], data: st.DataObject) -> None:
    pool = sum(sizes)
    n = data.draw(st.integers(1, pool))
    answers = [answer for answer, size in enumerate(sizes) for _ in range(size)]
    found = majority(sizes, n)
    assert found.sum() == pytest.approx(1)
    for answer, chance in enumerate(found):
        right = [float(each == answer) for each in range(len(sizes))]
        expected = average(pool, n, lambda rows, right=right: vote([answers[i] for i in rows], [1.0] * n, right))  # type: ignore[misc]
        assert chance == pytest.approx(expected)


def test_majority_of_a_large_pool_agrees_with_sampling() -> None:
    sizes = [70, 60, 30, *[1] * 40]
    found = majority(sizes, 16)
    assert found.sum() == pytest.approx(1)
    rng = np.random.default_rng(0)
    answers = np.repeat(np.arange(len(sizes)), sizes)
    wins = np.zeros(len(sizes))
    for _ in range(4000):
        votes = np.bincount(rng.choice(answers, 16, replace=False), minlength=len(sizes))
        wins[votes == votes.max()] += 1 / (votes == votes.max()).sum()
    assert found[:3] == pytest.approx(wins[:3] / 4000, abs=0.03)
    assert majority([1500, 1400], 7).sum() == pytest.approx(1)


CANDIDATES = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, 0.25, 1.0])), min_size=1, max_size=6)


@given(CANDIDATES)
def test_the_vote_of_all_candidates_by_hand(candidates: list[tuple[int, float]]) -> None:
    groups, weights = np.array([answer for answer, _ in candidates]), [weight for _, weight in candidates]
    right = np.array([1.0, 0.0, 0.5])
    subsets = Subsets.draw(len(groups), [len(groups)], draws=8, seed=3)
    assert subsets.chosen[len(groups)].shape == (1, len(groups))
    assert weighted_vote(weights, groups, right, subsets, len(groups)) == pytest.approx(
        vote(groups.tolist(), weights, right.tolist())
    )


def test_the_vote_over_subsets_comes_near_their_average() -> None:
    groups, weights, right = np.array([0, 0, 1, 2, 2]), [0.2, 0.3, 0.45, 0.9, 0.1], np.array([1.0, 0.0, 0.0])
    subsets = Subsets.draw(5, [1, 3], draws=20_000, seed=0)
    for n in (1, 3):
        expected = average(5, n, lambda rows: vote([int(groups[i]) for i in rows], [weights[i] for i in rows], right.tolist()))
        assert weighted_vote(weights, groups, right, subsets, n) == pytest.approx(expected, abs=0.01)
    # Equal weights are the majority.
    assert weighted_vote([0.7] * 5, groups, right, subsets, 3) == pytest.approx(majority([2, 1, 2], 3)[0], abs=0.01)


def test_a_vote_of_one_is_exact() -> None:
    groups, right = np.array([0, 0, 1, 2, 2]), np.array([1.0, 0.0, 0.0])
    subsets = Subsets.draw(5, [1], draws=3, seed=0)
    assert weighted_vote([0.2, 0.0, 0.45, 0.9, 0.1], groups, right, subsets, 1) == pytest.approx(2 / 5)


def test_the_draws_are_nested_and_the_same_for_a_seed() -> None:
    one, other = (Subsets.draw(6, [2, 4], draws=9, seed=5) for _ in range(2))
    assert all((one.chosen[n] == other.chosen[n]).all() for n in (2, 4))
    assert (one.chosen[2].sum(axis=1) == 2).all()
    assert (one.chosen[2] <= one.chosen[4]).all()


@pytest.mark.parametrize("n", [0, 4])
def test_a_subset_must_fit(n: int) -> None:
    for call in (lambda: selection([1.0, 2.0, 3.0], n), lambda: pass_at(1, 3, n), lambda: majority([2, 1], n)):
        with pytest.raises(ValueError, match="of 3 candidates"):
            call()
