"""The built-in task: chains of operations on whole numbers, with a difficulty knob. Knows no model and no tokenizer.

A problem is a program of `difficulty` operations. Every result lies between 1 and 999, and an operation may refer to an
earlier result, so that a wrong copy differs from a wrong sum. The correct solution has a line for every operation and one for
the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Literal

from openr_data.errors import InputError, UsageError
from openr_data.types import Problem, Steps

Symbol = Literal["+", "-", "*", "//", "%"]
Split = Literal["train", "test"]

BOUND = 999
"""Largest value of any result; the smallest is 1."""
DIFFICULTIES = range(1, 13)
"""Numbers of operations that are offered, and that the built-in policy was trained on."""
DEFAULT_DIFFICULTY = 8

_MAX_REPEATS = 10_000
_PHRASES: dict[Symbol, str] = {
    "+": "add {}",
    "-": "subtract {}",
    "*": "multiply by {}",
    "//": "drop the last digit",
    "%": "keep the last two digits",
}
_FIXED: dict[Symbol, int] = {"//": 10, "%": 100}
_INSTRUCTION = re.compile(
    r"(?P<verb>add|subtract|multiply by) (?P<refers>result )?(?P<operand>\d{1,9})"
    r"|(?P<fixed>drop the last digit|keep the last two digits)"
)
_QUESTION = re.compile(r"Start with (\d{1,9})\.((?: Step \d{1,4}: [^.]+\.)+) What is the result\?")
_STEP = re.compile(r" Step (\d{1,4}): ([^.]+)\.")


@dataclass(frozen=True, slots=True)
class Operation:
    """`value symbol operand`; with `refers`, the operand is the number of an earlier result instead of a constant."""

    symbol: Symbol
    operand: int
    refers: bool = False

    def right(self, results: Sequence[int]) -> int:
        """The right operand, given the results so far (`results[0]` is the start)."""
        return results[self.operand] if self.refers else self.operand

    def __str__(self) -> str:
        return _PHRASES[self.symbol].format(f"result {self.operand}" if self.refers else self.operand)


@dataclass(frozen=True, slots=True)
class Program:
    start: int
    operations: tuple[Operation, ...]

    def results(self) -> tuple[int, ...]:
        """The start, then the result of every operation.

        >>> Program(5, (Operation("*", 3), Operation("+", 20), Operation("-", 1, refers=True))).results()
        (5, 15, 35, 20)
        """
        results = [self.start]
        for operation in self.operations:
            results.append(compute(results[-1], operation.symbol, operation.right(results)))
        return tuple(results)

    @property
    def question(self) -> str:
        """The text of the problem.

        >>> Program(37, (Operation("+", 48), Operation("-", 1, refers=True))).question
        'Start with 37. Step 1: add 48. Step 2: subtract result 1. What is the result?'
        """
        steps = "".join(f" Step {number}: {operation}." for number, operation in enumerate(self.operations, 1))
        return f"Start with {self.start}.{steps} What is the result?"


def compute(left: int, symbol: Symbol, right: int) -> int:
    """The exact result. `right` must not be 0 for `//` and `%`."""
    match symbol:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "//":
            return left // right
        case "%":
            return left % right


def parse_question(question: str) -> Program:
    """The program of a question written by this module; raises `InputError` for any other text."""
    match = _QUESTION.fullmatch(question.strip())
    if match is None:
        raise InputError("the oracle knows only questions of the built-in arithmetic task ('Start with 37. Step 1: add 48. ...')")
    parts = _STEP.findall(match[2])
    operations = tuple(_parse_operation(text, number) for number, (_, text) in enumerate(parts, 1))
    if [int(number) for number, _ in parts] != list(range(1, len(parts) + 1)):
        raise InputError("the steps of the question are not numbered 1, 2, 3, ...")
    return Program(int(match[1]), operations)


def _parse_operation(text: str, number: int) -> Operation:
    match = _INSTRUCTION.fullmatch(text)
    if match is None:
        raise InputError(f"step {number} of the question is not an operation of the built-in arithmetic task: '{text}'")
    symbol: Symbol = next(symbol for symbol, phrase in _PHRASES.items() if phrase.startswith(match["verb"] or match["fixed"]))
    if match["fixed"]:
        return Operation(symbol, _FIXED[symbol])
    operation = Operation(symbol, int(match["operand"]), refers=match["refers"] is not None)
    if operation.refers and not 1 <= operation.operand < number:
        raise InputError(f"step {number} of the question refers to result {operation.operand}, which does not come before it")
    return operation


def calculation(number: int, left: int, symbol: Symbol, right: int, result: int, *, wait: bool = False) -> str:
    """One line of a solution; `wait` marks a line that replaces the result of a step already written.

    >>> calculation(4, 85, "-", 10, 75, wait=True)
    'Step 4: wait, 85 - 10 = 75'
    """
    return f"Step {number}: {'wait, ' if wait else ''}{left} {symbol} {right} = {result}"


def answer_line(answer: int) -> str:
    return f"The answer is {answer}"


def write_solution(program: Program) -> Steps:
    """The correct solution.

    >>> write_solution(Program(37, (Operation("+", 48),)))
    ('Step 1: 37 + 48 = 85', 'The answer is 85')
    """
    results = program.results()
    lines = [
        calculation(number, results[number - 1], operation.symbol, operation.right(results), results[number])
        for number, operation in enumerate(program.operations, 1)
    ]
    return (*lines, answer_line(results[-1]))


def draw_program(rng: Random, difficulty: int) -> Program:
    """A program of `difficulty` operations whose results all lie in 1..`BOUND`."""
    results = [rng.randint(2, 99)]
    operations: list[Operation] = []
    for _ in range(difficulty):
        operation = _draw_operation(rng, results)
        operations.append(operation)
        results.append(compute(results[-1], operation.symbol, operation.right(results)))
    return Program(results[0], tuple(operations))


def _draw_operation(rng: Random, results: Sequence[int]) -> Operation:
    value = results[-1]
    references = [number for number in range(1, len(results) - 1) if results[number] != value]
    if references and rng.random() < 0.3:
        number = rng.choice(references)
        if value + results[number] <= BOUND and (value < results[number] or rng.random() < 0.5):
            return Operation("+", number, refers=True)
        if value > results[number]:
            return Operation("-", number, refers=True)
    weights: dict[Symbol, int] = {
        "+": 3 * (value <= BOUND - 10),
        "-": 3 * (value >= 10),
        "*": 3 * (2 <= value <= BOUND // 2),
        "//": int(value >= 100),
        "%": int(value >= 100 and value % 100 > 0),
    }
    return _with_constant(rng, rng.choice([symbol for symbol, weight in weights.items() for _ in range(weight)]), value)


def _with_constant(rng: Random, symbol: Symbol, value: int) -> Operation:
    if symbol in _FIXED:
        return Operation(symbol, _FIXED[symbol])
    if symbol == "*":
        return Operation(symbol, rng.randint(2, min(9, BOUND // value)))
    largest = BOUND - value if symbol == "+" else value - 1
    return Operation(symbol, rng.randint(2, min(largest, rng.choice((99, 499)))))


def split_of(question: str) -> Split:
    """Half of all questions are for training, the other half for everything else: decided by a hash of the text alone."""
    return "train" if blake2b(question.encode(), digest_size=1).digest()[0] & 1 else "test"


def draw_question(seed: int, index: int, difficulty: int, split: Split) -> Program:
    """The program number `index` of a seed: always the same one, and always of that split."""
    if difficulty not in DIFFICULTIES:
        raise UsageError(f"the difficulty must lie between {DIFFICULTIES[0]} and {DIFFICULTIES[-1]}, not {difficulty}")
    rng = Random(f"{split}/{seed}/{difficulty}/{index}")
    while True:
        program = draw_program(rng, difficulty)
        if split_of(program.question) == split:
            return program


def make_problem(seed: int, index: int, difficulty: int = DEFAULT_DIFFICULTY, split: Split = "test") -> Problem:
    """Problem number `index` of a seed. The built-in policy was trained on no question of the split `test`.

    >>> make_problem(0, 123, 8).id, make_problem(0, 123, 8, "train").id
    ('arith-d08-000123', 'arith-train-d08-000123')
    """
    program = draw_question(seed, index, difficulty, split)
    return Problem(
        id=f"arith-{'' if split == 'test' else 'train-'}d{difficulty:02d}-{index:06d}",
        question=program.question,
        answer=str(program.results()[-1]),
        source="builtin:arithmetic",
        difficulty=str(difficulty),
        metadata={"seed": str(seed)},
    )


def arithmetic_problems(count: int, difficulty: int = DEFAULT_DIFFICULTY, seed: int = 0, split: str = "") -> Iterator[Problem]:
    """`count` problems with different questions: the indices of the seed in order, less those that repeat a question.

    Raises `UsageError` when a low difficulty has no more different questions to offer, and for a split that is not `train`,
    `test` or empty (`test`).
    """
    if split not in {"", "train", "test"}:
        raise UsageError(f"the built-in task has the splits train and test, and no '{split}'")
    half: Split = "train" if split == "train" else "test"
    seen: set[bytes] = set()
    index = repeats = 0
    while len(seen) < count:
        problem = make_problem(seed, index, difficulty, half)
        index += 1
        key = blake2b(problem.question.encode(), digest_size=8).digest()
        if key not in seen:
            seen.add(key)
            repeats = 0
            yield problem
        elif (repeats := repeats + 1) >= _MAX_REPEATS:
            raise UsageError(
                f"there are only about {len(seen)} different questions of difficulty {difficulty}; raise the difficulty"
            )
