"""The compute-optimal choice: by hand, and that no question chooses for itself."""

from __future__ import annotations

import numpy as np
import pytest

from openr_data.search.optimal import best_way, compute_optimal, quantile_bins

EASY, HARD = 0.9, 0.1


def arrays(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_by_hand() -> None:
    """Four hard and four easy questions. On hard ones `deep` is right and `wide` is not, on easy ones the other way round; both
    cost 10. `dear` is always right, and costs 100: beyond the budget of 20.
    """
    difficulty = arrays(*[HARD] * 4, *[EASY] * 4)
    hard = difficulty == HARD
    right = {"deep": hard.astype(float), "wide": (~hard).astype(float), "dear": np.ones(8)}
    tokens = {"deep": np.full(8, 10.0), "wide": np.full(8, 10.0), "dear": np.full(8, 100.0)}
    found = compute_optimal(right, tokens, difficulty, budget=20, bins=2, probe=np.full(8, 3.0))
    assert found.right.tolist() == [1.0] * 8
    assert found.tokens.tolist() == [13.0] * 8
    assert {(each.fold, each.bin, each.name) for each in found.choices} == {
        (0, 0, "deep"), (0, 1, "wide"), (1, 0, "deep"), (1, 1, "wide"),
    }  # fmt: skip


def test_no_question_has_a_part_in_its_own_choice() -> None:
    """Whatever a question got right, the way that is applied to it stays: ways cost differently, so tokens tell which it was."""
    draw = np.random.default_rng(0)
    difficulty = draw.random(40)
    right = {name: draw.integers(0, 2, 40).astype(float) for name in ("a", "b", "c")}
    tokens = {name: np.full(40, cost) for name, cost in (("a", 10.0), ("b", 11.0), ("c", 12.0))}
    before = compute_optimal(right, tokens, difficulty, budget=20, bins=4)
    for question in range(40):
        flipped = {name: each.copy() for name, each in right.items()}
        for each in flipped.values():
            each[question] = 1 - each[question]
        after = compute_optimal(flipped, tokens, difficulty, budget=20, bins=4)
        assert after.tokens[question] == before.tokens[question]
    assert len(set(before.tokens)) > 1


@pytest.mark.parametrize(("budget", "name"), [(5.0, "cheap"), (15.0, "good"), (1.0, "cheap")])
def test_the_best_that_can_be_paid(budget: float, name: str) -> None:
    right = {"cheap": arrays(0, 0), "good": arrays(1, 0), "best": arrays(1, 1)}
    tokens = {"cheap": arrays(4, 4), "good": arrays(10, 20), "best": arrays(30, 30)}
    assert best_way(right, tokens, np.array([True, True]), budget) == name


def test_ties_go_to_fewer_tokens_and_then_to_the_name() -> None:
    right = {"b": arrays(1, 1), "a": arrays(1, 1), "c": arrays(1, 1)}
    tokens = {"b": arrays(2, 2), "a": arrays(2, 2), "c": arrays(9, 9)}
    assert best_way(right, tokens, np.array([True, True]), 10) == "a"


def test_equal_difficulties_are_in_one_bin() -> None:
    assert quantile_bins(arrays(0.5, 0.5, 0.5, 0.5), 4).tolist() == [0, 0, 0, 0]
    assert quantile_bins(np.arange(10.0), 5).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_bins_of_one_question_are_spread_over_both_folds() -> None:
    """Five questions in five bins: each is answered by what the other fold found best, and none by its own result."""
    right = {"a": arrays(1, 0, 1, 0, 1), "b": arrays(0, 1, 0, 1, 0)}
    found = compute_optimal(right, {"a": np.full(5, 1.0), "b": np.full(5, 2.0)}, np.arange(5.0), budget=5, bins=5)
    assert [(each.fold, each.bin) for each in found.choices] == [(0, 0), (0, 2), (0, 4), (1, 1), (1, 3)]
    assert found.right.tolist() == [0.0] * 5


def test_a_lone_question_is_answered_the_cheapest_way() -> None:
    right, tokens = {"a": arrays(1), "b": arrays(0)}, {"a": arrays(9), "b": arrays(2)}
    assert compute_optimal(right, tokens, arrays(0.5), budget=10).tokens.tolist() == [2.0]
