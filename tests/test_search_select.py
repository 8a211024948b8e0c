"""Choosing among candidates: rules by hand, and properties."""

from __future__ import annotations

import asyncio
from itertools import combinations, permutations
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openr_data.aggregate import AGGREGATES, sigmoid
from openr_data.errors import UsageError
from openr_data.graders import MathGrader
from openr_data.search.curves import PASS, expected
from openr_data.search.grouping import group_answers
from openr_data.search.nested import chosen
from openr_data.search.select import AGGREGATIONS, SELECTORS, Ballot, choose, votes


def odds(*values: float) -> tuple[float, ...]:
    return tuple(log(value / (1 - value)) for value in values)


# Steps .9 .2 | .5 .6 | .6 .5 | no score | no answer, sure
FIVE = [
    Ballot(0, odds(0.9, 0.2)),
    Ballot(1, odds(0.5, 0.6)),
    Ballot(1, odds(0.6, 0.5)),
    Ballot(2),
    Ballot(None, odds(0.99, 0.99)),
]


@pytest.mark.parametrize(
    ("selector", "place"),
    [
        ("majority_vote", 1),
        ("prm_min_max", 1),  # .2 against .5 and .5: the first of the two
        ("prm_last_max", 1),  # .2, .6, .5
        ("prm_prod_max", 1),  # .18, .3, .3
        ("prm_mean_max", 0),  # .55, .55, .55: a tie, and the first
        ("prm_min_vote", 1),
        ("prm_last_vote", 1),
        ("prm_prod_vote", 1),
        ("prm_mean_vote", 1),
    ],
)
def test_every_selector_by_hand(selector: str, place: int) -> None:
    assert choose(FIVE, selector) == place


def test_the_selectors_are_those_that_users_know() -> None:
    assert SELECTORS == (
        "majority_vote", "prm_min_max", "prm_min_vote", "prm_last_max", "prm_last_vote", "prm_prod_max", "prm_prod_vote",
        "prm_mean_max", "prm_mean_vote",
    )  # fmt: skip
    with pytest.raises(UsageError, match="there is no selector 'prm_max'; choose one of: majority_vote"):
        choose(FIVE, "prm_max")


def test_a_vote_sums_and_a_maximum_does_not() -> None:
    ballots = [Ballot(0, odds(0.8)), Ballot(1, odds(0.5)), Ballot(1, odds(0.4))]
    assert choose(ballots, "prm_last_max") == 0
    assert choose(ballots, "prm_last_vote") == 1
    assert votes(ballots, "prm_last_vote") == pytest.approx({0: 0.8, 1: 0.9})


def test_no_answer_never_wins_while_there_is_one() -> None:
    ballots = [Ballot(None, odds(0.99)), Ballot(None, odds(0.99)), Ballot(0, odds(0.01))]
    assert {choose(ballots, selector) for selector in SELECTORS} == {2}
    assert {choose(ballots[:2], selector) for selector in SELECTORS} == {None}
    assert choose([], "majority_vote") is None


def test_a_missing_score_is_left_out_and_is_not_zero() -> None:
    """Two candidates of class 0 have no score, the one of class 1 a low one: by score, 1 wins; by votes, 0."""
    ballots = [Ballot(0), Ballot(0), Ballot(1, odds(0.01))]
    assert choose(ballots, "prm_last_vote") == choose(ballots, "prm_min_max") == 2
    assert choose(ballots, "majority_vote") == 0


def test_without_any_score_the_majority_decides() -> None:
    ballots = [Ballot(0), Ballot(1), Ballot(1), Ballot(None, odds(0.9))]
    assert {choose(ballots, selector) for selector in SELECTORS} == {1}


def test_ties_go_to_the_better_score_and_then_to_the_first() -> None:
    even = [Ballot(0, odds(0.4)), Ballot(1, odds(0.3)), Ballot(1, odds(0.5)), Ballot(0, odds(0.4))]
    assert choose(even, "prm_last_vote") == 2  # .8 each, and class 1 has the better one
    assert choose(even, "majority_vote") == 0  # two each: the first


