"""The questions of a run: those to learn from, those that measure, and the evaluation sets that nobody may learn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from openr_data.errors import InputError, UsageError
from openr_data.graders import grades_itself
from openr_data.pipelines.prm.contamination import Guard
from openr_data.pipelines.rl.config import RLConfig
from openr_data.problems import ProblemSource, usable_problems
from openr_data.problems.benchmarks import named_benchmark
from openr_data.problems.evaluation_sets import evaluation_set_of
from openr_data.types import Problem


@dataclass(frozen=True, slots=True)
class Questions:
    """`left_out` counts the questions of the source that are in the held-out ones or in an evaluation set."""

    train: tuple[Problem, ...]
    held_out: tuple[Problem, ...]
    left_out: int

    def of_update(self, update: int, count: int, seed: int) -> list[Problem]:
        """Every question once, in a new order each time round; an update may end one round and begin the next."""
        found: list[Problem] = []
        place = update * count
        while len(found) < count:
            turn, start = divmod(place + len(found), len(self.train))
            order = Random(f"{seed}/{turn}").sample(range(len(self.train)), len(self.train))
            found += [self.train[at] for at in order[start : start + count - len(found)]]
        return found


def read_questions(config: RLConfig, warn: Callable[[str], None]) -> Questions:
    """Raises `UsageError` for a source that is an evaluation set, or mostly holds the questions of one, and `InputError` where no
    question is left.
    """
    _refuse(config.source)
    held_out, train = _read(config.held_out), _read(config.source)
    guard = Guard(config.against, config.ngram, config.overlap)
    measured = {_plain(each.question) for each in held_out}
    known = [evaluation_set_of(each.question) for each in train]
    kept = [
        each
        for each, name in zip(train, known, strict=True)
        if not name and _plain(each.question) not in measured and not guard.found(each.question)
    ]
    names = sorted({name for name in known if name})
    if names and len(kept) < len(train) / 2:
        raise UsageError(
            f"{config.source.location} holds questions of {', '.join(names)}: nobody may learn from an evaluation set"
        )
    if not kept or not held_out:
        raise InputError(f"{(config.source if held_out else config.held_out).location} has no question that can be used")
    if len(kept) < len(train):
        warn(f"{len(train) - len(kept)} questions are left out: they are among the held-out ones, or in an evaluation set")
    return Questions(tuple(kept), tuple(held_out), len(train) - len(kept))


def _refuse(source: ProblemSource) -> None:
    name = named_benchmark(source)
    if name:
        raise UsageError(f"{name} is an evaluation set, and nobody may learn from one: choose other --problems")


def _read(source: ProblemSource) -> Sequence[Problem]:
    return list(usable_problems(source, grades_itself))


def _plain(question: str) -> str:
    return " ".join(question.split())
