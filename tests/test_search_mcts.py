"""Tree search, walk by walk, by hand."""

from __future__ import annotations

from math import exp, log, sqrt

import pytest
from search_cases import Judge, Policy, final, run, step, texts

from openr_data.search.puct import priors, puct, uct

TREE = {
    "": [step("a", 1, logprob=-1.0), step("b", 1, logprob=-2.0)],
    "a\n": [final("A1"), final("A2")],
    "b\n": [final("B1"), final("B2")],
}
VALUES = {"a": 0.6, "b": 0.5, "A1": 0.2, "A2": 0.1, "B1": 0.9, "B2": 0.3}


def test_three_walks_by_hand() -> None:
    """Walk 1, over fresh nodes by score: a, A1 (.2). a has N = 1, Q = .2.
    Walk 2 at the root, with c = 1.25 + ln(19654 / 19652): a has .2 + prior .731 * sqrt(1) / 2 * c = .657; b, which was not
    visited, .5 + .269 * sqrt(1) / 1 * c = .836. So b, and B1 (.9): the root has N = 2.
    Walk 3: a .2 + .731 sqrt(2) / 2 c = .846; b .9 + .269 sqrt(2) / 2 c = 1.138. So b again, and B2, the only one that is left.
    """
    found = run(Policy(TREE), Judge(VALUES), "mcts", n=3, width=2)
    assert texts(found) == ["a/A1", "b/B1", "b/B2"]
    nodes = {node.steps: node for node in found.tree}
    three = [nodes["a",], nodes["b",], found.tree[0]]
    assert [node.visits for node in three] == [1, 2, 3]
    assert [node.value for node in three] == pytest.approx([0.2, (0.9 + 0.3) / 2, (0.2 + 0.9 + 0.3) / 3])
    assert nodes["a",].prior == pytest.approx(exp(-1) / (exp(-1) + exp(-2)))


def test_the_maximum_is_backed_up_where_that_is_asked_for() -> None:
    found = run(Policy(TREE), Judge(VALUES), "mcts", n=3, width=2, backup="max")
    nodes = {node.steps: node for node in found.tree}
    assert [nodes["b",].value, found.tree[0].value] == pytest.approx([0.9, 0.9])


def test_ends_are_visited_once_and_an_exhausted_tree_ends_the_search() -> None:
    policy = Policy(TREE)
    found = run(policy, Judge(VALUES), "mcts", n=50, width=2)
    assert sorted(texts(found)) == ["a/A1", "a/A2", "b/B1", "b/B2"]
    assert len(policy.asked) == 3  # every prefix is expanded once
    assert found.tree[0].visits == 4


def test_uct_visits_what_was_not_visited_first() -> None:
    """After a/A1, UCT must try b, whatever its score."""
    values = {**VALUES, "b": 0.01, "A1": 0.99}
    assert texts(run(Policy(TREE), Judge(values), "mcts", n=2, width=2, formula="uct")) == ["a/A1", "b/B1"]


def test_what_has_no_score_is_taken_to_be_like_its_siblings() -> None:
    """a cannot be scored: it counts as b does, comes first, and its ends have no score either (0)."""
    found = run(Policy(TREE), Judge({"b": 0.5, "B1": 0.9, "B2": 0.3}), "mcts", n=4, width=2)
    assert sorted(texts(found)) == ["a/A1", "a/A2", "b/B1", "b/B2"]
    assert {path.unscored for path in found.candidates} == {"", "not written down"}


def test_noise_at_the_root_is_the_same_each_time() -> None:
    first, second = (run(Policy(TREE), Judge(VALUES), "mcts", n=4, width=2, noise=0.25) for _ in range(2))
    plain = run(Policy(TREE), Judge(VALUES), "mcts", n=4, width=2)
    assert first == second
    noisy = [node.prior for node in first.tree if node.parent == 0]
    assert sum(each or 0.0 for each in noisy) == pytest.approx(1.0)
    assert noisy != [node.prior for node in plain.tree if node.parent == 0]


def test_the_formulas() -> None:
    assert puct(0.5, 0.25, 0, 0) == 0.5  # a parent that was never visited explores nothing
    assert puct(0.0, 1.0, 0, 4) == pytest.approx(2 * (log((4 + 19652 + 1) / 19652) + 1.25))
    assert uct(0.25, 4, 16, c=1.0) == pytest.approx(0.25 + sqrt(log(16) / 4))
    assert priors([-1.0, -1.0], [1, 1]) == [0.5, 0.5]


def test_where_no_child_has_a_score_they_are_like_the_prefix_before_them() -> None:
    """a has .6, and its children have none: what is backed up is .6."""
    table = {"": [step("a"), step("b")], "a\n": [final("A1"), final("A2")], "b\n": [final("B1")]}
    found = run(Policy(table), Judge({"a": 0.6, "b": 0.5}), "mcts", n=1, width=2)
    node = next(each for each in found.tree if each.steps == ("a",))
    assert node.visits == 1
    assert node.value == pytest.approx(0.6)
