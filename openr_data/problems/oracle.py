"""The exact judge of solutions of the built-in task: names the first wrong line and its kind. Knows no model and no rollouts.

Two readings of "wrong" are kept apart. A line has a *local error* when it is not what its step asks for, given the lines before
it: what a person would mark. A *state* is wrong when finishing the program exactly from there misses the reference answer: what a
Monte Carlo estimate measures. They differ where an error does not matter in the end, or where a later line takes it back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from openr_data.problems.arithmetic import Program, Symbol, compute, parse_question
from openr_data.types import NO_ERROR

ErrorKind = Literal["arithmetic", "operand", "operation", "skipped", "number", "format", "answer"]
"""A wrong result of the right operands; a wrong operand; a wrong operation; a step left out; a step number that is out of order;
a line that cannot be read or that follows the answer; an answer line that does not repeat the last result."""

_NUMBER = r"(-?(?:0|[1-9]\d{0,17}))"
_LINE = re.compile(rf"Step (0|[1-9]\d{{0,3}}): (wait, )?{_NUMBER} (\+|-|\*|//|%) {_NUMBER} = {_NUMBER}")
_ANSWER = re.compile(rf"The answer is {_NUMBER}")

Results = Mapping[int, int]
"""What the lines so far say: step number (0: the start) to value. The largest number is the step that was written last."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the oracle says of a solution, or of a prefix of one; every tuple has one entry per line.

    `kinds` are the local errors (`None`: the line is right), `states` say whether the right answer can still be reached exactly,
    `revisions` mark the lines that take back an earlier one, and `results` are the values that stand after each line
    (`None` after the answer). `right`: the answer given at the end is the reference answer.
    """

    kinds: tuple[ErrorKind | None, ...]
    states: tuple[bool, ...]
    revisions: tuple[bool, ...]
    results: tuple[Results | None, ...]
    right: bool

    @property
    def first_error(self) -> int:
        """Index of the first line with a local error, or `NO_ERROR`."""
        return next((index for index, kind in enumerate(self.kinds) if kind), NO_ERROR)

    @property
    def kind(self) -> ErrorKind | None:
        """The kind of the first local error."""
        return next((kind for kind in self.kinds if kind), None)

    @property
    def first_wrong_state(self) -> int:
        """Index of the first line after which exact work no longer reaches the answer, or `NO_ERROR`."""
        return self.states.index(False) if False in self.states else NO_ERROR

    @property
    def recovered(self) -> bool:
        """A state was wrong, and the answer is right all the same."""
        return self.right and self.first_wrong_state != NO_ERROR


def judge(question: str, steps: Sequence[str]) -> Judgement:
    """Judge the lines of a solution. Never raises on the text of a solution; `InputError` when the question is of another task.

    >>> judged = judge("Start with 37. Step 1: add 48. What is the result?", ("Step 1: 37 + 48 = 75", "The answer is 75"))
    >>> judged.first_error, judged.kind, judged.right
    (0, 'arithmetic', False)
    """
    walk = _Walk(parse_question(question))
    kinds: list[ErrorKind | None] = []
    states: list[bool] = []
    revisions: list[bool] = []
    results: list[Results | None] = []
    for step in steps:
        revision, kind = walk.read(step.strip())
        kinds.append(kind)
        states.append(walk.on_track())
        revisions.append(revision)
        results.append(None if walk.answer is not None else dict(walk.results))
    return Judgement(tuple(kinds), tuple(states), tuple(revisions), tuple(results), walk.answer == walk.gold)


def finish_exactly(program: Program, results: Results) -> int | None:
    """The answer that exact work reaches from these results; `None` when it needs a result that was skipped."""
    known = dict(results)
    for number in range(max(known) + 1, len(program.operations) + 1):
        operation = program.operations[number - 1]
        right = known.get(operation.operand) if operation.refers else operation.operand
        if right is None:
            return None
        known[number] = compute(known[number - 1], operation.symbol, right)
    return known[len(program.operations)]


class _Walk:
    """Reads a solution line by line and keeps what it says."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.gold = program.results()[-1]
        self.results: dict[int, int] = {0: program.start}
        self.answer: int | None = None

    def read(self, line: str) -> tuple[bool, ErrorKind | None]:
        """Whether the line revises an earlier one, and its local error."""
        if match := _ANSWER.fullmatch(line):
            return False, self._read_answer(int(match[1]))
        match = _LINE.fullmatch(line)
        if match is None or self.answer is not None:
            return False, "format"
        number, left, right, result = (int(match[group]) for group in (1, 3, 5, 6))
        return self._read_step(number, match[2] is not None, (left, cast("Symbol", match[4]), right, result))

    def on_track(self) -> bool:
        return (finish_exactly(self.program, self.results) if self.answer is None else self.answer) == self.gold

    def _read_answer(self, value: int) -> ErrorKind | None:
        repeated, done = self.answer is not None, max(self.results)
        self.answer = value
        if repeated:
            return "format"
        if done < len(self.program.operations):
            return "skipped"
        return None if value == self.results[done] else "answer"

    def _read_step(self, number: int, wait: bool, line: tuple[int, Symbol, int, int]) -> tuple[bool, ErrorKind | None]:
        done = max(self.results)
        revision = wait and 1 <= number <= done and number - 1 in self.results
        if not 1 <= number <= len(self.program.operations):
            return False, "number"
        known = {step: value for step, value in self.results.items() if step < number}
        kind: ErrorKind | None = self._error(known, number, line) if number - 1 in known else "number"
        if number > done + 1:
            kind = "skipped"
        elif not revision and (wait or number != done + 1):
            kind = "number"
        self.results = {**known, number: line[3]}
        return revision, kind

    def _error(self, known: Results, number: int, line: tuple[int, Symbol, int, int]) -> ErrorKind | None:
        left, symbol, right, result = line
        operation = self.program.operations[number - 1]
        expected = known.get(operation.operand) if operation.refers else operation.operand
        if symbol != operation.symbol:
            return "operation"
        if left != known[number - 1] or right != expected:
            return "operand"
        return None if compute(left, symbol, right) == result else "arithmetic"
