"""OmegaPRM: divide-and-conquer tree search for first errors (arXiv 2406.06592). Knows measurements, no engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from openr_data.labelers.binary_search import METHOD, found, search
from openr_data.labelers.monte_carlo import MonteCarlo
from openr_data.labelers.path import Path
from openr_data.labelers.selection import Selection
from openr_data.labelers.tree_search import TreeSearch
from openr_data.types import Cost, LabeledSolution, Labeling, Problem, Solution


@dataclass(frozen=True, slots=True)
class OmegaPRM:
    """Filter the question, search the given wrong solutions, then up to `searches` rollouts of the tree's own; see `TreeSearch`.

    `rollouts` is k. Unless `exact`, a prefix is left at its first hit, which changes no first error. `passing`: see `Path`.
    """

    measure: MonteCarlo
    rollouts: int = 8
    filter_rollouts: int = 32
    searches: int = 100
    rollout_limit: int = 0
    selection: Selection = field(default_factory=Selection)
    exact: bool = True
    passing: bool = False

    async def __call__(self, problem: Problem, solutions: Sequence[Solution], /) -> Labeling:
        strategy = BinarySearch(self.rollouts, self.exact)
        limits = (self.filter_rollouts, self.searches, self.rollout_limit)
        return await TreeSearch(self.measure, strategy, *limits, self.selection, self.passing)(problem, solutions)


@dataclass(frozen=True, slots=True)
class BinarySearch:
    """The paper's search of one solution, as a strategy of the tree."""

    rollouts: int
    exact: bool
    method: str = METHOD

    async def search(self, path: Path, /, *, known_good: int = 0) -> Halved:
        await search(path, self.rollouts, exact=self.exact)
        return Halved(path, self.rollouts, self.exact)


@dataclass(frozen=True, slots=True)
class Halved:
    """A path whose search has ended."""

    path: Path
    rollouts: int
    exact: bool
    states: None = None

    def labelled(self, solution: Solution, cost: Cost, /) -> LabeledSolution:
        return found(self.path, solution, self.rollouts, cost, exact=self.exact)
