"""GenPRM's labels: a step is right iff it keeps most of the value it was given (arXiv 2504.00891). Knows no tree search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from openr_data.labelers.answers import with_labels
from openr_data.labelers.monte_carlo import MonteCarlo
from openr_data.labelers.path import Path
from openr_data.labelers.readings import first_without_progress, progress_values
from openr_data.labelers.rooted import hopeless, label_beside_root
from openr_data.types import NO_ERROR, Estimate, LabeledSolution, Labeling, Node, Problem, Solution, StepLabel

METHOD = "genprm"
HARD, EASY = 0.1, 0.9
"""Success rates of a question below which its prefixes get four times and twice the rollouts of an easy one's."""


@dataclass(frozen=True, slots=True)
class GenPRM:
    """Relative progress estimation: P_t = MC(after step t) / MC(before it), and step t is right iff P_t >= `progress`.

    `rollouts` is K of an easy question (32 in the paper): others get 2 K, hard ones 4 K, by the share of right among the
    `root_rollouts`, which also is MC before the first step; without a right one the question is dropped. Every measured prefix
    has all its rollouts. Prefixes after the first error are measured only if `exact`: its label does not depend on them.

    Estimates (`progress`) are P_t, which may exceed 1; 0 from the first step without a hit on.
    """

    measure: MonteCarlo
    rollouts: int = 8
    root_rollouts: int = 32
    progress: float = 0.8
    exact: bool = False

    async def __call__(self, problem: Problem, solutions: Sequence[Solution], /) -> Labeling:
        root_rollouts = self.root_rollouts or self.rollouts
        return await label_beside_root(
            problem, solutions, self.measure, self._search, method=METHOD, root_rollouts=root_rollouts, skip=hopeless
        )

    async def _search(self, path: Path, solution: Solution, root: Node) -> LabeledSolution:
        value = root.label or StepLabel(0, 1)
        k = self.rollouts * more_for_hard(value.value)
        if self.exact:
            await path.draw_each(range(1, len(path.steps)), k)
        depth = 1
        while depth < len(path.steps):
            await path.draw(depth, k - path.drawn[depth])
            if first_without_progress(_measured(path, depth), value, self.progress) != NO_ERROR:
                break
            depth += 1
        return self._label(path, solution, value, depth, k)

    def _label(self, path: Path, solution: Solution, root: StepLabel, depth: int, k: int) -> LabeledSolution:
        """`depth` is where the search ended: at a prefix that is bad or cannot be decided, or at the whole solution."""
        error = first_without_progress([*_measured(path, depth), StepLabel(0, 1)], root, self.progress)
        reason = "relative_progress" if error is not None else f"unknown_rollouts:{path.why_undecided(depth)}"
        labels = [path.label(t) for t in range(len(path.steps))]
        labelled = with_labels(solution, labels, error, reason, method=METHOD, notes={"rollouts": str(k), "root": _told(root)})
        values = progress_values(labelled.labels, root)
        return replace(labelled, estimates=tuple(None if p is None else Estimate(p, "progress") for p in values))


def more_for_hard(share: float) -> int:
    """How many times the rollouts of an easy question (128, 64 and 32 in the paper).

    >>> [more_for_hard(share) for share in (0.05, 0.1, 0.5, 0.9)]
    [4, 2, 2, 1]
    """
    return 4 if share < HARD else 2 if share < EASY else 1


def _measured(path: Path, depth: int) -> list[StepLabel | None]:
    """The labels of the prefixes up to this depth, as far as they are proper."""
    return [path.label(t) for t in range(1, min(depth, len(path.steps) - 1) + 1)]


def _told(label: StepLabel) -> str:
    return f"{label.hits}/{label.rollouts}"
