"""Training texts of the built-in policy: solutions with slips, and solutions of its own that are taken back. Knows no tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from openr_data.pipelines.builtin_config import SlipRates
from openr_data.problems.arithmetic import Operation, Program, Symbol, answer_line, calculation, compute
from openr_data.problems.oracle import Judgement

_LARGEST = 9999
"""Solutions that leave this range after a slip are not used."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a solution; without `learn` it carries no loss."""

    text: str
    learn: bool = True


@dataclass(frozen=True, slots=True)
class Example:
    question: str
    lines: tuple[Line, ...]


def draw_example(rng: Random, program: Program, rates: SlipRates) -> Example:
    """A solution with slips at the given rates."""
    for _ in range(8):
        lines = _Writer(rng, program, rates).write()
        if lines is not None:
            return Example(program.question, lines)
    return Example(program.question, finish(program, {0: program.start}, 0))


def finish(program: Program, results: dict[int, int], done: int) -> tuple[Line, ...]:
    """The correct lines that follow when `done` steps are written and `results` hold what they gave."""
    lines, known = [], dict(results)
    for number in range(done + 1, len(program.operations) + 1):
        operation = program.operations[number - 1]
        right = _right(operation, known)
        known[number] = compute(known[number - 1], operation.symbol, right)
        lines.append(Line(calculation(number, known[number - 1], operation.symbol, right, known[number])))
    return (*lines, Line(answer_line(known[len(program.operations)])))


def own_example(rng: Random, program: Program, steps: Sequence[str], judgement: Judgement, revise: float) -> Example | None:
    """A sampled solution, cut after its first wrong line, which is revised or carried on from and carries no loss.

    `None` where the oracle cannot carry on: a wrong answer line, a wrong step number or an unreadable line.
    """
    wrong = judgement.first_error
    if wrong < 0:
        return Example(program.question, tuple(Line(step) for step in steps))
    if judgement.kind not in {"arithmetic", "operand", "operation", "skipped"} or judgement.results[wrong] is None:
        return None
    kept = [Line(step) for step in steps[:wrong]]
    mistake = Line(steps[wrong], learn=False)
    before, after = (
        dict(judgement.results[wrong - 1] or {}) if wrong else {0: program.start},
        dict(judgement.results[wrong] or {}),
    )
    at = max(before)
    if rng.random() < revise:
        revision = _revision(program, before, at + 1)
        return Example(program.question, (*kept, mistake, *revision))
    if judgement.kind == "skipped" or any(abs(value) > _LARGEST for value in after.values()):
        return None
    return Example(program.question, (*kept, mistake, *finish(program, after, max(after))))


def _revision(program: Program, before: dict[int, int], number: int) -> tuple[Line, ...]:
    """The lines from step `number` on, the first of them as a revision."""
    first, *rest = finish(program, before, number - 1)
    return (Line(first.text.replace(": ", ": wait, ", 1)), *rest)


def _right(operation: Operation, results: dict[int, int]) -> int:
    return results[operation.operand] if operation.refers else operation.operand


