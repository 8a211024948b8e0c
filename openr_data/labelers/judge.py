r"""An LLM judge of solutions: it reads the question and the numbered steps, and names the first wrong one. Knows no rollouts.

The task is that of ProcessBench (arXiv 2412.06559): the index of the earliest wrong step, -1 when there is none, in `\boxed{}`.
Several votes are drawn, and the rules of `count_votes` make one verdict of them, or none with a reason: a judge that answers
nonsense decides nothing. The judge never sees the reference answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from openr_data.errors import ContextOverflow
from openr_data.types import NO_ERROR, Completion, Engine, Sampling, Steps

_TASK = """\
Below are a problem and a solution to it. The solution is cut into numbered parts, and the first part has the number 0.

<problem>
{question}
</problem>

<solution>
{parts}
</solution>

Examine the parts in their order. Work through each one yourself: are its calculations right, does it follow from the problem \
and from the parts before it, and does it claim nothing that is false? Stop at the first part that holds a mistake. A part that \
only carries an earlier mistake on is not the first, and clumsy wording is not a mistake.

End with one line that holds nothing but the number of that part in \\boxed{}, such as \\boxed{2}. If no part holds a mistake, \
that line is \\boxed{-1}."""

_BOX = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_INTEGER = re.compile(r"[-\u2212]?\d+")
_LONGEST = 6


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the votes come to: `first_error` as in `LabeledSolution`, or `None` and the `reason`.

    `votes` has an entry per completion, `None` for one that could not be read; `tokens` were generated for them.
    """

    first_error: int | None
    reason: str
    votes: tuple[int | None, ...]
    tokens: int

    @property
    def shown(self) -> str:
        """The votes in the order of their sample indices; `?` could not be read."""
        return " ".join("?" if vote is None else str(vote) for vote in self.votes)


@dataclass(frozen=True, slots=True)
class Judge:
    """Draws `votes` completions of the engine, samples 0 .. votes-1 of the prompt."""

    engine: Engine
    sampling: Sampling
    votes: int = 8

    async def __call__(self, question: str, steps: Steps, /) -> Opinion:
        """Raises `EngineError`, except for a solution that does not fit the judge's context: that one is not judged."""
        try:
            drawn = await self.engine.sample(critique_prompt(question, steps), (), n=self.votes, sampling=self.sampling)
        except ContextOverflow:
            return Opinion(None, "context_overflow", (), 0)
        votes = tuple(read_vote(completion, len(steps)) for completion in drawn)
        first_error, reason = count_votes(votes)
        return Opinion(first_error, reason, votes, sum(completion.token_count for completion in drawn))


def critique_prompt(question: str, steps: Sequence[str]) -> str:
    """What the judge is asked, with the steps numbered from 0."""
    parts = "\n".join(f"<part_{number}>\n{step.strip()}\n</part_{number}>" for number, step in enumerate(steps))
    before, _, rest = _TASK.partition("{question}")
    between, _, after = rest.partition("{parts}")
    return f"{before}{question}{between}{parts}{after}"


def read_vote(completion: Completion, steps: int) -> int | None:
    r"""The number in the last box; `None` for a vote that says nothing: failed, cut off, no box, no such step.

    A completion that was cut by the token limit has not come to its end, so no box in it is its answer.

    >>> read_vote(Completion(r"Part 1 is wrong. \boxed{\text{1}}", 6, "stop", 0, 0), steps=3)
    1
    >>> read_vote(Completion(r"\boxed{7}", 1, "stop", 0, 0), steps=3) is None
    True
    """
    boxes = _BOX.findall(completion.text) if completion.finish_reason == "stop" else []
    numbers = _INTEGER.findall(boxes[-1]) if boxes else []
    if len(numbers) != 1 or len(numbers[0]) > _LONGEST:
        return None
    number = int(numbers[0].replace("\u2212", "-"))
    return number if NO_ERROR <= number < steps else None


def count_votes(votes: Sequence[int | None]) -> tuple[int | None, str]:
    """The step with the most votes and why, or `None` and why not.

    At least half of the votes must be readable (`unreadable:<readable>/<all>`), and one step must have more of them than any
    other (`tie:<steps>`).

    >>> count_votes([2, 2, -1, None]), count_votes([2, -1]), count_votes([2, None, None])
    ((2, 'majority'), (None, 'tie:-1,2'), (None, 'unreadable:1/3'))
    """
    readable = [vote for vote in votes if vote is not None]
    if not readable or 2 * len(readable) < len(votes):
        return None, f"unreadable:{len(readable)}/{len(votes)}"
    counts = Counter(readable)
    most = max(counts.values())
    first = sorted(step for step, count in counts.items() if count == most)
    return (first[0], "majority") if len(first) == 1 else (None, f"tie:{','.join(map(str, first))}")
