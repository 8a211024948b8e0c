"""Rollouts that pass through a prefix are unbiased evidence there, under two rules: z-tests, and mutants that fail them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import pytest
from chain_labelling import LINES, SAMPLING, Asked, measuring, problems

from openr_data.engines.chain import success_probability
from openr_data.engines.script import parse_script
from openr_data.labelers import LabelConfig, build_labeler
from openr_data.labelers.path import Path, RolloutId, target_of
from openr_data.labelers.tree import Tree
from openr_data.types import NO_ROLLOUTS, Completion, Counts, Problem, Rollout, Sampling, Solution, Steps, Verdict

SCRIPT = "error=0.12,recovery=0.08,phrasings=2"
LENGTH = 7
DRAWN = 6
"""Rollouts of each depth, a fixed number: what stops at a hit is no estimate."""


class BeforeItsStart(Path):
    """The first mistake: a rollout counts at depths before its start, where it was forced to begin as it did."""

    def _count(self, depth: int, rollout: Rollout) -> None:
        super()._count(depth, rollout)
        for t in range(depth):
            self._counts[t] = self._counts[t].adding(rollout.verdict.outcome)


class CountsTheTarget(Path):
    """The second mistake: the solution itself counts at its own prefixes."""

    def __init__(self, tree: Tree, steps: Steps, *, target: RolloutId | None = None, passing: bool = False) -> None:
        super().__init__(tree, steps, passing=passing)
        self.chosen = target


@dataclass(frozen=True)
class Shared:
    """A prefix of a chosen solution: what passed through it from further up, what was drawn there, and its exact value."""

    depth: int
    passed: Counts
    own: Counts
    value: float


def shared_prefixes(kind: type[Path]) -> list[Shared]:
    """All prefixes of the rollout 0 of each question, where that is wrong: chosen because it failed, as a search does."""
    engine = Asked(SCRIPT)
    found: list[Shared] = []
    for problem in problems(500, steps=(LENGTH, LENGTH)):
        found.extend(asyncio.run(prefixes_of(kind, engine, problem)))
    return found


async def prefixes_of(kind: type[Path], engine: Asked, problem: Problem) -> list[Shared]:
    tree = Tree(problem, measuring(engine))
    chosen, *_ = await tree.draw((), 16)
    if chosen.verdict.outcome != "wrong":
        return []
    path = kind(tree, LINES.split(chosen.completion.text), target=RolloutId("", 0), passing=True)
    path.see_all()
    await path.draw_each(range(1, LENGTH), DRAWN)
    return [shared(path, problem, depth) for depth in range(1, LENGTH)]


def shared(path: Path, problem: Problem, depth: int) -> Shared:
    own = NO_ROLLOUTS
    for rollout in path.own(depth):
        own = own.adding(rollout.verdict.outcome)
    both = path.counts(depth)
    passed = Counts(both.hits - own.hits, both.decided - own.decided, both.total - own.total)
    return Shared(depth, passed, own, success_probability(parse_script(SCRIPT), problem.question, path.steps[:depth]))


def against_exact(prefixes: Sequence[Shared]) -> float:
    """z of the hits that passed through, against the sum of exact values."""
    more = sum(p.passed.hits - p.passed.decided * p.value for p in prefixes)
    return more / sqrt(sum(p.passed.decided * p.value * (1 - p.value) for p in prefixes))


def against_fresh(prefixes: Sequence[Shared]) -> float:
    """z of the shares that passed through, against the shares of fresh rollouts of the same prefixes."""
    more = variance = 0.0
    for p in prefixes:
        more += p.passed.hits - p.passed.decided * p.own.hits / p.own.decided
        variance += p.value * (1 - p.value) * (p.passed.decided + p.passed.decided**2 / p.own.decided)
    return more / sqrt(variance)


def scores(prefixes: Sequence[Shared]) -> list[float]:
    """Both tests at each depth: a rollout counts once at a depth, so the terms of a sum are independent."""
    by_depth = [[p for p in prefixes if p.depth == depth] for depth in range(1, LENGTH)]
    assert sum(p.passed.decided for p in prefixes) > 5000
    assert all(sum(p.passed.decided for p in some) > 200 for some in by_depth)
    return [test(some) for some in by_depth for test in (against_exact, against_fresh)]


def test_what_passes_through_estimates_the_value_without_bias() -> None:
    assert max(abs(z) for z in scores(shared_prefixes(Path))) < 3


@pytest.mark.parametrize("mutant", [BeforeItsStart, CountsTheTarget])
def test_without_either_rule_the_same_test_fails(mutant: type[Path]) -> None:
    assert max(abs(z) for z in scores(shared_prefixes(mutant))) > 6


X = ("x1", "x2", "x3", "x4", "x5", "x6", "x7", "no")


async def grade_lines(response: str, answer: str, /) -> Verdict:
    return Verdict({"yes": "right", "no": "wrong"}.get(response.rpartition("\n")[2], "unknown"), "odd")  # type: ignore[arg-type]  # literals


@dataclass
class Fixed:
    """Says the texts in turn from the root (one that ends in `...` is cut short), and `no` from anywhere else."""

    root: Sequence[str]

    def __post_init__(self) -> None:
        self.calls: list[tuple[int, int, int]] = []

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        self.calls.append((len(prefix), start, n))
        texts = [self.root[i] if not prefix else "no" for i in range(start, start + n)]
        return [Completion(text, 1, "length" if text.endswith("...") else "stop", i, i) for i, text in enumerate(texts, start)]


def search(
    root: Sequence[str], *, passing: bool = True, truncated: str = "unknown"
) -> tuple[list[tuple[int, int, int]], tuple[int | None, str]]:
    engine = Fixed(root)
    config = LabelConfig("omegaprm", 4, len(root), searches=0, reuse_passing=passing, truncated=truncated)  # type: ignore[arg-type]  # literals
    labeler = build_labeler(config, engine, grade_lines, SAMPLING, LINES)
    solution = Solution("s", "p", X, Verdict("wrong", "exact"), index=99)
    labelled = asyncio.run(labeler(Problem("p", "?", "yes"), [solution])).solutions[0]
    return engine.calls, (labelled.first_error, labelled.reason)


def test_the_filters_rollouts_move_the_search_and_count_at_its_midpoint() -> None:
    """By hand: one proves three steps, so 5 is next (not 4); another passes through 4 and 5 and fails: three draws make four."""
    root = ["x1\nx2\nx3\nyes", "x1\nx2\nx3\nx4\nx5\nz\nno", "yes", "no"]
    calls, found = search(root)
    assert calls == [(0, 0, 4), *((5, i, 1) for i in range(3)), *((4, i, 1) for i in range(3))]
    assert found == (3, "binary_search")
    calls, found = search(root, passing=False)
    assert calls == [(0, 0, 4), *((depth, i, 1) for depth in (4, 2, 1) for i in range(4))]
    assert found == (0, "binary_search")


def test_rollouts_that_passed_undecided_name_their_reason() -> None:
    """Four that pass through the midpoint and cannot be graded: nothing is drawn there, and the limit is not to blame."""
    odd = "x1\nx2\nx3\nx4\nx5\nhm"
    assert search(["yes", "no", odd, odd, odd, odd]) == ([(0, 0, 6)], (None, "unknown_rollouts:odd"))


@pytest.mark.parametrize("truncated", ["unknown", "wrong"])
def test_a_rollout_that_met_the_token_limit_speaks_only_for_its_start(truncated: str) -> None:
    """Drawn further on it would have had more room: it is neither a failure there nor one of the k."""
    cut = "x1\nx2\nx3\nx4\nx5\nhm ..."
    calls, found = search(["yes", "no", cut, cut, cut, cut], truncated=truncated)
    assert calls[1:5] == [(4, i, 1) for i in range(4)]
    assert found == (0, "binary_search")


def test_passing_through_is_a_matter_of_the_text_not_of_its_steps() -> None:
    """Blank pieces belong to the step before them; a step that only begins alike is another step."""
    steps = ("a\n", "b", "b", "no")

    def through(*texts: str) -> list[int]:
        tree = Tree(Problem("p", "?", "yes"), replace(measuring(Fixed(texts)), grader=grade_lines))
        asyncio.run(tree.draw((), len(texts)))
        path = Path(tree, steps, passing=True)
        path.see_all()
        return [path.counts(t).total for t in range(len(steps))]

    assert through("a\n\nb\nb\nno") == [1, 1, 1, 1]
    assert through("a\nb\nb\nno") == [1, 0, 0, 0]
    assert through("a\n\nb\nbb\nno", "a\n\nb", "a\n\n") == [3, 3, 1, 0]
    assert through("a\n\nb\nb\nb\nno", "a\n\nb\nb\nno") == [2, 2, 2, 2]


@pytest.mark.parametrize(("index", "seed", "counted"), [(1, 1, 2), (1, 7, 3), (0, 1, 3), (5, 5, 3)])
def test_only_the_very_sample_is_the_solution_not_one_that_says_the_same(index: int, seed: int, counted: int) -> None:
    tree = Tree(Problem("p", "?", "yes"), replace(measuring(Fixed(["a\nno", "a\nno", "a\nyes"])), grader=grade_lines))
    asyncio.run(tree.draw((), 3))
    solution = Solution("s", "p", ("a", "no"), Verdict("wrong", "exact"), index=index, seed=seed)
    path = Path(tree, solution.steps, target=target_of(tree, solution), passing=True)
    path.see_all()
    assert path.counts(1) == Counts(1, counted, counted)
