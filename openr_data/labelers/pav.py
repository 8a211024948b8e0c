"""PAV: what each step adds to the chance of success under a prover (arXiv 2410.08146). Knows no tree search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from openr_data.labelers.answers import from_answer, with_labels
from openr_data.labelers.math_shepherd import EveryPrefix
from openr_data.labelers.monte_carlo import MonteCarlo
from openr_data.labelers.path import Path
from openr_data.labelers.readings import advantages
from openr_data.labelers.tree import Tree
from openr_data.tasks import concurrently
from openr_data.types import Estimate, LabeledSolution, Labeling, Problem, Solution, StepLabel

METHOD = "pav"


@dataclass(frozen=True, slots=True)
class Pav:
    """The advantage A(s, a) = Q(s, a) - V(s) of every step of right and wrong solutions: estimates `advantage`, in -1 .. 1.

    `measure` draws from the prover. `best_of` > 1 reads its counts as those of best-of-k of the same policy, which is the paper's
    prover for a policy that has no other. The paper has no first error; `drop` > 0 is our rule: the first step of a wrong
    solution whose advantage is below -`drop`. Without it, or where no step drops so far, a wrong solution is undecided.
    """

    measure: MonteCarlo
    rollouts: int = 8
    best_of: int = 1
    drop: float = 0.0

    async def __call__(self, problem: Problem, solutions: Sequence[Solution], /) -> Labeling:
        measure, solutions = self.measure.fitted(solutions)
        tree = Tree(problem, measure)
        every = EveryPrefix(self.rollouts, right_too=True, exact=True, passing=False)
        wanted = any(every.wants(solution) for solution in solutions)
        root, *paths = await concurrently(
            [self._root(tree, wanted=wanted), *(every.path(tree, solution) for solution in solutions)]
        )
        value = root.label(0) if wanted else None
        labelled = tuple(self._label(path, each, value) for path, each in zip(paths, solutions, strict=True))
        return Labeling(problem.id, labelled, tree.finished())

    async def _root(self, tree: Tree, *, wanted: bool) -> Path:
        path = Path(tree, ("",))
        await path.draw(0, self.rollouts if wanted else 0)
        return path

    def _label(self, path: Path, solution: Solution, root: StepLabel | None) -> LabeledSolution:
        labels = path.labels(self.rollouts)
        known = from_answer(solution, METHOD, labels)
        labelled = known or with_labels(solution, labels, None, "advantages_only", method=METHOD)
        values = advantages(labelled.labels, root, self.best_of) if solution.verdict.outcome != "unknown" else ()
        estimates = tuple(None if value is None else Estimate(value, "advantage") for value in values)
        prover = f"best-of-{self.best_of}" if self.best_of > 1 else "engine"
        labelled = replace(labelled, cost=path.pay(), estimates=estimates if any(estimates) else (), notes={"prover": prover})
        return labelled if known or not self.drop else self._first_drop(labelled, values)

    def _first_drop(self, labelled: LabeledSolution, values: Sequence[float | None]) -> LabeledSolution:
        for step, value in enumerate(values):
            if value is None:
                return replace(labelled, reason="unknown_rollouts:too_few")
            if value < -self.drop:
                return replace(labelled, first_error=step, reason="first_drop")
        return replace(labelled, reason="no_drop")
