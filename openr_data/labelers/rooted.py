"""Methods that read the prefixes of a wrong solution beside the question's own value. Knows no rule."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from openr_data.labelers.answers import from_answer, with_labels
from openr_data.labelers.monte_carlo import MonteCarlo, why_undecided
from openr_data.labelers.path import Path, target_of
from openr_data.labelers.tree import Tree
from openr_data.tasks import concurrently
from openr_data.types import LabeledSolution, Labeling, Node, Problem, Solution

Search = Callable[[Path, Solution, Node], Awaitable[LabeledSolution]]
"""Finds the first error of one wrong solution; the costs are added by the caller."""


async def label_beside_root(
    problem: Problem,
    solutions: Sequence[Solution],
    measure: MonteCarlo,
    search: Search,
    *,
    method: str,
    root_rollouts: int,
    skip: Callable[[Node], str],
    passing: bool = False,
) -> Labeling:
    """Sample the root, drop the question where `skip` gives a reason, and search all wrong solutions at once.

    The root's rollouts are charged to the question, not to a solution. Without a wrong solution nothing is sampled.
    """
    tree = Tree(problem, measure)
    await tree.draw((), root_rollouts if any(from_answer(solution, method) is None for solution in solutions) else 0)
    root = tree.nodes.get("")
    tree.measure, solutions = measure.fitted(solutions, root)
    skipped = skip(root) if root else ""
    if skipped or root is None:
        known = tuple(from_answer(s, method) or with_labels(s, (), None, skipped, method=method) for s in solutions)
        return Labeling(problem.id, known, tree.finished(), skipped)
    paths = [Path(tree, s.steps, target=target_of(tree, s), passing=passing) for s in solutions]
    jobs = [_labelled(search, path, s, root, method) for path, s in zip(paths, solutions, strict=True)]
    labelled = await concurrently(jobs)
    paid = tuple(replace(label, cost=path.pay()) for label, path in zip(labelled, paths, strict=True))
    return Labeling(problem.id, paid, tree.finished())


async def _labelled(search: Search, path: Path, solution: Solution, root: Node, method: str) -> LabeledSolution:
    return from_answer(solution, method) or await search(path, solution, root)


def hopeless(root: Node) -> str:
    """Why a question has no value that prefixes could be compared with: no right rollout, or none that could be decided."""
    if root.label is None:
        return f"unknown_rollouts:{why_undecided(root.rollouts)}"
    return "" if root.hits else "too_hard"