class _Writer:
    """Writes one solution; `results` holds what the written lines say."""

    def __init__(self, rng: Random, program: Program, rates: SlipRates) -> None:
        self.rng, self.program, self.rates = rng, program, rates
        self.results = {0: program.start}
        self.lines: list[Line] = []
        self.number = 1

    def write(self) -> tuple[Line, ...] | None:
        """`None` when a slip led to a result out of range."""
        while self.number <= len(self.program.operations):
            slip = self._draw_slip()
            if slip is None or not self._slip(*slip):
                self._correct(wait=False)
            if any(abs(value) > _LARGEST for value in self.results.values()):
                return None
        return (*self.lines, Line(answer_line(self.results[len(self.program.operations)])))

    def _draw_slip(self) -> tuple[str, bool] | None:
        draw, rates = self.rng.random(), self.rates
        for kind, rate in (("arithmetic", rates.arithmetic), ("operand", rates.operand), ("skipped", rates.skipped)):
            if draw < rate:
                return kind, True
            draw -= rate
        if draw < rates.masked:
            return self.rng.choice(("arithmetic", "arithmetic", "operand", "operand", "operation", "skipped")), False
        return None

    def _operands(self) -> tuple[int, Symbol, int]:
        operation = self.program.operations[self.number - 1]
        return self.results[self.number - 1], operation.symbol, _right(operation, self.results)

    def _correct(self, *, wait: bool) -> None:
        left, symbol, right = self._operands()
        self._line(left, symbol, right, compute(left, symbol, right), wait=wait)

    def _line(self, left: int, symbol: Symbol, right: int, result: int, *, wait: bool = False, learn: bool = True) -> None:
        self.lines.append(Line(calculation(self.number, left, symbol, right, result, wait=wait), learn))
        self.results[self.number] = result
        self.number += 1

    def _slip(self, kind: str, learn: bool) -> bool:
        """Write a wrong line and, perhaps, its revision; says whether the slip was possible here."""
        rate = self.rates.revise_skipped if kind == "skipped" else self.rates.revise
        revise, number = self.rng.random() < rate, self.number
        if kind == "skipped":
            if not self._skip(learn, revise):
                return False
        else:
            left, symbol, right = self._operands()
            wrong = _wrong(self.rng, kind, left, symbol, right, self._numbers())
            if wrong is None:
                return False
            self._line(*wrong, learn=learn)
        if revise:
            self.results = {step: value for step, value in self.results.items() if step < number}
            self.number = number
            self._correct(wait=True)
        return True

    def _skip(self, learn: bool, revise: bool) -> bool:
        later = self.program.operations[self.number :]
        missed = any(operation.refers and operation.operand == self.number for operation in later)
        if not later or (missed and not revise) or (later[0].refers and later[0].operand >= self.number):
            return False
        left, operation = self.results[self.number - 1], later[0]
        right = _right(operation, self.results)
        self.number += 1
        self._line(left, operation.symbol, right, compute(left, operation.symbol, right), learn=learn)
        return True

    def _numbers(self) -> list[int]:
        """Every number a wrong copy could come from."""
        constants = [operation.operand for operation in self.program.operations if not operation.refers]
        return [*self.results.values(), *constants]


def _wrong(
    rng: Random, kind: str, left: int, symbol: Symbol, right: int, numbers: Sequence[int]
) -> tuple[int, Symbol, int, int] | None:
    """Left, symbol, right and result of a line that is wrong in one way."""
    truth = compute(left, symbol, right)
    if kind == "arithmetic":
        return left, symbol, right, perturb(rng, truth)
    if kind == "operation":
        symbol = rng.choice([other for other in ("+", "-") if other != symbol])
        return left, symbol, right, compute(left, symbol, right)
    copied = rng.choice(numbers) if rng.random() < 0.6 else None
    if symbol in {"//", "%"} or rng.random() < 0.5:
        left, before = (perturb(rng, left) if copied is None else copied), left
        changed = left != before
    else:
        right, before = (perturb(rng, right) if copied is None else copied), right
        changed = right != before
    return (left, symbol, right, compute(left, symbol, right)) if changed else None


def perturb(rng: Random, value: int) -> int:
    """Another number that looks like it: one digit changed, a lost carry, or two digits swapped."""
    digits = list(str(abs(value)))
    if len(digits) > 1 and rng.random() < 0.2:
        place = rng.randrange(len(digits) - 1)
        digits[place], digits[place + 1] = digits[place + 1], digits[place]
    elif rng.random() < 0.6:
        place = 10 ** rng.randrange(len(digits))
        digits = list(str(abs(abs(value) + rng.choice((-place, place)))))
    else:
        digits[rng.randrange(len(digits))] = str(rng.randrange(10))
    other = int("".join(digits)) * (-1 if value < 0 else 1)
    return other if other != value else value + 1
