"""OmegaPRM's tree (arXiv 2406.06592): filter the question, search the given wrong solutions, then the tree's own rollouts.

How one solution is searched is a `Strategy`: the paper's binary search, or the adaptive one. Knows measurements, no engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from openr_data.labelers.answers import from_answer, with_labels
from openr_data.labelers.monte_carlo import MonteCarlo, why_undecided
from openr_data.labelers.path import Path, RolloutId, target_of
from openr_data.labelers.selection import Candidate, Pool, Selection
from openr_data.labelers.tree import Tree
from openr_data.tasks import concurrently
from openr_data.types import Cost, LabeledSolution, Labeling, Node, Problem, Solution


class Searched(Protocol):
    """What a search of one path found."""

    @property
    def states(self) -> Mapping[str, float] | None:
        """Which prefixes of the path are states of the tree, by text, with their values; `None`: the counts decide."""
        ...

    def labelled(self, solution: Solution, cost: Cost, /) -> LabeledSolution: ...


class Strategy(Protocol):
    """How the first error of one solution is found. `exact`: every probed prefix gets its full number of rollouts."""

    @property
    def method(self) -> str: ...

    @property
    def exact(self) -> bool: ...

    @property
    def rollouts(self) -> int:
        """How many rollouts without a hit decide a prefix."""
        ...

    async def search(self, path: Path, /, *, known_good: int = 0) -> Searched:
        """Search one solution, `known_good` steps of which need no proof."""
        ...


@dataclass(frozen=True, slots=True)
class TreeSearch:
    """`filter_rollouts` (0: no filter) are the root's evidence and its part of the pool as well. `rollout_limit` bounds all
    rollouts of one problem (0: no bound). Every given solution is searched, whatever `searches` is; each gets a label.
    """

    measure: MonteCarlo
    strategy: Strategy
    filter_rollouts: int = 32
    searches: int = 100
    rollout_limit: int = 0
    selection: Selection = field(default_factory=Selection)
    passing: bool = False

    async def __call__(self, problem: Problem, solutions: Sequence[Solution], /) -> Labeling:
        tree = Tree(problem, self.measure, self.rollout_limit)
        root = await self._root(tree, any(self._answered(solution) is None for solution in solutions))
        tree.measure, solutions = self.measure.fitted(solutions, root)
        skipped = too_extreme(root) if root and self.filter_rollouts else ""
        if skipped:
            dropped = tuple(self._unsearched(solution, skipped) for solution in solutions)
            return Labeling(problem.id, dropped, tree.finished(), skipped)
        pool = Pool(self.selection, exact=self.strategy.exact)
        given = await self._search_given(tree, pool, solutions)
        own = await self._explore(tree, pool, solutions)
        return Labeling(problem.id, (*given, *own, *self._right_rollouts(tree, solutions, root)), tree.finished())

    async def _root(self, tree: Tree, wrong_given: bool) -> Node | None:
        # Without a filter the root's rollouts only feed the pool; with nothing to search, nothing would read them.
        n = self.filter_rollouts if wrong_given or self.searches else 0
        n = n or (self.strategy.rollouts if self.searches else 0)
        await tree.draw((), n)
        return tree.nodes.get("")

    async def _search_given(self, tree: Tree, pool: Pool, solutions: Sequence[Solution]) -> list[LabeledSolution]:
        """All at once, unless a limit has to be shared out: then one after the other."""
        wrong = [solution for solution in solutions if self._answered(solution) is None]
        tree.visits[""] += len(wrong)
        pool.forbid(tree.measure.steps.join(solution.steps) for solution in solutions if solution.verdict.outcome == "wrong")
        paths = [self._path(tree, solution, target_of(tree, solution)) for solution in wrong]
        for path in paths:
            path.see_all()
        if self.rollout_limit:
            found = [await self.strategy.search(path) for path in paths]
        else:
            found = await concurrently(self.strategy.search(path) for path in paths)
        for one, path in zip(found, paths, strict=True):
            pool.know(one.states, path.texts)
        searched = iter([one.labelled(s, p.pay()) for one, p, s in zip(found, paths, wrong, strict=True)])
        return [self._known(tree, solution) or next(searched) for solution in solutions]

    async def _explore(self, tree: Tree, pool: Pool, given: Sequence[Solution]) -> list[LabeledSolution]:
        """Select, search and maintain until the limit or an empty pool: one search after the other, each on a grown tree."""
        labelled: list[LabeledSolution] = []
        for _ in range(self.searches):
            pool.offer(tree)
            if tree.exhausted or (candidate := pool.pop(tree)) is None:
                break
            solution = solution_of(tree, candidate)
            path = self._path(tree, solution, RolloutId(candidate.state, candidate.rollout.completion.index))
            path.see_all()
            found = await self.strategy.search(path, known_good=len(candidate.prefix))
            pool.know(found.states, path.texts)
            labelled.append(_own(found.labelled(solution, path.pay())))
        return labelled

    def _right_rollouts(self, tree: Tree, given: Sequence[Solution], root: Node | None) -> list[LabeledSolution]:
        """The root's right rollouts as solutions without an error; a text that is known counts once."""
        seen = {tree.measure.steps.join(solution.steps) for solution in given}
        labelled: list[LabeledSolution] = []
        for rollout in root.rollouts if root else ():
            if rollout.verdict.outcome == "right" and rollout.completion.text not in seen:
                seen.add(rollout.completion.text)
                steps = tree.measure.steps.split(rollout.completion.text)
                known = self._known(tree, solution_of(tree, Candidate("", (), rollout, steps)))
                if known:
                    labelled.append(_own(known))
        return labelled

    def _path(self, tree: Tree, solution: Solution, target: RolloutId | None) -> Path:
        # Exact counts are those of the nodes. Without its own failure a state would count too high: it is one only with a hit.
        if self.strategy.exact:
            return Path(tree, solution.steps)
        return Path(tree, solution.steps, target=target, passing=self.passing)

    def _answered(self, solution: Solution) -> LabeledSolution | None:
        return from_answer(solution, self.strategy.method)

    def _known(self, tree: Tree, solution: Solution) -> LabeledSolution | None:
        """The label that follows from the answer, with what was measured on the way."""
        if self._answered(solution) is None:
            return None
        path = self._path(tree, solution, target_of(tree, solution))
        path.see_all()
        labels = path.labels(self.strategy.rollouts)
        return from_answer(solution, self.strategy.method, labels, "mean" if self.strategy.exact else "stopped")

    def _unsearched(self, solution: Solution, reason: str) -> LabeledSolution:
        return self._answered(solution) or with_labels(solution, (), None, reason, method=self.strategy.method)


def too_extreme(root: Node) -> str:
    """Why the question filter drops a question (appendix A): no right rollout, no wrong one, or none that could be decided."""
    if root.label is None:
        return f"unknown_rollouts:{why_undecided(root.rollouts)}"
    if root.hits == 0:
        return "too_hard"
    return "too_easy" if root.hits == root.decided else ""


def solution_of(tree: Tree, candidate: Candidate) -> Solution:
    """A rollout of the tree as a solution of its own."""
    completion = candidate.rollout.completion
    return Solution(
        id=f"{tree.nodes[candidate.state].id}-{completion.index}",
        problem_id=tree.problem.id,
        steps=candidate.steps,
        verdict=candidate.rollout.verdict,
        tokens=0 if candidate.prefix else completion.token_count,
        sampler=tree.measure.sampler,
        finish_reason=completion.finish_reason,
        index=completion.index,
        seed=completion.seed,
    )


def _own(label: LabeledSolution) -> LabeledSolution:
    return replace(label, origin="rollout")
