"""When a run is stopped: each sign alone, with a history made for it, and none for a healthy run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openr_data.errors import UsageError
from openr_data.rl.guards import Guards, Signs, reason_to_stop, signs
from openr_data.rl.trajectory import Group, Trajectory

HEALTHY = Signs(steps=8.0, tokens=10.0, repeats=0.01, cut=0.0, right=0.5, score=0.8, lowest=0.6, total=6.4)


def after(**changes: float) -> list[Signs]:
    return [HEALTHY] * 5 + [replace(HEALTHY, **changes)] * 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 20.0}, "2.5 times as many steps"),
        ({"tokens": 40.0}, "4.0 times as many tokens"),
        ({"repeats": 0.5}, "50% of the steps"),
        ({"right": 0.3, "total": 9.0}, "from 50% to 30%"),
        ({"right": 0.3, "score": 0.9}, "the reward of steps rose"),
    ],
)
def test_each_sign_ends_a_run(changes: dict[str, float], words: str) -> None:
    assert words in reason_to_stop(after(**changes), Guards())


@pytest.mark.parametrize(
    "changes",
    [{}, {"steps": 12.0}, {"right": 0.9, "total": 9.0}, {"right": 0.3}, {"right": 0.3, "score": 0.7, "total": 5.0}, {"kl": 9.0}],
)
def test_a_healthy_run_goes_on(changes: dict[str, float]) -> None:
    assert reason_to_stop(after(**changes), Guards()) == ""


def test_guards_can_be_switched_off() -> None:
    off = Guards(steps=0, tokens=0, repeats=0, gap=0)
    assert reason_to_stop(after(steps=99.0, tokens=99.0, repeats=1.0, right=0.0, total=99.0), off) == ""


def test_the_reference_model_may_be_left_by_so_much() -> None:
    assert "0.90 nats" in reason_to_stop(after(kl=0.9), Guards(kl=0.5))


def test_nothing_is_said_before_there_is_something_to_compare() -> None:
    assert reason_to_stop(after(steps=99.0)[1:], Guards()) == ""


def test_signs_by_hand() -> None:
    good = Trajectory((1,), (2, 3, 4, 5), ("a", "b"), (2, 2), 1.0, (0.5, 0.75))
    stuck = Trajectory((1,), (2,) * 8, ("a", "a ", "a", "b"), (2,) * 4, 0.0, (None, 0.25, 0.25, 0.5), cut=True)
    found = signs([Group("q", (good, stuck))], kl=0.1)
    assert (found.steps, found.tokens, found.repeats, found.cut, found.right) == (3, 2, 2 / 6, 0.5, 0.5)
    assert found.score == pytest.approx((0.625 + 1 / 3) / 2)
    assert found.lowest == pytest.approx((0.5 + 0.25) / 2)
    assert found.total == pytest.approx((1.25 + 1.0) / 2)
    assert found.kl == 0.1


def test_without_scores_or_verdicts_nothing_is_made_up() -> None:
    found = signs([Group("q", (Trajectory((1,), (2,), ("a",), (1,), None),))])
    assert (found.right, found.score, found.lowest, found.total) == (None, None, None, None)
    with pytest.raises(ValueError, match="no solution"):
        signs([Group("q", ())])


def test_a_window_has_updates() -> None:
    with pytest.raises(UsageError, match="--guard-window is at least 1"):
        Guards(window=0)
