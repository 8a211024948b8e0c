"""Consensus filtering (Qwen "Lessons", arXiv 2501.07301): a label stands only where judge and rollouts name the same first error.

The Monte Carlo labeler works as it always does; every solution that it decided goes to the judge. Disagreements stay in the data,
undecided, with both opinions, so that a reader can choose what to keep. Knows neither how rollouts are drawn nor what a judge is
asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from openr_data.labelers.judge import Judge, Opinion
from openr_data.tasks import concurrently
from openr_data.types import LabeledSolution, Labeler, Labeling, Problem, Solution

METHOD = "consensus"


@dataclass(frozen=True, slots=True)
class Consensus:
    """The labels of `monte_carlo`, kept where `judge` names the same first error.

    Counts, estimates and `cost` are those of Monte Carlo. What the judge said and cost stands in `notes`: `judge` (its first
    error; missing where it came to none), `judge_reason`, `judge_votes`, `judge_tokens`, and `mc` with `mc_reason`, the Monte
    Carlo label. A solution that Monte Carlo left undecided is not shown to the judge.
    """

    monte_carlo: Labeler
    judge: Judge

    async def __call__(self, problem: Problem, solutions: Sequence[Solution], /) -> Labeling:
        labeling = await self.monte_carlo(problem, solutions)
        kept = await concurrently(self._judged(problem, labelled) for labelled in labeling.solutions)
        return replace(labeling, solutions=tuple(kept))

    async def _judged(self, problem: Problem, labelled: LabeledSolution) -> LabeledSolution:
        if labelled.first_error is None or not labelled.solution.steps:
            return replace(labelled, method=METHOD)
        return agreed(labelled, await self.judge(problem.question, labelled.solution.steps))


def agreed(labelled: LabeledSolution, opinion: Opinion) -> LabeledSolution:
    """The label where both say the same; undecided where they differ or where the judge came to nothing."""
    told = {
        "judge_reason": opinion.reason,
        "judge_votes": opinion.shown,
        "judge_tokens": str(opinion.tokens),
        "mc": str(labelled.first_error),
        "mc_reason": labelled.reason,
        **({} if opinion.first_error is None else {"judge": str(opinion.first_error)}),
    }
    noted = replace(labelled, method=METHOD, notes={**labelled.notes, **told})
    if opinion.first_error == labelled.first_error:
        return replace(noted, reason=f"agreement:{labelled.reason}")
    if opinion.first_error is None:
        reason = f"judge_undecided:{opinion.reason}"
    else:
        reason = f"disagreement:judge={opinion.first_error},mc={labelled.first_error}"
    return replace(noted, first_error=None, confidence=None, reason=reason)
