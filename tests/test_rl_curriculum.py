"""The level of questions follows the share of right answers."""

from __future__ import annotations

from random import Random

import pytest

from openr_data.errors import UsageError
from openr_data.rl.curriculum import Curriculum, next_level


def test_it_begins_at_the_easiest_level_and_rises_one_at_a_time() -> None:
    past: list[tuple[int, float]] = []
    for _ in range(10):
        past.append((next_level(past, 3, Curriculum()), 0.9))
    assert [level for level, _ in past] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]


def test_it_falls_where_hardly_anything_is_right() -> None:
    past = [(2, 0.1), (2, 0.1), (2, 0.1)]
    assert next_level(past, 5, Curriculum()) == 1
    assert next_level([(0, 0.0)] * 3, 5, Curriculum()) == 0


def test_between_the_bounds_it_stays() -> None:
    assert next_level([(1, 0.2), (1, 0.5), (1, 0.8)], 5, Curriculum()) == 1


def test_what_was_seen_of_another_level_does_not_count() -> None:
    assert next_level([(0, 0.9), (1, 0.9), (1, 0.9)], 5, Curriculum()) == 1


def test_a_learner_is_kept_where_it_can_learn() -> None:
    """Right with probability skill - level / 10: the share of right answers comes to lie between the bounds."""
    draw, past, skill = Random(0), list[tuple[int, float]](), 0.9
    for update in range(200):
        level = next_level(past, 10, Curriculum())
        chance = min(1.0, max(0.0, skill - level / 10 + update / 400))
        past.append((level, sum(draw.random() < chance for _ in range(100)) / 100))
    assert all(0.15 < rate < 0.9 for _, rate in past[20:])
    assert past[-1][0] > past[40][0]


@pytest.mark.parametrize("wrong", [{"low": 0.9}, {"high": 1.1}, {"window": 0}])
def test_what_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="curriculum"):
        Curriculum(**wrong)  # type: ignore[arg-type]
