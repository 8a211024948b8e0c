"""The questions of a run: those to learn from, those that measure, and the evaluation sets that nobody may learn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from openr_data.errors import InputError, UsageError
from openr_data.graders import grades_itself
from openr_data.pipelines.levels import natural
from openr_data.pipelines.prm.contamination import Guard
from openr_data.pipelines.rl.config import RLConfig
from openr_data.pipelines.rl.turns import turns
from openr_data.problems import ProblemSource, usable_problems
from openr_data.problems.benchmarks import named_benchmark
from openr_data.problems.evaluation_sets import evaluation_set_of, words_digest
from openr_data.types import Problem


@dataclass(frozen=True, slots=True)
class Ban:
    """What nobody may learn from: the questions that measure, those of known evaluation sets and those of the files `against`.

    `measuring` are digests of words: white space, case and punctuation make no other question.
    """

    measuring: frozenset[str]
    guard: Guard

    def why(self, question: str) -> str:
        """The name of the evaluation set, `held out`, or nothing: it may be learnt from."""
        if words_digest(question) in self.measuring:
            return "held out"
        return evaluation_set_of(question) or self.guard.found(question)


ALL = -1
"""The level of questions that are not asked by level."""


@dataclass(frozen=True)
class Questions:
    """`train` is empty where the policy is asked nothing."""

    train: tuple[Problem, ...]
    held_out: tuple[Problem, ...]
    ban: Ban

    @cached_property
    def levels(self) -> tuple[tuple[Problem, ...], ...]:
        """The questions by their difficulty, the easiest first."""
        names = sorted({each.difficulty for each in self.train}, key=natural)
        return tuple(tuple(each for each in self.train if each.difficulty == name) for name in names)

    def of_update(self, update: int, count: int, seed: int, level: int = -1) -> list[Problem]:
        """Every question (of a level) once, in a new order each time round; an update may end one turn and begin the next."""
        among = self.train if level == ALL else self.levels[level]
        return [among[place] for place in turns(len(among), update * count, count, seed)]


def read_questions(config: RLConfig, warn: Callable[[str], None]) -> Questions:
    """Raises `UsageError` for a source that is an evaluation set, or mostly holds the questions of one, and `InputError` where no
    question is left.
    """
    held_out = _read(config.held_out)
    if not held_out:
        raise InputError(f"{config.held_out.location} has no question that can measure the policy")
    measuring = frozenset(words_digest(each.question) for each in held_out)
    ban = Ban(measuring, Guard(config.against, config.ngram, config.overlap))
    train = [each for source in config.sources for each in _allowed(source, ban, warn)]
    return Questions(tuple(train), tuple(held_out), ban)


def _allowed(source: ProblemSource, ban: Ban, warn: Callable[[str], None]) -> list[Problem]:
    name = named_benchmark(source)
    if name:
        raise UsageError(f"{name} is an evaluation set, and nobody may learn from one: choose other problems")
    every = _read(source)
    banned = [ban.why(each.question) for each in every]
    sets = sorted(set(banned) - {"", "held out"})
    if sets and 2 * sum(why in sets for why in banned) > len(every):
        raise UsageError(f"{source.location} holds questions of {', '.join(sets)}: nobody may learn from an evaluation set")
    kept = [each for each, why in zip(every, banned, strict=True) if not why]
    if not kept:
        raise InputError(f"{source.location} has no question that can be learnt from")
    if len(kept) < len(every):
        warn(f"{len(every) - len(kept)} questions are left out: they are among the held-out ones, or in an evaluation set")
    return kept


def _read(source: ProblemSource) -> Sequence[Problem]:
    return list(usable_problems(source, grades_itself))
