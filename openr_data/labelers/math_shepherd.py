"""Math-Shepherd: N continuations from every prefix of every solution (arXiv 2312.08935). Knows no tree search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from openr_data.labelers.answers import from_answer, with_labels
from openr_data.labelers.monte_carlo import MonteCarlo, cost_of, why_undecided
from openr_data.labelers.tree import Tree, evidence
from openr_data.types import Cost, LabeledSolution, Labeling, Node, Problem, Solution, StepLabel

Estimates = Literal["hard", "soft"]
"""`hard`: a right solution is its own proof and costs nothing; `soft`: its prefixes are measured as well."""


@dataclass(frozen=True, slots=True)
class MathShepherd:
    """Counts on every prefix; the hard (HE, Eq. 3) and soft (SE, Eq. 4) estimates are readings of them.

    The first error of a wrong solution is its first prefix without a hit.
    """

    measure: MonteCarlo
    rollouts: int = 8
    estimates: Estimates = "hard"

    async def __call__(self, problem: Problem, solutions: Sequence[Solution], /) -> Labeling:
        return await label_every_prefix(
            problem, solutions, self.measure, self.rollouts, method="math-shepherd", right_too=self.estimates == "soft"
        )


async def label_every_prefix(
    problem: Problem, solutions: Sequence[Solution], measure: MonteCarlo, n: int, *, method: str, right_too: bool
) -> Labeling:
    """Measure all proper prefixes of all solutions at once. A prefix that several share is measured once; the first one pays."""
    measure, solutions = measure.fitted(solutions)
    tree = Tree(problem, measure)
    outcomes = {"wrong", "right"} if right_too else {"wrong"}
    wanted = [solution.verdict.outcome in outcomes for solution in solutions]
    prefixes = [
        solution.steps[:t]
        for solution, measured in zip(solutions, wanted, strict=True)
        if measured
        for t in range(1, len(solution.steps))
    ]
    unpaid = dict(await tree.grow(prefixes, n))
    labelled = tuple(
        _label(tree, solution, measured, method, unpaid) for solution, measured in zip(solutions, wanted, strict=True)
    )
    return Labeling(problem.id, labelled, tree.finished())


def _label(tree: Tree, solution: Solution, measured: bool, method: str, unpaid: dict[str, Node]) -> LabeledSolution:
    path = tree.path(solution.steps)
    cost = _pay(tree, solution, unpaid) if measured else Cost()
    known = from_answer(solution, method, path)
    if known:
        return replace(known, cost=cost)
    first = first_failure(path)
    if first is not None:
        return with_labels(solution, path, first, "all_prefixes", method=method, cost=cost)
    return with_labels(solution, path, None, _why(tree, solution), method=method, cost=cost)


def first_failure(path: Sequence[StepLabel | None]) -> int | None:
    """The 0-based step that ends the first prefix without a hit; `None` when a prefix before it could not be decided.

    `path[t]` belongs to the first t steps; the whole solution, known to be wrong, closes the row.
    """
    for step, label in enumerate(path[1:]):
        if label is None:
            return None
        if label.hits == 0:
            return step
    return len(path) - 1


def _pay(tree: Tree, solution: Solution, unpaid: dict[str, Node]) -> Cost:
    texts = [tree.text(solution.steps[:t]) for t in range(1, len(solution.steps))]
    return cost_of(unpaid.pop(text) for text in texts if text in unpaid)


def _why(tree: Tree, solution: Solution) -> str:
    nodes = [tree.get(solution.steps[:t]) for t in range(1, len(solution.steps))]
    blocking = next(node for node in nodes if node is not None and evidence(node) is None)
    return f"unknown_rollouts:{why_undecided(blocking)}"