def test_the_same_votes_tie_in_any_order() -> None:
    """Sums of floats depend on their order: .1 + .2 + .3 is not .3 + .2 + .1. Class 0 comes first, so it wins the tie."""
    ballots = [Ballot(group, odds(value)) for group, value in ((0, 0.1), (0, 0.2), (0, 0.3), (1, 0.3), (1, 0.2), (1, 0.1))]
    weights = votes(ballots, "prm_last_vote")
    assert weights[0] == weights[1]
    assert choose(ballots, "prm_last_vote") == 2


def test_scores_near_one_do_not_tie() -> None:
    assert choose([Ballot(0, (50.0,)), Ballot(1, (60.0,))], "prm_last_max") == 1


BALLOTS = st.lists(
    st.builds(
        Ballot,
        st.one_of(st.none(), st.integers(0, 3)),
        st.lists(st.floats(-4, 4), max_size=3).map(tuple),
    ),
    max_size=6,
)


@given(BALLOTS, st.sampled_from(SELECTORS))
def test_the_choice_is_of_a_class_with_the_largest_weight(ballots: list[Ballot], selector: str) -> None:
    weights, place = votes(ballots, selector), choose(ballots, selector)
    if place is None:
        assert all(ballot.group is None for ballot in ballots)
        return
    group = ballots[place].group
    assert group is not None
    assert weights[group] == max(weights.values())


@given(BALLOTS, st.sampled_from([each for each in SELECTORS if each.endswith("_vote")]))
def test_votes_are_plain_sums(ballots: list[Ballot], selector: str) -> None:
    scored = [ballot for ballot in ballots if ballot.group is not None and ballot.margins]
    if selector == "majority_vote" or not scored:
        return
    name = AGGREGATIONS[selector.split("_")[1]]
    for group, weight in votes(ballots, selector).items():
        own = [AGGREGATES[name]([sigmoid(each) for each in ballot.margins]) for ballot in scored if ballot.group == group]
        assert weight == pytest.approx(sum(own))


@given(BALLOTS.filter(lambda found: len(found) <= 5), st.sampled_from(SELECTORS))
def test_the_winning_class_does_not_depend_on_the_order_unless_there_is_a_tie(ballots: list[Ballot], selector: str) -> None:
    weights = sorted(votes(ballots, selector).values(), reverse=True)
    if len(weights) > 1 and weights[0] - weights[1] < 1e-9:
        return
    winners = set()
    for order in permutations(ballots):
        place = choose(order, selector)
        winners.add(None if place is None else order[place].group)
    assert len(winners) == 1


def test_chains_choose_first_and_then_among_themselves() -> None:
    """Chain 0 says 5 twice and 7 once: 5. Chains 1 and 2 say 7: 7 wins two to one, though 7 and 5 have as many votes in all."""
    groups = [5, 5, 7, 7, 7]
    assert chosen([Ballot(group) for group in groups], [0, 0, 0, 1, 2], "majority_vote") == 3


# --- equal answers


def grouped(*answers: str | None) -> list[int | None]:
    async def run() -> list[int | None]:
        async with MathGrader() as grader:

            async def equal(first: str, second: str) -> bool:
                return (await grader.grade_answer(first, second)).outcome == "right"

            return await group_answers(answers, equal)

    return asyncio.run(run())


def test_answers_are_grouped_by_what_they_mean() -> None:
    assert grouped("1/2", "0.5", "3", r"\frac{1}{2}", None, "3.0") == [0, 0, 1, 0, None, 1]


def test_classes_are_compared_by_their_first_member_alone() -> None:
    """Equality that is not transitive: 2 is like 1 and 3, which differ. 1 comes first, so 2 joins it and 3 stands alone."""
    asked: list[tuple[str, str]] = []

    async def near(first: str, second: str) -> bool:
        asked.append((first, second))
        return abs(int(first) - int(second)) <= 1

    assert asyncio.run(group_answers(["1", "2", "3", "2"], near)) == [0, 0, 1, 0]
    assert asked == [("2", "1"), ("3", "1")]  # the second 2 is not asked about again


# --- curves over subsets


