"""OmegaPRM's binary search for the first error of wrong solutions (arXiv 2406.06592). Its only state is the tree."""

from __future__ import annotations

from collections.abc import Sequence

from openr_data.labelers.answers import with_labels
from openr_data.labelers.monte_carlo import cost_of, why_undecided
from openr_data.labelers.tree import Tree
from openr_data.types import Cost, LabeledSolution, Solution, StepLabel, Steps

METHOD = "omegaprm"


def bounds(path: Sequence[StepLabel | None]) -> tuple[int, int]:
    """The longest prefix known good and the shortest longer one known bad, in steps; `path[t]` belongs to the first t steps.

    One hit proves a prefix and, by logic, every shorter one (its counts stay its own). The empty prefix is taken as good and
    the whole solution, `len(path)` steps, as bad: neither is ever probed.

    >>> bounds([None, None, StepLabel(1, 8), None, StepLabel(0, 8), None])
    (2, 4)
    """
    good = max((t for t, label in enumerate(path) if label and label.hits), default=0)
    bad = next((t for t in range(good + 1, len(path)) if (label := path[t]) and not label.hits), len(path))
    return good, bad


def midpoint(path: Sequence[StepLabel | None]) -> int | None:
    """The prefix to measure next, or `None` when the first error is found.

    >>> midpoint([None] * 8), midpoint([None] * 4 + [StepLabel(1, 4)] + [None] * 3), midpoint([StepLabel(1, 4)])
    (4, 6, None)
    """
    good, bad = bounds(path)
    return (good + bad) // 2 if bad - good > 1 else None


async def search(tree: Tree, solutions: Sequence[Steps], rollouts: int) -> list[Cost]:
    """Search all these wrong solutions until each has its first error, meets an undecidable prefix, or the limit is spent.

    They go in step: every wave measures the midpoints of all of them at once and takes the results in the given order, so what
    is found does not depend on timing. Returns what each one paid; a midpoint that several share is paid by the first.
    """
    costs = [Cost()] * len(solutions)
    while asked := _midpoints(tree, solutions):
        grown = await tree.grow([prefix for _, prefix in asked.values()], rollouts)
        if not grown:
            break
        for text, node in grown.items():
            payer = asked[text][0]
            costs[payer] += cost_of([node])
    return costs


def found(tree: Tree, solution: Solution, cost: Cost) -> LabeledSolution:
    """What the tree now says of a searched solution. Steps that were skipped keep no label; those before the error are good."""
    path = tree.path(solution.steps)
    middle = midpoint(path)
    if middle is None:
        return with_labels(solution, path, bounds(path)[1] - 1, "binary_search", method=METHOD, cost=cost)
    node = tree.get(solution.steps[:middle])
    reason = f"unknown_rollouts:{why_undecided(node)}" if node else "rollout_limit"
    return with_labels(solution, path, None, reason, method=METHOD, cost=cost)


def _midpoints(tree: Tree, solutions: Sequence[Steps]) -> dict[str, tuple[int, Steps]]:
    asked: dict[str, tuple[int, Steps]] = {}
    for payer, steps in enumerate(solutions):
        middle = midpoint(tree.path(steps))
        # A midpoint that is known already could not be decided: that search has ended.
        if middle is not None and tree.get(steps[:middle]) is None:
            asked.setdefault(tree.text(steps[:middle]), (payer, steps[:middle]))
    return asked
