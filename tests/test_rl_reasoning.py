"""Reasoning between marks is learnt from, and graders and process reward models do not see it."""

from __future__ import annotations

from random import Random

import pytest

from openr_data.errors import UsageError
from openr_data.rl.reasoning import Reasoning

ROUND, THINK = Reasoning("(", ")"), Reasoning("<think>", "</think>")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no marks", "no marks"),
        ("a (b) c (d)(e) f", "a c f"),
        ("(a\nb) c", "c"),
        ("a (never closed", "a "),
        ("begun in the prompt) 5", "5"),
        ("a) b (c) d", "b d"),
        ("", ""),
        ("a ) b", "b"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert ROUND.shown(text) == shown


def test_longer_marks() -> None:
    assert THINK.shown("<think>1 < 2</think>\nThe answer is 2") == "\nThe answer is 2"


@pytest.mark.parametrize(
    ("steps", "lengths", "found"),
    [
        (("a", "b"), (2, 3), (("a", "b"), (2, 3))),
        (("(x) a", "(y) b"), (2, 3), (("a", "b"), (2, 3))),
        (("(x", "y", "z) a", "b"), (1, 2, 3, 4), (("a", "b"), (6, 4))),
        (("a", "(x)"), (1, 2), (("a",), (3,))),
        (("(x)", "(y)"), (1, 2), (("",), (3,))),
        (("x", "y) a"), (1, 2), (("a",), (3,))),
    ],
)
def test_tokens_of_reasoning_belong_to_the_step_it_led_to(
    steps: tuple[str, ...], lengths: tuple[int, ...], found: tuple[tuple[str, ...], tuple[int, ...]]
) -> None:
    assert ROUND.apart(steps, lengths) == found


def test_no_token_is_lost_and_no_step_is_blank() -> None:
    draw = Random(3)
    for _ in range(300):
        steps = tuple("".join(draw.choices("ab() ", k=draw.randint(1, 6))) for _ in range(draw.randint(1, 6)))
        lengths = [draw.randint(0, 4) for _ in steps]
        shown, tokens = ROUND.apart(steps, lengths)
        assert sum(tokens) == sum(lengths)
        assert len(shown) == len(tokens)
        assert shown == ("",) or all(each.strip() for each in shown)


@pytest.mark.parametrize("marks", ["<think>", "a b c", "x x"])
def test_marks_that_are_no_two_are_refused(marks: str) -> None:
    with pytest.raises(UsageError):
        Reasoning.of(marks)


def test_nothing_is_no_reasoning() -> None:
    assert Reasoning.of(" ") is None
    assert Reasoning.of("<think> </think>") == THINK
