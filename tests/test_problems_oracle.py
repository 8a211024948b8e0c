"""The oracle: right solutions have no error; each injected error is found at its place and with its kind."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.errors import InputError
from openr_data.problems.arithmetic import DIFFICULTIES, Program, draw_question, write_solution
from openr_data.problems.oracle import ErrorKind, Judgement, finish_exactly, judge
from openr_data.types import NO_ERROR, Steps

QUESTION = "Start with 37. Step 1: add 48. Step 2: multiply by 6. Step 3: subtract result 1. Step 4: add 5. What is the result?"
LINES = ("Step 1: 37 + 48 = 85", "Step 2: 85 * 6 = 510", "Step 3: 510 - 85 = 425", "Step 4: 425 + 5 = 430", "The answer is 430")

some_program = st.builds(draw_question, st.integers(0, 99), st.integers(0, 9999), st.sampled_from(DIFFICULTIES), st.just("test"))


@given(some_program)
@settings(max_examples=60, deadline=None)
def test_a_correct_solution_has_no_error(program: Program) -> None:
    steps = write_solution(program)
    judged = judge(program.question, steps)
    assert judged.right
    assert judged.first_error == judged.first_wrong_state == NO_ERROR
    assert judged.kind is None
    assert not judged.recovered
    assert not any(judged.revisions)
    assert all(judge(program.question, steps[:end]).states == (True,) * end for end in range(len(steps) + 1))


def test_the_oracle_agrees_with_the_hand_worked_solution() -> None:
    judged = judge(QUESTION, LINES)
    assert judged.right
    assert judged.results[2] == {0: 37, 1: 85, 2: 510, 3: 425}
    assert judged.results[4] is None


@pytest.mark.parametrize(
    ("line", "text", "kind"),
    [
        (0, "Step 1: 37 + 48 = 75", "arithmetic"),
        (1, "Step 2: 58 * 6 = 348", "operand"),
        (2, "Step 3: 510 - 48 = 462", "operand"),
        (2, "Step 3: 510 + 85 = 595", "operation"),
        (1, "Step 3: 85 - 85 = 0", "skipped"),
        (2, "The answer is 510", "skipped"),
        (1, "Step 1: 85 * 6 = 510", "number"),
        (1, "Step 9: 85 * 6 = 510", "number"),
        (1, "Step 0: 85 * 6 = 510", "number"),
        (1, "Step 2: wait, 85 * 6 = 510", "number"),
        (1, "Step 2: 85 x 6 = 510", "format"),
        (1, "Step 2: 085 * 6 = 510", "format"),
        (1, "", "format"),
        (4, "The answer is 85", "answer"),
        (4, "Step 4: 425 + 5 = 430", "number"),
    ],
)
def test_each_kind_of_error_is_found_where_it_stands(line: int, text: str, kind: ErrorKind) -> None:
    judged = judge(QUESTION, (*LINES[:line], text, *LINES[line + 1 :]))
    assert (judged.first_error, judged.kind) == (line, kind)


@pytest.mark.parametrize("after", ["Step 4: 425 + 5 = 430", "thank you", "The answer is 430"])
def test_nothing_may_follow_the_answer(after: str) -> None:
    judged = judge(QUESTION, (*LINES, after))
    assert (judged.first_error, judged.kind, judged.right) == (5, "format", True)


def _with_slip(program: Program, line: int, change: int) -> Steps:
    """A wrong sum in one line, and exact work from there."""
    results = dict(enumerate(program.results()[: line + 1]))
    steps = list(write_solution(program)[: line + 1])
    head, value = steps[line].split(" = ")
    steps[line] = f"{head} = {int(value) + change}"
    results[line + 1] = int(value) + change
    if (answer := finish_exactly(program, results)) is None:
        raise AssertionError("nothing was skipped")
    return (*steps, *_rest(program, results), f"The answer is {answer}")


def _rest(program: Program, results: dict[int, int]) -> Steps:
    from openr_data.problems.arithmetic import calculation, compute

    lines = []
    for number in range(max(results) + 1, len(program.operations) + 1):
        operation = program.operations[number - 1]
        right = results[operation.operand] if operation.refers else operation.operand
        results[number] = compute(results[number - 1], operation.symbol, right)
        lines.append(calculation(number, results[number - 1], operation.symbol, right, results[number]))
    return tuple(lines)


@given(some_program, st.data())
@settings(max_examples=60, deadline=None)
def test_a_slip_is_the_only_local_error_and_the_state_tells_whether_it_matters(program: Program, data: st.DataObject) -> None:
    line = data.draw(st.integers(0, len(program.operations) - 1))
    change = data.draw(st.integers(-500, 500).filter(bool))
    judged = judge(program.question, _with_slip(program, line, change))
    assert judged.kinds == (None,) * line + ("arithmetic",) + (None,) * (len(judged.kinds) - line - 1)
    assert all(judged.states[:line])
    assert judged.first_wrong_state in {NO_ERROR, line}
    assert judged.right == (judged.first_wrong_state == NO_ERROR), "exact work after the slip decides the answer at once"


@given(some_program, st.data())
@settings(max_examples=60, deadline=None)
def test_a_revision_takes_a_slip_back(program: Program, data: st.DataObject) -> None:
    right, line = write_solution(program), data.draw(st.integers(0, len(program.operations) - 1))
    slip = _with_slip(program, line, 1)[line]
    judged = judge(program.question, (*right[:line], slip, right[line].replace(": ", ": wait, "), *right[line + 1 :]))
    assert judged.kinds == (None,) * line + ("arithmetic",) + (None,) * (len(right) - line)
    assert judged.revisions.index(True) == line + 1
    assert judged.right
    assert judged.recovered == (judged.first_wrong_state == line)


def test_a_skipped_step_can_be_taken_back() -> None:
    wait = LINES[1].replace(": ", ": wait, ")
    judged = judge(QUESTION, (LINES[0], "Step 3: 85 - 85 = 0", wait, *LINES[2:]))
    assert judged.kinds == (None, "skipped", None, None, None, None)
    assert judged.states == (True, False, True, True, True, True)
    assert judged.recovered


def test_a_revision_reaches_back_over_several_lines_and_drops_what_followed() -> None:
    judged = judge(QUESTION, ("Step 1: 37 + 48 = 75", "Step 2: 75 * 6 = 450", "Step 1: wait, 37 + 48 = 85"))
    assert judged.states == (False, False, True)
    assert judged.results[-1] == {0: 37, 1: 85}


def test_a_reference_to_a_skipped_result_is_lost() -> None:
    judged = judge(QUESTION, ("Step 2: 37 * 6 = 222", "Step 3: 222 - 85 = 137"))
    assert judged.kinds == ("skipped", "operand")
    assert judged.states == (False, False)


@given(
    st.lists(
        st.text(max_size=30) | st.sampled_from(LINES) | st.from_regex(r"\AStep \d: (wait, )?-?\d{1,3} (//|%|\*) 0 = \d\Z"),
        max_size=8,
    )
)
@settings(max_examples=100, deadline=None)
def test_any_text_is_judged(steps: list[str]) -> None:
    judged = judge(QUESTION, tuple(steps))
    assert isinstance(judged, Judgement)
    assert len(judged.kinds) == len(judged.states) == len(judged.revisions) == len(judged.results) == len(steps)


def test_lines_of_another_program_go_wrong_at_once() -> None:
    rng = Random(0)
    other = draw_question(0, rng.randrange(999), 4, "test")
    assert judge(QUESTION, write_solution(other)).first_error == 0


def test_a_foreign_question_is_refused() -> None:
    with pytest.raises(InputError, match="built-in arithmetic task"):
        judge("What is 3 + 4?", ("The answer is 7",))
