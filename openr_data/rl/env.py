"""Reasoning as an environment: a state is a question and the steps so far, an action is the next step.

The shape is that of Gymnasium (`reset` and `step`), as coroutines since scorers and graders are; `openr_data.rl.gym` has it as
plain calls. Nothing is drawn here: the same actions give the same transitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from openr_data.errors import EngineError, UsageError
from openr_data.steps import StepFormat
from openr_data.types import Completion, Grader, Problem, Steps, StepScorer, Verdict

Rewards = Literal["prm", "outcome", "mixed"]
Info = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EnvConfig:
    """`rewards`: `prm` is p(+) of each new step; `outcome` is 1 for a right answer at the end and 0 for a wrong one; `mixed` is
    the outcome plus `weight` times p(+) of each step (OpenR, arXiv 2410.09671, section 3.3). A solution is truncated after
    `max_steps` steps, or where its tokens exceed `max_tokens` (0: no bound).
    """

    rewards: Rewards = "mixed"
    weight: float = 1.0
    max_steps: int = 64
    max_tokens: int = 0

    @property
    def scores(self) -> bool:
        return self.rewards != "outcome"

    @property
    def grades(self) -> bool:
        return self.rewards != "prm"


@dataclass(frozen=True, slots=True)
class State:
    """What a policy may see, and never the reference answer. `tokens` of the actions so far, where these say how many."""

    question: str
    steps: Steps = ()
    tokens: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """`terminated`: the solution ended; `truncated`: a bound ended it. `info` has `step` (its index), `tokens`, `cut` (text
    behind the separator that was left away), `score` (p(+), or `None`), `missing` (why a part of the reward is not known: it is
    0 then, and not a bad one) and `verdict` at the end.
    """

    state: State
    reward: float
    terminated: bool
    truncated: bool
    info: Info = field(default_factory=dict)


class StepEnv:
    """One solution at a time. `finds_answer` tells whether a step states the final answer: it ends the solution where the action
    is a text, which does not say whether its author was done, or a completion that was cut. A completion that its engine gave up
    adds no step and truncates.

    Raises `UsageError` where the rewards need a scorer or a grader that is not given, and for a step without a reset.
    """

    def __init__(
        self,
        steps: StepFormat,
        config: EnvConfig | None = None,
        *,
        scorer: StepScorer | None = None,
        grader: Grader | None = None,
        finds_answer: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.config = config or EnvConfig()
        if self.config.scores and scorer is None:
            raise UsageError(f"rewards '{self.config.rewards}' need a process reward model that scores the steps")
        if self.config.grades and grader is None:
            raise UsageError(f"rewards '{self.config.rewards}' need a grader of answers")
        self._steps, self._scorer, self._grader, self._finds_answer = steps, scorer, grader, finds_answer
        self._problem: Problem | None = None
        self.state = State("", done=True)

    async def reset(self, problem: Problem) -> State:
        """The question, alone. A solution under way is forgotten."""
        self._problem, self.state = problem, State(problem.question)
        return self.state

    async def step(self, action: str | Completion) -> Transition:
        """The next step as a text, or as an engine's completion, which says its tokens and whether the model ended."""
        problem = self._problem
        if problem is None or self.state.done:
            raise UsageError("the solution is over, or none was begun: reset the environment first")
        if isinstance(action, Completion) and action.finish_reason == "error":
            return self._lost()
        text, cut = self._first(action.text if isinstance(action, Completion) else action)
        steps = (*self.state.steps, text)
        tokens = self.state.tokens + (action.token_count if isinstance(action, Completion) else 0)
        # How a completion ended is true of its last step, which is not this one if it was cut.
        end = action if isinstance(action, Completion) and not cut else None
        terminated = self._ends(end, text)
        truncated = not terminated and self._bounded(end, len(steps), tokens)
        self.state = State(problem.question, steps, tokens, terminated or truncated)
        info: dict[str, Any] = {"step": len(steps) - 1, "tokens": tokens, "cut": cut, "score": None, "missing": ""}
        reward = await self._reward(problem, info, terminated=terminated)
        return Transition(self.state, reward, terminated, truncated, info)

    def _first(self, text: str) -> tuple[str, str]:
        """One step, and what stood behind it: an action that runs over the separator is cut there."""
        kept = self._steps.split(text)
        first = kept[0] if kept else text
        return first, text[len(first) :]

    def _lost(self) -> Transition:
        """The engine gave this sample up: there is no step to reward, and the solution cannot go on."""
        before = self.state
        self.state = State(before.question, before.steps, before.tokens, done=True)
        missing = "no step: the engine gave this sample up"
        info = {"step": len(before.steps), "tokens": before.tokens, "cut": "", "score": None, "missing": missing}
        return Transition(self.state, 0.0, terminated=False, truncated=True, info=info)

    def _ends(self, end: Completion | None, text: str) -> bool:
        if end is not None:
            if end.finish_reason != "stop":
                return False
            if end.ended is not None:
                return end.ended
        return self._finds_answer(text)

    def _bounded(self, end: Completion | None, count: int, tokens: int) -> bool:
        broken = end is not None and end.finish_reason != "stop"
        return broken or count >= self.config.max_steps or 0 < self.config.max_tokens < tokens

    async def _reward(self, problem: Problem, info: dict[str, Any], *, terminated: bool) -> float:
        reward = 0.0
        if self.config.scores:
            info["score"] = await self._score(problem, info)
            reward += (info["score"] or 0.0) * (self.config.weight if self.config.rewards == "mixed" else 1.0)
        if terminated and self.config.grades:
            verdict = info["verdict"] = await self._verdict(problem)
            reward += float(verdict.outcome == "right")
            if verdict.outcome == "unknown":
                info["missing"] = info["missing"] or f"no verdict: {verdict.reason}"
        return reward

    async def _score(self, problem: Problem, info: dict[str, Any]) -> float | None:
        assert self._scorer is not None  # noqa: S101 - checked when the environment was made
        try:
            (scores,) = await self._scorer(problem.question, [self.state.steps])
        except EngineError as fault:
            info["missing"] = f"no score: {fault}"
            return None
        if len(scores) != len(self.state.steps):
            raise EngineError(f"the scorer gave {len(scores)} scores for {len(self.state.steps)} steps")
        return float(scores[-1])

    async def _verdict(self, problem: Problem) -> Verdict:
        assert self._grader is not None  # noqa: S101 - checked when the environment was made
        return await self._grader(self._steps.join(self.state.steps), problem.answer)
