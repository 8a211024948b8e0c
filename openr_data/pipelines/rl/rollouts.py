"""Solutions of the present policy with their rewards: sampled, graded and scored, each as soon as it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from openr_data.engines.local import LocalEngine
from openr_data.errors import ContextOverflow
from openr_data.labelers.verdicts import Truncated, verdict_on
from openr_data.prm.score.step_scorer import BatchingStepScorer
from openr_data.rl.reasoning import Reasoning
from openr_data.rl.trajectory import Group, Trajectory, step_lengths
from openr_data.tasks import concurrently
from openr_data.types import Completion, Grader, Problem, Sampling, Steps

OUTCOMES = {"right": 1.0, "wrong": 0.0, "unknown": None}


@dataclass(frozen=True, slots=True)
class Rollouts:
    """What fails has no reward, which is no bad one: a sample that the engine lost, or a question that does not fit, is left
    out, and an answer that could not be graded, or a solution that could not be scored, has `None`. `overlong`: see `RLConfig`.
    Graders and scorers do not see `reasoning`.
    """

    engine: LocalEngine
    grader: Grader
    scorer: BatchingStepScorer | None
    sampling: Sampling
    overlong: str = "wrong"
    reasoning: Reasoning | None = None

    async def groups(self, problems: Sequence[Problem], n: int, seed: int) -> list[Group]:
        """`n` solutions of each problem, in their order."""
        sampling = Sampling(self.sampling.temperature, self.sampling.max_tokens, seed, self.sampling.top_p, self.sampling.top_k)
        return await concurrently([self._group(problem, n, sampling) for problem in problems])

    async def _group(self, problem: Problem, n: int, sampling: Sampling) -> Group:
        try:
            drawn = await self.engine.sample(problem.question, (), n=n, sampling=sampling)
        except ContextOverflow:  # this question leaves no room; the others do
            return Group(problem.question, ())
        kept = [each for each in drawn if each.finish_reason != "error" and each.ids]
        prompt = self.engine.prompt_ids(problem.question, ())
        steps, lengths = zip(*(self._steps(prompt, each) for each in kept), strict=True) if kept else ((), ())
        scores = await self._scores(problem.question, steps)
        outcomes = await concurrently([self._outcome(problem, each) for each in kept])
        made = zip(kept, steps, lengths, outcomes, scores, strict=True)
        return Group(problem.question, tuple(self._trajectory(prompt, *each) for each in made))

    def _steps(self, prompt: tuple[int, ...], completion: Completion) -> tuple[Steps, tuple[int, ...]]:
        """What is shown of each step, and how many tokens it has."""
        form = self.engine.template.steps
        steps = form.split(completion.text) or (completion.text,)
        lengths = step_lengths(completion.ids, steps, form.separator, partial(self.engine.text_of, prompt))
        return self.reasoning.apart(steps, lengths) if self.reasoning else (steps, lengths)

    async def _scores(self, question: str, solutions: Sequence[Steps]) -> list[tuple[float | None, ...]]:
        if self.scorer is None:
            return [()] * len(solutions)
        found = await self.scorer.scores(question, solutions)
        return [
            (None,) * len(steps) if one.reason else tuple(one.probabilities) for steps, one in zip(solutions, found, strict=True)
        ]

    async def _outcome(self, problem: Problem, completion: Completion) -> float | None:
        cut: Truncated = "wrong" if self.overlong == "wrong" else "unknown"
        text = self.reasoning.shown(completion.text) if self.reasoning else completion.text
        verdict = await verdict_on(completion, text, problem.answer, self.grader, truncated=cut, ungradable="wrong")
        return OUTCOMES[verdict.outcome]

    def _trajectory(
        self,
        prompt: tuple[int, ...],
        completion: Completion,
        steps: Steps,
        lengths: tuple[int, ...],
        outcome: float | None,
        scores: tuple[float | None, ...],
    ) -> Trajectory:
        cut = completion.finish_reason == "length"
        known = (None,) * len(scores) if cut and self.overlong == "masked" else scores
        return Trajectory(prompt, completion.ids, steps, lengths, outcome, known, cut)
