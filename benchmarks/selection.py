"""Seconds of choosing among candidates, by part: `OMP_NUM_THREADS=2 python benchmarks/selection.py --questions 500`.

Synthetic candidates: integers, fractions, decimals, roots and intervals, each value in the spellings that models give it, and
some without an answer. Their answers are grouped by the grader (all questions in flight), then every selector chooses, then
the curves over subsets are computed. `wrong` counts classes that differ from the values behind the spellings.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import mean

from openr_data.graders import MathGrader
from openr_data.search.curves import expected
from openr_data.search.grouping import group_answers
from openr_data.search.select import SELECTORS, Ballot, choose
from openr_data.tasks import concurrently

LARGEST = 7
Spellings = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """Of each candidate: its answer, the number of the value behind it, the log odds of its steps. Value 0 is right."""

    answers: tuple[str | None, ...]
    values: tuple[int | None, ...]
    margins: tuple[tuple[float, ...], ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--candidates", type=int, default=64)
    parser.add_argument("--subsets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    print(json.dumps(asyncio.run(_measure(parser.parse_args())), indent=1))


async def _measure(o: argparse.Namespace) -> dict[str, object]:
    draw = random.Random(o.seed)
    questions = [_question(draw, o.candidates) for _ in range(o.questions)]
    began = time.perf_counter()
    groups, counts = await _grouped(questions)
    grouped = time.perf_counter()
    chosen = [
        [_accuracy(question, numbers, each) for each in SELECTORS] for question, numbers in zip(questions, groups, strict=True)
    ]
    selected = time.perf_counter()
    curves = [_curves(question, numbers, o) for question, numbers in zip(questions, groups, strict=True)]
    ended = time.perf_counter()
    parts = {"grouping": grouped - began, "selectors": selected - grouped, "curves": ended - selected}
    return {
        "questions": o.questions,
        "distinct_answers": round(mean(len({each for each in question.answers if each}) for question in questions), 1),
        "seconds": round(ended - began, 2),
        "parts": {name: {"seconds": round(each, 2), "share": round(each / (ended - began), 3)} for name, each in parts.items()},
        "grader": counts,
        "wrong": sum(_classes(q.values) != list(numbers) for q, numbers in zip(questions, groups, strict=True)),
        "chosen_right": {name: round(mean(row[place] for row in chosen), 3) for place, name in enumerate(SELECTORS)},
        "expected_right": {name: round(mean(each[name][-1] for each in curves), 3) for name in curves[0]},
    }


async def _grouped(questions: Sequence[Question]) -> tuple[list[list[int | None]], dict[str, int]]:
    async with MathGrader() as grader:

        async def equal(first: str, second: str) -> bool:
            return (await grader.grade_answer(first, second)).outcome == "right"

        groups = await concurrently([group_answers(question.answers, equal) for question in questions])
        counts = grader.counts
        return groups, {"fast": counts.fast, "cached": counts.cached, "worker": counts.worker, "refused": counts.refused}


def _accuracy(question: Question, groups: Sequence[int | None], selector: str) -> float:
    place = choose([Ballot(group, row) for group, row in zip(groups, question.margins, strict=True)], selector)
    return 0.0 if place is None else float(question.values[place] == 0)


def _curves(question: Question, groups: Sequence[int | None], o: argparse.Namespace) -> dict[str, list[float]]:
    sizes = [2**power for power in range(LARGEST) if 2**power <= o.candidates]
    right = [float(value == 0) for value in question.values]
    return expected(groups, question.margins, right, sizes, o.subsets, o.seed)


def _classes(values: Sequence[int | None]) -> list[int | None]:
    seen: dict[int, int] = {}
    return [None if value is None else seen.setdefault(value, len(seen)) for value in values]


def _question(draw: random.Random, candidates: int) -> Question:
    """Half of the candidates of an average question are right, one in sixteen has no answer, one in thirty no score."""
    kind = draw.choice(KINDS)
    spellings = _different(draw, kind, 9)
    ease = draw.random()
    values = [_value(draw, ease, len(spellings)) for _ in range(candidates)]
    answers = tuple(None if value is None else draw.choice(spellings[value]) for value in values)
    margins = tuple(_margins(draw, value == 0) for value in values)
    return Question(answers, tuple(values), margins)


def _value(draw: random.Random, ease: float, values: int) -> int | None:
    if draw.random() < 1 / 16:
        return None
    return 0 if draw.random() < ease else min(values - 1, 1 + int(draw.expovariate(0.5)))


def _margins(draw: random.Random, right: bool) -> tuple[float, ...]:
    if draw.random() < 1 / 30:
        return ()
    return tuple(draw.gauss(2.0 if right else 1.0, 1.5) for _ in range(draw.randint(3, 9)))


def _different(draw: random.Random, kind: Callable[[random.Random], tuple[object, Spellings]], most: int) -> list[Spellings]:
    found: dict[object, Spellings] = {}
    while len(found) < most:
        value, spellings = kind(draw)
        found.setdefault(value, spellings)
    return list(found.values())


def _integer(draw: random.Random) -> tuple[object, Spellings]:
    n = draw.randint(-50, 2000)
    return n, (f"{n}", f"{n}.0", f"${n}$", f"{n:,}", rf"\text{{{n}}}")


def _fraction(draw: random.Random) -> tuple[object, Spellings]:
    value = Fraction(draw.randint(1, 60), draw.choice((2, 4, 5, 8, 20)))
    top, bottom = value.numerator, value.denominator
    return value, (f"{top}/{bottom}", rf"\frac{{{top}}}{{{bottom}}}", rf"\dfrac{{{2 * top}}}{{{2 * bottom}}}", f"{float(value)}")


def _root(draw: random.Random) -> tuple[object, Spellings]:
    outer, inner = draw.randint(2, 9), draw.choice((2, 3, 5, 7))
    whole = outer * outer * inner
    spelled = (
        rf"{outer}\sqrt{{{inner}}}",
        rf"\sqrt{{{whole}}}",
        rf"{outer} \cdot \sqrt{{{inner}}}",
        rf"\sqrt{{{inner}}}\cdot{outer}",
    )
    return whole, spelled


def _pair(draw: random.Random) -> tuple[object, Spellings]:
    a, b = draw.randint(-9, 9), draw.randint(10, 30)
    return (a, b), (f"({a}, {b})", f"({a},{b})", rf"\left({a}, {b}\right)")


def _polynomial(draw: random.Random) -> tuple[object, Spellings]:
    a, b = draw.randint(2, 9), draw.randint(1, 9)
    return (a, b), (f"{a}x+{b}", f"{b}+{a}x", f"{a} x + {b}", rf"{a}\cdot x+{b}")


def _quadratic(draw: random.Random) -> tuple[object, Spellings]:
    a, b = sorted((draw.randint(1, 9), draw.randint(1, 9)))
    return (a, b), (f"(x+{a})(x+{b})", f"(x+{b})(x+{a})", f"x^2+{a + b}x+{a * b}")


def _quotient(draw: random.Random) -> tuple[object, Spellings]:
    a = draw.randint(1, 15)
    return a, (rf"\frac{{x+{a}}}{{x-{a}}}", rf"1+\frac{{{2 * a}}}{{x-{a}}}", rf"\dfrac{{x+{a}}}{{x-{a}}}")


def _logarithm(draw: random.Random) -> tuple[object, Spellings]:
    """What exact arithmetic cannot decide: it goes to a worker."""
    base, power = draw.choice((2, 3, 5, 7)), draw.randint(2, 5)
    return (base, power), (rf"{power}\ln {base}", rf"\ln {base**power}", rf"\ln({base**power})")


KINDS = (_integer, _integer, _fraction, _fraction, _root, _pair, _polynomial, _quadratic, _quotient, _logarithm)


if __name__ == "__main__":
    main()