def brute(groups: list[int | None], margins: list[tuple[float, ...]], right: list[float], n: int, selector: str) -> float:
    """By looking at every subset; ties are shared out evenly."""
    total, subsets = 0.0, list(combinations(range(len(groups)), n))
    for subset in subsets:
        ballots = [Ballot(groups[place], margins[place]) for place in subset]
        if selector == PASS:
            total += any(right[place] for place in subset)
            continue
        by_score = selector != "majority_vote" and any(each.margins and each.group is not None for each in ballots)
        if by_score:
            ballots = [each if each.margins else Ballot(None) for each in ballots]
        weights = votes(ballots, selector)
        most = max(weights.values(), default=0.0)
        tops = [group for group, weight in weights.items() if weight >= most - 1e-9]
        shares = []
        for group in tops:
            own = [right[place] for place in subset if groups[place] == group and (margins[place] or not by_score)]
            shares.append(sum(own) / len(own))
        total += sum(shares) / len(shares) if shares else 0.0
    return total / len(subsets)


CASES: list[tuple[list[int | None], list[tuple[float, ...]], list[float]]] = [
    ([0, 1, 1, None, 2], [odds(0.9), odds(0.6), odds(0.5), odds(0.7), ()], [1.0, 0.0, 0.0, 0.0, 0.0]),
    ([0, 1, 1, 0, None, None], [odds(0.9, 0.3), odds(0.6, 0.8), (), odds(0.5, 0.4), (), odds(0.99)], [0, 1.0, 1.0, 0, 0, 0]),
    ([None, None, None], [odds(0.5)] * 3, [0.0, 0.0, 0.0]),
]


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("selector", [PASS, "majority_vote", "prm_min_max", "prm_last_max", "prm_prod_max", "prm_mean_max"])
def test_exact_curves_are_averages_over_all_subsets(case: int, selector: str) -> None:
    groups, margins, right = CASES[case]
    sizes = list(range(1, len(groups) + 1))
    found = expected(groups, margins, right, sizes, subsets=10, seed=0)
    assert found[selector] == pytest.approx([brute(groups, margins, right, n, selector) for n in sizes])


@pytest.mark.parametrize("selector", ["prm_min_vote", "prm_last_vote", "prm_prod_vote", "prm_mean_vote"])
def test_weighted_votes_are_averages_over_many_subsets(selector: str) -> None:
    groups, margins, right = CASES[1]
    sizes = list(range(1, len(groups) + 1))
    found = expected(groups, margins, right, sizes, subsets=20_000, seed=0)
    assert found[selector] == pytest.approx([brute(groups, margins, right, n, selector) for n in sizes], abs=0.02)
    assert found[selector][-1] == pytest.approx(brute(groups, margins, right, len(groups), selector))


def test_a_missing_score_is_no_wrong_answer() -> None:
    """All four are right, and two of them have no score: whatever is drawn is right."""
    found = expected([0] * 4, [(), (), (1.0,), (1.0,)], [1.0] * 4, [1, 2, 3, 4], subsets=50, seed=0)
    assert all(values == pytest.approx([1.0] * 4) for values in found.values())


def test_weights_may_be_as_small_as_they_like() -> None:
    """One candidate of weight 1e-15 against two of 1e-18 each."""
    margins = [odds(*[0.5] * 50), odds(*[0.45] * 50), odds(*[0.45] * 50)]
    found = expected([0, 1, 1], margins, [1.0, 0.0, 0.0], [3], subsets=10, seed=0)
    assert found["prm_prod_vote"] == [1.0]


def test_without_scores_every_selector_is_the_majority() -> None:
    found = expected([0, 0, 1], [(), (), ()], [1.0, 1.0, 0.0], [1, 3], subsets=10, seed=0)
    assert all(found[selector] == found["majority_vote"] for selector in SELECTORS)
    assert found["majority_vote"] == pytest.approx([2 / 3, 1.0])


def test_votes_of_one_candidate_are_exact_with_a_few_draws() -> None:
    for groups, margins, right in CASES:
        found = expected(groups, margins, right, [1], subsets=2, seed=0)
        for selector in SELECTORS:
            assert found[selector] == pytest.approx([brute(groups, margins, right, 1, selector)])
