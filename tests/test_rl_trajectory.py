"""Which tokens belong to which step, and how rewards reach them."""

from __future__ import annotations

from random import Random

import pytest

from openr_data.errors import UsageError
from openr_data.rl.credit import Credit, Kind, token_advantages
from openr_data.rl.selection import kept
from openr_data.rl.trajectory import Group, Trajectory, step_lengths
from openr_data.steps import StepFormat

LINES = StepFormat("\n")


def lengths(pieces: list[str]) -> tuple[int, ...]:
    """Of a text of these tokens."""
    return step_lengths(range(len(pieces)), LINES.split("".join(pieces)), "\n", lambda ids: "".join(pieces[: len(ids)]))


def test_separators_belong_to_the_step_before_them_and_the_end_to_the_last() -> None:
    assert lengths(["1", "+", "1", "\n", "2", ""]) == (4, 2)
    assert lengths(["one line", ""]) == (2,)


def test_a_token_over_a_border_belongs_to_the_step_in_which_it_begins() -> None:
    assert lengths(["a", "\nb", "c"]) == (2, 1)
    assert lengths(["a\nb\nc", "d"]) == (1, 0, 1)


def test_blank_lines_stay_with_their_step() -> None:
    assert lengths(["a", "\n", "\n", "b"]) == (3, 1)
    assert lengths(["\n", "a", "\n", "b"]) == (3, 1)


def test_any_text_of_any_tokens() -> None:
    draw = Random(1)
    for _ in range(300):
        pieces = ["".join(draw.choices("ab\n ", k=draw.randint(1, 4))) for _ in range(draw.randint(1, 12))]
        steps = LINES.split("".join(pieces))
        if steps:
            found = lengths(pieces)
            assert (len(found), sum(found)) == (len(steps), len(pieces))
            assert min(found) >= 0


def solution(outcome: float | None, scores: tuple[float | None, ...] = (), *, steps: int = 2) -> Trajectory:
    return Trajectory((1,), (5,) * (3 * steps), ("x",) * steps, (3,) * steps, outcome, scores)


@pytest.mark.parametrize("kind", ["outcome", "process", "progress", "min", "sum"])
def test_every_token_gets_one_number(kind: Kind) -> None:
    group = Group("q", (solution(1.0, (0.9, 0.8)), solution(0.0, (0.9, 0.1, 0.2), steps=3)))
    found = token_advantages(group, Credit(kind))
    assert [len(line) for line in found] == [6, 9]
    assert found[0][0] > 0 > found[1][0]


def test_the_outcome_is_the_same_for_all_tokens_and_steps_are_not() -> None:
    group = Group("q", (solution(1.0, (0.9, 0.8)), solution(0.0, (0.7, 0.1))))
    assert len(set(token_advantages(group, Credit("outcome"))[1])) == 1
    assert len(set(token_advantages(group, Credit("process"))[1])) == 2


def test_progress_blames_the_step_that_went_wrong() -> None:
    group = Group("q", (solution(1.0, (0.9, 0.9, 0.95), steps=3), solution(0.0, (0.9, 0.1, 0.1), steps=3)))
    bare = token_advantages(group, Credit("progress", outcome_weight=0, baseline=False))
    assert bare[1][::3] == pytest.approx([0.9, -0.8, 0])
    right, wrong = token_advantages(group, Credit("progress", outcome_weight=0))
    assert right[::3] == pytest.approx([0, 0.8, 0])
    assert wrong[::3] == pytest.approx([0, -0.8, 0])


def test_a_step_behind_a_wrong_one_is_not_praised() -> None:
    group = Group("q", (solution(1.0, (0.9, 0.9, 0.9), steps=3), solution(0.0, (0.9, 0.1, 0.9), steps=3)))
    for kind in ("process", "progress"):
        kept, forgotten = (token_advantages(group, Credit(kind, outcome_weight=0, carry=carry))[1] for carry in (True, False))
        assert kept[3] < 0
        assert kept[-1] < forgotten[-1] or kept[-1] == 0 < forgotten[-1]


def test_wrong_answers_can_be_left_to_the_steps() -> None:
    group = Group("q", (solution(1.0, (0.9, 0.9)), solution(0.0, (0.9, 0.1))))
    for kind in ("outcome", "process", "progress", "min"):
        every, positive = (token_advantages(group, Credit(kind, process_weight=0, negative_weight=weight)) for weight in (1, 0))
        assert positive == [every[0], [0.0] * 6]
        assert max(every[1]) < 0
    assert min(token_advantages(group, Credit("progress", negative_weight=0))[1]) == pytest.approx(-0.8)


def test_weights_switch_a_part_off() -> None:
    group = Group("q", (solution(1.0, (0.5, 0.5)), solution(0.0, (0.5, 0.5))))
    assert token_advantages(group, Credit("process", outcome_weight=0)) == [[0.0] * 6] * 2
    assert token_advantages(group, Credit("process", process_weight=0)) == token_advantages(group, Credit("outcome"))


def test_what_is_not_known_teaches_nothing() -> None:
    group = Group("q", (solution(None, (None, None)), solution(1.0, (0.9, 0.9)), solution(0.0, (0.1, 0.1))))
    for kind in ("outcome", "process", "progress", "min", "sum"):
        assert token_advantages(group, Credit(kind))[0] == [0.0] * 6


def test_the_sum_prefers_more_steps_and_the_minimum_does_not() -> None:
    group = Group("q", (solution(0.0, (0.6,) * 6, steps=6), solution(0.0, (0.9, 0.9))))
    long, short = token_advantages(group, Credit("sum"))
    assert long[0] > 0 > short[0]
    long, short = token_advantages(group, Credit("min"))
    assert long[0] < short[0]


@pytest.mark.parametrize("wrong", [{"kind": "best"}, {"temperature": 0.0}, {"process_weight": -1.0}, {"negative_weight": -1.0}])
def test_credit_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Credit(**wrong)  # type: ignore[arg-type]


def test_a_trajectory_whose_parts_do_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="lengths"):
        Trajectory((1,), (2, 3), ("a",), (1,), 1.0)
    with pytest.raises(ValueError, match="scores"):
        Trajectory((1,), (2, 3), ("a",), (2,), 1.0, (0.1, 0.2))


def test_what_is_imitated_is_right_whole_and_different() -> None:
    right = Trajectory((1,), (2, 3), ("a = 1", "b"), (1, 1), 1.0, (0.9, 0.5))
    spaced = Trajectory((1,), (2, 3), ("a  = 1", "b "), (1, 1), 1.0, (0.9, 0.5))
    lucky = Trajectory((1,), (2, 3), ("a = 2", "b"), (1, 1), 1.0, (0.1, 0.9))
    better = Trajectory((1,), (2, 3), ("a = 3", "b"), (1, 1), 1.0, (0.8, 0.8))
    wrong, unknown = (Trajectory((1,), (2, 3), ("c", "d"), (1, 1), outcome) for outcome in (0.0, None))
    cut = Trajectory((1,), (2, 3), ("e", "d"), (1, 1), 1.0, cut=True)
    group = Group("q", (right, spaced, lucky, better, wrong, unknown, cut))
    assert kept(group, 0) == [better, right, lucky]
    assert kept(group, 1) == [better]
    assert kept(group, 0, least=0.3) == [better, right]
