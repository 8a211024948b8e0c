"""Advantages against cases worked by hand, and the properties that their papers claim."""

from __future__ import annotations

from math import exp, sqrt
from random import Random

import pytest

from openr_data.rl.advantages.carried import carried
from openr_data.rl.advantages.centred import centred
from openr_data.rl.advantages.gae import gae, token_discounts, token_rewards
from openr_data.rl.advantages.grouped import EPSILON, grpo, rloo
from openr_data.rl.advantages.min_form import min_form, strict_minimum, weighted
from openr_data.rl.advantages.process import process_grpo, to_go
from openr_data.rl.advantages.progress import progress
from openr_data.rl.advantages.spread import spread


def test_grpo_by_hand() -> None:
    """Rewards 1, 0, 0, 1: mean 1/2, sample deviation sqrt(1/3)."""
    unit = 0.5 / (sqrt(1 / 3) + EPSILON)
    assert grpo([1, 0, 0, 1]) == pytest.approx([unit, -unit, -unit, unit])
    assert grpo([1, 0, 0, 1], scale=False) == [0.5, -0.5, -0.5, 0.5]


def test_what_is_not_known_is_in_no_mean() -> None:
    assert grpo([1, None, 0, None]) == pytest.approx([*grpo([1, 0])[:1], 0, *grpo([1, 0])[1:], 0])
    assert rloo([1.0, None, 0.5]) == [0.5, 0, -0.5]
    assert grpo([None, None]) == [0.0, 0.0] == rloo([None, None])


@pytest.mark.parametrize("rewards", [[1.0, 1.0, 1.0], [0.0], [], [0.3, 0.3]])
def test_equal_rewards_teach_nothing(rewards: list[float]) -> None:
    assert grpo(rewards) == [0.0] * len(rewards) == rloo(rewards)


def test_rloo_is_grpo_without_scale_up_to_a_factor() -> None:
    """R_i - mean of the others = n / (n - 1) * (R_i - mean)."""
    draw = Random(1)
    rewards = [draw.random() for _ in range(6)]
    assert rloo(rewards) == pytest.approx([each * 6 / 5 for each in grpo(rewards, scale=False)])


def test_process_grpo_by_hand() -> None:
    """Steps 1, 0 and 1, 1, 0: mean 3/5, so .4 -.6 and .4 .4 -.6; sums from each step on."""
    found = process_grpo([[1, 0], [1, 1, 0]], scale=False)
    assert found[0] == pytest.approx([-0.2, -0.6])
    assert found[1] == pytest.approx([0.2, -0.2, -0.6])
    scaled = process_grpo([[1, 0], [1, 1, 0]])
    assert scaled[1] == pytest.approx([each / (sqrt(0.3) + EPSILON) for each in found[1]])


def test_the_first_steps_of_a_group_have_advantages_that_sum_to_zero() -> None:
    draw = Random(2)
    group = [[draw.random() for _ in range(draw.randint(1, 6))] for _ in range(5)]
    assert sum(each[0] for each in process_grpo(group)) == pytest.approx(0, abs=1e-9)


def test_an_unknown_step_adds_nothing_to_those_before_it() -> None:
    found = process_grpo([[1, None, 0], [1, 0]], scale=False)
    assert found[0] == pytest.approx([0, -0.5, -0.5])


def test_the_sum_form_pays_for_steps_and_process_grpo_does_not() -> None:
    """A long solution of mediocre steps against a short one of good steps."""
    group = [[0.3] * 20, [0.9] * 2]
    assert to_go(group[0])[0] > to_go(group[1])[0]
    long, short = process_grpo(group)
    assert long[0] < 0 < short[0]
    assert strict_minimum(group[0])[0] < strict_minimum(group[1])[0]


def test_discounted_sums_by_hand() -> None:
    assert to_go([1, 1, 1], 0.5) == [1.75, 1.5, 1.0]


def test_strict_minimum_looks_ahead_only() -> None:
    assert strict_minimum([0.1, 0.9, 0.5, 0.7]) == [0.1, 0.5, 0.5, 0.7]
    assert strict_minimum([None, None]) == [0.0, 0.0]


def test_weights_of_the_soft_minimum_by_hand() -> None:
    """Rewards 0 and 0.1 at temperature 0.1: weights 1 / (1 + 1/e) and 1 / (1 + e)."""
    first, second = weighted([0.0, 0.1])
    assert first == 0.0
    assert second == pytest.approx(0.1 / (1 + exp(1)))


def test_the_soft_minimum_comes_near_the_minimum() -> None:
    draw = Random(3)
    for _ in range(50):
        rewards = [draw.uniform(-1, 1) for _ in range(draw.randint(1, 8))]
        near = sum(each for each in weighted(rewards, 0.001) if each is not None)
        gap = sorted(rewards)
        if len(gap) == 1 or gap[1] - gap[0] > 0.05:
            assert near == pytest.approx(min(rewards), abs=1e-6)


def test_min_form_by_hand() -> None:
    """One step each, so weights are 1. The other's 1.0 over its 2 tokens is .5 a token: 3 tokens cost 1.5."""
    assert min_form([[-1.0], [1.0]], [[3], [2]]) == [[pytest.approx(-1 - 3 * 0.5)], [pytest.approx(1 - 2 * (-1 / 3))]]


