"""The built-in task: programs, questions, solutions and the two halves of the question space."""

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.errors import InputError, UsageError
from openr_data.problems.arithmetic import (
    BOUND,
    DEFAULT_DIFFICULTY,
    DIFFICULTIES,
    Operation,
    Program,
    arithmetic_problems,
    draw_question,
    make_problem,
    parse_question,
    split_of,
    write_solution,
)

some_program = st.builds(
    draw_question, st.integers(0, 99), st.integers(0, 9999), st.sampled_from(DIFFICULTIES), st.sampled_from(["train", "test"])
)


@given(some_program)
@settings(max_examples=60, deadline=None)
def test_a_question_reads_back_to_its_program_and_stays_in_bounds(program: Program) -> None:
    assert parse_question(program.question) == program
    assert all(1 <= result <= BOUND for result in program.results())


def test_the_solution_of_a_program_worked_by_hand() -> None:
    program = Program(
        37,
        (
            Operation("+", 48),
            Operation("*", 6),
            Operation("-", 1, refers=True),
            Operation("//", 10),
            Operation("*", 9),
            Operation("%", 100),
        ),
    )
    assert program.question == (
        "Start with 37. Step 1: add 48. Step 2: multiply by 6. Step 3: subtract result 1. Step 4: drop the last digit. "
        "Step 5: multiply by 9. Step 6: keep the last two digits. What is the result?"
    )
    assert write_solution(program) == (
        "Step 1: 37 + 48 = 85",
        "Step 2: 85 * 6 = 510",
        "Step 3: 510 - 85 = 425",
        "Step 4: 425 // 10 = 42",
        "Step 5: 42 * 9 = 378",
        "Step 6: 378 % 100 = 78",
        "The answer is 78",
    )


def test_problems_are_unique_deterministic_and_of_the_asked_difficulty() -> None:
    problems = list(arithmetic_problems(300, 1, seed=3))
    assert problems == list(arithmetic_problems(300, 1, seed=3))
    assert len({problem.question for problem in problems}) == len({problem.id for problem in problems}) == 300
    assert problems != list(arithmetic_problems(300, 1, seed=4))
    assert all(len(parse_question(problem.question).operations) == 1 for problem in problems)
    assert make_problem(0, 123, 8).id == "arith-d08-000123"
    first = next(arithmetic_problems(1))
    assert first.difficulty == str(DEFAULT_DIFFICULTY)
    assert first.answer == str(parse_question(first.question).results()[-1])


def test_training_and_offered_questions_never_meet() -> None:
    offered = {problem.question for problem in arithmetic_problems(400, 1, seed=1)}
    trained = {draw_question(1, index, 1, "train").question for index in range(400)}
    assert not offered & trained
    assert {split_of(question) for question in offered} == {"test"}


def test_every_operation_and_references_occur() -> None:
    operations = [o for p in arithmetic_problems(100, 12) for o in parse_question(p.question).operations]
    assert {operation.symbol for operation in operations} == {"+", "-", "*", "//", "%"}
    assert 0.1 < sum(operation.refers for operation in operations) / len(operations) < 0.4


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("What is 3 + 4?", "only questions of the built-in"),
        ("Start with 3. Step 1: double it. What is the result?", "step 1"),
        ("Start with 3. Step 2: add 4. What is the result?", "numbered"),
        ("Start with 3. Step 1: add result 1. What is the result?", "refers to result 1"),
        ("Start with 3. What is the result?", "only questions of the built-in"),
    ],
)
def test_other_questions_are_refused_in_one_sentence(question: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_question(question)


def test_difficulties_outside_the_range_and_exhausted_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="between 1 and 12"):
        make_problem(0, 0, 13)
    monkeypatch.setattr("openr_data.problems.arithmetic._MAX_REPEATS", 0)
    with pytest.raises(UsageError, match="raise the difficulty"):
        list(islice(arithmetic_problems(10**6, 1), 10**6))
