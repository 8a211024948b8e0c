"""Math-Shepherd: N continuations from every prefix of every solution (arXiv 2312.08935). Knows no tree search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from openr_data.labelers.answers import from_answer, with_labels
from openr_data.labelers.estimates import Estimator
from openr_data.labelers.monte_carlo import MonteCarlo
from openr_data.labelers.path import Path, target_of
from openr_data.labelers.tree import Tree
from openr_data.tasks import concurrently
from openr_data.types import LabeledSolution, Labeling, Problem, Solution, StepLabel

Estimates = Literal["hard", "soft"]
"""`hard`: a right solution is its own proof and costs nothing; `soft`: its prefixes are measured as well."""


@dataclass(frozen=True, slots=True)
class EveryPrefix:
    """How the prefixes of all solutions are measured: with `n` rollouts each, of right solutions too or not.

    Unless `exact`, a prefix is left at its first hit, which changes no hard label. `passing`: see `Path`.
    """

    n: int
    right_too: bool
    exact: bool
    passing: bool

    async def path(self, tree: Tree, solution: Solution) -> Path:
        """The measured prefixes of a solution. All depths draw in rounds, one rollout each, until each is decided."""
        path = Path(tree, solution.steps, target=target_of(tree, solution), passing=self.passing and not self.exact)
        if not self.wants(solution):
            return path
        depths = list(range(1, len(solution.steps)))
        if self.exact:
            await path.draw_each(depths, self.n)
            return path
        while open_ones := [t for t in depths if not path.decided(t, self.n)]:
            await path.draw_each(open_ones)
        return path

    def wants(self, solution: Solution) -> bool:
        return solution.verdict.outcome in ({"wrong", "right"} if self.right_too else {"wrong"})

    @property
    def estimator(self) -> Estimator:
        return "mean" if self.exact else "stopped"


@dataclass(frozen=True, slots=True)
class MathShepherd:
    """Counts on every prefix; the hard (HE, Eq. 3) and soft (SE, Eq. 4) estimates are readings of them.

    The first error of a wrong solution is its first prefix without a hit. Each prefix is a test of its own: a hit further right
    does not overrule it, as it does in OmegaPRM's search.
    """

    measure: MonteCarlo
    rollouts: int = 8
    estimates: Estimates = "hard"
    exact: bool = True
    passing: bool = False

    async def __call__(self, problem: Problem, solutions: Sequence[Solution], /) -> Labeling:
        every = EveryPrefix(self.rollouts, self.estimates == "soft", self.exact, self.passing)
        return await label_every_prefix(problem, solutions, self.measure, every, method="math-shepherd")


async def label_every_prefix(
    problem: Problem, solutions: Sequence[Solution], measure: MonteCarlo, every: EveryPrefix, *, method: str
) -> Labeling:
    """Measure all proper prefixes of all solutions. A prefix that several share is measured once; the first one pays."""
    measure, solutions = measure.fitted(solutions)
    tree = Tree(problem, measure)
    paths = await concurrently(every.path(tree, solution) for solution in solutions)
    labelled = tuple(_label(every, path, solution, method) for path, solution in zip(paths, solutions, strict=True))
    return Labeling(problem.id, labelled, tree.finished())


def _label(every: EveryPrefix, path: Path, solution: Solution, method: str) -> LabeledSolution:
    cost, labels = path.pay(), path.labels(every.n)
    known = from_answer(solution, method, labels, every.estimator)
    if known:
        return replace(known, cost=cost)
    first = first_failure(labels)
    reason = "all_prefixes" if first is not None else f"unknown_rollouts:{_why(path, labels)}"
    return with_labels(solution, labels, first, reason, method=method, cost=cost, estimator=every.estimator)


def first_failure(labels: Sequence[StepLabel | None]) -> int | None:
    """The 0-based step that ends the first prefix without a hit; `None` when a prefix before it could not be decided.

    `labels[t]` belongs to the first t steps; the whole solution, known to be wrong, closes the row.
    """
    for step, label in enumerate(labels[1:]):
        if label is None:
            return None
        if label.hits == 0:
            return step
    return len(labels) - 1


def _why(path: Path, labels: Sequence[StepLabel | None]) -> str:
    return path.why_undecided(next(t for t in range(1, len(labels)) if labels[t] is None))