def test_min_form_without_others_or_scores() -> None:
    assert min_form([[0.5]], [[4]]) == [[0.5]]
    assert min_form([[None, None], [0.5]], [[4, 4], [2]]) == [[0.0, 0.0], [0.5]]


def test_min_form_blames_the_worst_step_and_those_before_it() -> None:
    found = min_form([[0.9, -0.9, 0.9], [0.0, 0.0, 0.0]], [[5, 5, 5], [5, 5, 5]])[0]
    assert found[0] < -0.8
    assert found[1] < -0.8
    assert found[2] == pytest.approx(0, abs=1e-3)


def reference_gae(rewards: list[float], values: list[float], discount: float, decay: float) -> list[float]:
    """The definition: A_u = sum over l of (discount * decay)^l delta_{u+l}."""
    ahead = [*values[1:], 0.0]
    deltas = [r + discount * v1 - v for r, v1, v in zip(rewards, ahead, values, strict=True)]
    return [sum((discount * decay) ** (at - u) * deltas[at] for at in range(u, len(deltas))) for u in range(len(deltas))]


def test_gae_is_its_definition() -> None:
    draw = Random(4)
    rewards, values = ([draw.random() for _ in range(7)] for _ in range(2))
    advantages, targets = gae(rewards, values, [0.9] * 7, 0.8)
    assert advantages == pytest.approx(reference_gae(rewards, values, 0.9, 0.8))
    assert targets == pytest.approx([a + v for a, v in zip(advantages, values, strict=True)])


def test_without_decay_it_is_one_step_and_with_all_of_it_the_sum() -> None:
    rewards, values = [0.0, 1.0, 0.5], [0.3, 0.2, 0.1]
    assert gae(rewards, values, [1.0] * 3, 0.0)[0] == pytest.approx([-0.1, 0.9, 0.4])
    assert gae(rewards, values, [1.0] * 3, 1.0)[1] == pytest.approx(to_go(rewards))


def test_levels_agree_where_they_must() -> None:
    """With decay 1 and a critic of 0 every token of a step has the step's return, at the token level as at the step level."""
    rewards, lengths = [0.2, 1.0], [3, 2]
    steps, _ = gae(rewards, [0.0] * 2, [0.9] * 2, 1.0)
    tokens, _ = gae(token_rewards(rewards, lengths), [0.0] * 5, token_discounts(lengths, 0.9), 1.0)
    assert tokens == pytest.approx(spread(steps, lengths))


def test_a_step_within_another_token_gives_its_reward_there() -> None:
    assert token_rewards([0.5, 0.25, 1.0], [2, 0, 1]) == [0.0, 0.75, 1.0]


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        gae([1.0], [0.0, 0.0], [1.0], 1.0)


def test_progress_by_hand() -> None:
    assert progress([0.75, 0.25, 0.5]) == [0.75, -0.5, 0.25]
    assert progress([0.5, None, 0.5, 0.25]) == [0.5, None, None, -0.25]
    assert progress([]) == []


def test_a_baseline_by_hand() -> None:
    """The others' means are .65, .65 and .8 at the first step, and .1 and -.5 at the second."""
    found = centred([[0.8, -0.5], [0.8, 0.1], [0.5]])
    assert [each for line in found for each in line] == pytest.approx([0.15, -0.6, 0.15, 0.6, -0.3])
    assert centred([[None, 1.0], [0.5, 0.0]]) == [[0.0, 1.0], [0.5, -1.0]]
    assert centred([]) == []


def test_a_step_that_only_one_solution_has_keeps_its_blame() -> None:
    assert centred([progress([0.75, 0.75, 0.25]), progress([0.75])]) == [[0.0, 0.0, -0.5], [0.0]]


def test_progress_prefers_no_number_of_steps_and_no_place() -> None:
    """Equal scores teach nothing, however many steps; over solutions that share a step, the advantages add up to nothing."""
    assert centred([progress([0.75] * 9), progress([0.75] * 2)]) == [[0.0] * 9, [0.0] * 2]
    draw = Random(5)
    found = centred([progress([draw.random() for _ in range(draw.randint(1, 6))]) for _ in range(5)])
    for place in range(6):
        there = [line[place] for line in found if place < len(line)]
        assert sum(there) == pytest.approx(0, abs=1e-12) or len(there) == 1


def test_late_errors_push_every_token_down_without_a_baseline() -> None:
    """Two solutions of six steps, one of which goes wrong at the fifth: standardised sums are below 0 on the whole."""
    sums = process_grpo([[0.9] * 6, [0.9] * 4 + [0.1] * 2])
    assert sum(each for line in sums for each in line) < -5
    assert sum(each for line in centred(sums) for each in line) == pytest.approx(0)


def test_scores_behind_a_wrong_step_are_no_higher() -> None:
    assert carried([0.9, 0.95, 0.2, 0.8, 0.1]) == [0.9, 0.9, 0.2, 0.2, 0.1]
    assert carried([None, 0.5, None, 0.7]) == [None, 0.5, None, 0.5]
    assert carried([]) == []
