"""The one measurement of every labeler: continue a prefix n times and grade each result. Knows no search and no labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Protocol

from openr_data.errors import ContextOverflow, EngineError
from openr_data.labelers.repairs import Repairs
from openr_data.labelers.spans import TokenSpans
from openr_data.labelers.verdicts import Truncated, Ungradable, verdict_on
from openr_data.tasks import concurrently
from openr_data.types import Completion, Cost, Engine, Grader, Node, Problem, Rollout, Sampling, Solution, Steps, Verdict


class Splitter(Protocol):
    """How the text of a rollout becomes steps: `StepFormat` (semantic steps) or `TokenSpans` (OmegaPRM's token spans)."""

    def split(self, text: str, /) -> Steps: ...

    def join(self, steps: Sequence[str], /) -> str: ...

    def open(self, steps: Sequence[str], /) -> str:
        """The text that is continued after these steps."""
        ...


@dataclass(frozen=True, slots=True)
class MonteCarlo:
    """Measures prefixes. `engine` renders prefixes with the same separator as `steps` (the empty one for token spans).

    `sampler` names the engine in solutions that are made of rollouts. `repairs` says which right rollouts took back a step of
    their prefix and so do not speak for it (`None`: all of them do); nodes keep them as the grader saw them, see `Path.outcome`.
    """

    engine: Engine
    grader: Grader
    sampling: Sampling
    steps: Splitter
    truncated: Truncated = "unknown"
    sampler: str = ""
    ungradable: Ungradable = "unknown"
    repairs: Repairs | None = None

    async def measure(self, problem: Problem, prefix: Steps, n: int, start: int = 0) -> Node:
        """Rollouts `start .. start+n-1` from `prefix`, as a node of their own (OmegaPRM, arXiv 2406.06592, Eq. 1)."""
        rollouts = await self.rollouts(problem, prefix, n, start)
        return Node(node_id(problem, self.steps.open(prefix)), problem.id, "", prefix, rollouts)

    async def rollouts(self, problem: Problem, prefix: Steps, n: int, start: int = 0) -> tuple[Rollout, ...]:
        """Rollouts `start .. start+n-1` from `prefix`, all kept.

        The graded text is the prefix with its continuation: the answer may already stand in the prefix. A sample that failed
        in the engine and an answer that could not be graded are undecided, never negative. Raises `EngineError`, except for a
        prefix that does not fit the context: its rollouts are undecided with the reason `context_overflow`.
        """
        try:
            completions = await self.engine.sample(problem.question, prefix, n=n, sampling=self.sampling, start=start)
        except ContextOverflow:
            return tuple(_refused(start + i) for i in range(n))
        if len(completions) != n:
            raise EngineError(f"the engine returned {len(completions)} samples where {n} were asked for")
        text = self.steps.open(prefix)
        return tuple(await concurrently(self._grade(text, completion, problem.answer) for completion in completions))

    async def _grade(self, prefix: str, completion: Completion, answer: str) -> Rollout:
        verdict = await verdict_on(
            completion, prefix + completion.text, answer, self.grader, truncated=self.truncated, ungradable=self.ungradable
        )
        return Rollout(completion, verdict)

    def fitted(self, solutions: Sequence[Solution], root: Node | None = None) -> tuple[MonteCarlo, tuple[Solution, ...]]:
        """The measurement and the solutions in the steps that are searched.

        Semantic steps stay as they came. Token spans take their unit from the mean length of these solutions and of the root's
        rollouts, and the solutions are cut again.
        """
        if not isinstance(self.steps, TokenSpans):
            return self, tuple(solutions)
        texts = [self.steps.source.join(solution.steps) for solution in solutions]
        drawn = [rollout.completion.text for rollout in root.rollouts] if root else []
        spans = self.steps.fitted([*texts, *drawn])
        cut = tuple(replace(solution, steps=spans.split(text)) for solution, text in zip(solutions, texts, strict=True))
        return replace(self, steps=spans), cut


def node_id(problem: Problem, text: str) -> str:
    """A stable id of a prefix: 16 bytes of a hash of the problem's id and the text that is continued."""
    return blake2b(f"{problem.id}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def cost_of(nodes: Iterable[Node]) -> Cost:
    """What the rollouts kept in these nodes cost: their number and their generated tokens."""
    rollouts = [rollout for node in nodes for rollout in node.rollouts]
    return Cost(len(rollouts), sum(rollout.completion.token_count for rollout in rollouts))


def why_undecided(rollouts: Iterable[Rollout]) -> str:
    """The commonest reason among the undecided of these rollouts (the first one met among equals)."""
    reasons = Counter(rollout.verdict.reason for rollout in rollouts if rollout.verdict.outcome == "unknown")
    return reasons.most_common(1)[0][0] if reasons else ""


def _refused(index: int) -> Rollout:
    return Rollout(Completion("", 0, "error", index, 0), Verdict("unknown", "context_overflow"))
