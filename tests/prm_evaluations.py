"""Runs and a scorer for the tests of evaluation: what is scored stands in the steps themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from statistics_runs import node, rollout, write_labels, write_solutions

from openr_data.prm.config import PRMConfig
from openr_data.prm.score.base import ScoreRequest
from openr_data.prm.scores import StepScores
from openr_data.prm.templates import template_of
from openr_data.types import Labeling, Node, Outcome, Problem, Solution, Steps, Verdict

QUESTION = "Start with 37. Step 1: add 48. Step 2: add 1. What is the result?"
RIGHT = ("Step 1: 37 + 48 = 85", "Step 2: 85 + 1 = 86", "The answer is 86")
FIRST = ("Step 1: 37 + 48 = 75", "Step 2: 75 + 1 = 76", "The answer is 76")
SECOND = ("Step 1: 37 + 48 = 85", "Step 2: 85 + 1 = 87", "The answer is 87")


def number(step: str) -> float:
    """The margin that a step holds before its first blank; `?` holds none."""
    return float(step.split(maxsplit=1)[0])


@dataclass(frozen=True)
class StandIn:
    """Says of a step what `judge` reads in it; a solution with a step `?` cannot be scored."""

    judge: Callable[[str], float] = number
    config: PRMConfig = field(default_factory=lambda: PRMConfig("causal", template_of("plain"), "<x>", 1))
    identity: str = "stand-in"

    def score(self, requests: Sequence[ScoreRequest], /, on_done: Callable[[int], None] = lambda _: None) -> list[StepScores]:
        on_done(len(requests))
        return [
            StepScores((), "it is too long") if "?" in steps else StepScores(tuple(map(self.judge, steps)))
            for _, steps in requests
        ]


def solution(
    problem: str, index: int, steps: Steps, outcome: Outcome, answer: str | None = "1", reason: str = "code"
) -> Solution:
    return Solution(f"{problem}-s{index}", problem, steps, Verdict(outcome, reason, answer), index=index)


def candidates(path: Path, questions: Sequence[Sequence[tuple[Steps, Outcome, str | None]]]) -> Path:
    """A run of `generate`: by question, steps with their verdict and extracted answer."""
    items = []
    for place, rows in enumerate(questions):
        problem = Problem(f"p{place}", f"question {place}", "1")
        items.append((problem, [solution(problem.id, index, *row) for index, row in enumerate(rows)]))
    return write_solutions(path, items)


def builtin_solutions(path: Path) -> Path:
    problem = Problem("p0", QUESTION, "86", "builtin:arithmetic")
    rows = ((RIGHT, "right", "86"), (FIRST, "wrong", "76"), (SECOND, "wrong", "87"))
    return write_solutions(path, [(problem, [solution("p0", place, *row) for place, row in enumerate(rows)])])  # type: ignore[arg-type]


def one_rollout_run(path: Path, outcomes: dict[Steps, Sequence[Outcome]]) -> Path:
    """The same solutions, labelled: the rollouts of each measured prefix, in the order of their index."""
    from openr_data.labelers.answers import with_labels
    from openr_data.types import StepLabel

    problem = Problem("p0", QUESTION, "86", "builtin:arithmetic")
    nodes: list[Node] = []
    for prefix, found in outcomes.items():
        drawn = [rollout(outcome, index) for index, outcome in enumerate(found)]
        nodes.append(node("p0", prefix, list(reversed(drawn))))
    given = (
        solution("p0", 0, RIGHT, "right", "86"),
        solution("p0", 1, FIRST, "wrong", "76"),
        solution("p0", 2, SECOND, "wrong", "87"),
    )
    labelled = []
    for one, first in zip(given, (-1, 0, 0), strict=True):
        counts = [outcomes.get(one.steps[:length], ()) for length in range(len(one.steps))]
        labels = [StepLabel(sum(each == "right" for each in drawn), len(drawn)) if drawn else None for drawn in counts]
        labelled.append(with_labels(one, labels, first, "all_prefixes", method="math-shepherd"))
    unique = [Node(f"n{place}", each.problem_id, "", each.prefix, each.rollouts) for place, each in enumerate(nodes)]
    return write_labels(path, [(problem, Labeling("p0", tuple(labelled), tuple(unique)))])
