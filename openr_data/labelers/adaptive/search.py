"""AdaOmega's search of one solution: one rollout at a time, from the prefix where it tells most per token. Knows no engine.

Two finishes. `certified` ends on OmegaPRM's own evidence (arXiv 2406.06592): a hit before the first error, k failures at it;
only the way there is shorter. `posterior` ends when the first error is likely enough under a model of the policy that may correct
itself, so that a hit is no proof; what stays open is said to be `uncertain`, with its probability.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, log2
from typing import Literal

import numpy as np

from openr_data.labelers.adaptive.model import Array, ValueModel
from openr_data.labelers.adaptive.posterior import Inference, Posterior, Seen
from openr_data.labelers.adaptive.probing import NOTHING_TO_LEARN, information, remaining
from openr_data.labelers.adaptive.states import states
from openr_data.labelers.binary_search import bounds
from openr_data.labelers.path import Path
from openr_data.types import Cost, Estimate, LabeledSolution, Solution, StepLabel

METHOD = "adaptive"
Finish = Literal["certified", "posterior"]
HARD_QUESTION, MORE = 0.2, 1.5
"""Below this share of right answers to the question a solution may take this many times the usual rollouts."""

NEEDED_FAILURE, NEEDED_HIT = 0.9, 0.6
"""Shares of a rollout's cost that a certificate pays in any case, if the prefix is the first wrong one, or the one before it.
Chosen by simulation: 3 to 5 % fewer tokens than without, at the same accuracy.
"""

TOKENS_PER_STEP = 20.0
"""Where nothing is known of the lengths: only the ratio to the overhead of a rollout depends on it."""


@dataclass(frozen=True, slots=True)
class AdaptiveSearch:
    """How one solution is searched: `rollouts` failures certify an error, `confidence` or `cap` rollouts end a posterior search.

    `cap` 0 is what a binary search with k = `rollouts` would draw of a solution of M steps, k * ceil(log2 M).

    `floor` rollouts of every prefix come first (a pilot looks everywhere, to learn where there is something to see).
    """

    inference: Inference
    finish: Finish = "posterior"
    rollouts: int = 8
    confidence: float = 0.9
    cap: int = 0
    floor: int = 0
    method: str = METHOD
    exact: bool = False

    async def search(self, path: Path, /, *, known_good: int = 0) -> Found:
        """Draw until the finish is reached, nothing is left to learn, the cap is met or the tree's limit is spent."""
        costs = remaining(len(path.steps), tokens_per_step(path))
        followed = self.inference.follow(len(path.steps), known_good)
        if self.floor:
            await path.draw_each(range(1, len(path.steps)), self.floor)
        drawn = sum(path.drawn[1:])
        while True:
            posterior = followed.posterior(seen(path))
            end = self._end(path, posterior, known_good, sum(path.drawn[1:]) - (0 if self.floor else drawn))
            depth = None if end else self._next(path, posterior, known_good, costs)
            if depth is None:
                return Found(self, path, posterior, end or "uncertain", known_good)
            if not await path.draw(depth):
                return Found(self, path, posterior, "rollout_limit" if self.finish == "certified" else "uncertain", known_good)
            await asyncio.sleep(0)  # a long row of rollouts that are known already shall not hold up other searches

    def bounds(self, path: Path, known_good: int) -> tuple[int, int]:
        """The longest prefix that is proved good and the shortest longer one with k failures. What stands before is not asked."""
        good, bad = bounds([None] * (known_good + 1) + path.labels(self.rollouts)[known_good + 1 :])
        return max(good, known_good), bad

    def _end(self, path: Path, posterior: Posterior, known_good: int, drawn: int) -> str:
        if self.finish == "certified":
            good, bad = self.bounds(path, known_good)
            return "certified" if bad - good <= 1 else ""
        if posterior.confidence >= self.confidence:
            return "posterior"
        cap = self.cap or self.rollouts * max(1, ceil(log2(len(path.steps))))
        hard = posterior.value[0] < HARD_QUESTION
        return "uncertain" if drawn >= cap * (MORE if hard else 1) else ""

    def _next(self, path: Path, posterior: Posterior, known_good: int, costs: Array) -> int | None:
        bits = information(posterior)
        if self.finish == "certified":
            return self._towards_certificate(path, bits, posterior.first, known_good)
        best = int((bits / costs).argmax())
        return best if bits[best] > NOTHING_TO_LEARN else None

    def _towards_certificate(self, path: Path, bits: Array, first: Array, known_good: int) -> int | None:
        """Only what the certificate can use: prefixes after the last hit and before the first k failures.

        A failure at the first error and a hit right before it are needed anyway: what is likely to be one is cheap.
        """
        good, bad = self.bounds(path, known_good)
        depths = [t for t in range(good + 1, bad) if path.counts(t).total < self.rollouts]
        if not depths:
            return None
        after = np.append(first[1:], 0.0)
        worth = [bits[t] / (1 - NEEDED_FAILURE * first[t - 1] - NEEDED_HIT * after[t - 1]) for t in depths]
        best = depths[int(np.argmax(worth))]
        return best if bits[best] > NOTHING_TO_LEARN else depths[0]


@dataclass(frozen=True, slots=True)
class Found:
    """A path whose search has ended: `certified`, `posterior`, `uncertain` or (short of a certificate) `rollout_limit`."""

    how: AdaptiveSearch
    path: Path
    posterior: Posterior
    end: str
    known_good: int = 0

    @property
    def states(self) -> Mapping[str, float]:
        """Under a certificate only what a hit has proved."""
        proved = self.how.bounds(self.path, self.known_good)[0] if self.how.finish == "certified" else len(self.path.steps)
        return states(self.path, self.posterior, proved)

    def labelled(self, solution: Solution, cost: Cost, /) -> LabeledSolution:
        """The label; nothing is decided where most of what was drawn could not be graded.

        A certificate has no confidence: its model, in which no error is made good, only says where to look.
        """
        counts = [self.path.label(t) for t in range(1, len(solution.steps))]
        error, reason = self._first_error()
        return LabeledSolution(
            solution,
            (*counts, StepLabel(0, 1)),
            error,
            METHOD,
            cost,
            reason,
            estimates=self._estimates(),
            confidence=None if error is None or self.how.finish == "certified" else float(self.posterior.first[error]),
        )

    def _first_error(self) -> tuple[int | None, str]:
        if self.end == "certified":
            return self.how.bounds(self.path, self.known_good)[1] - 1, self.end
        why = self._undecided()
        if why or self.how.finish == "certified":
            return None, why or self.end
        return self.posterior.best - 1, self.end

    def _undecided(self) -> str:
        """The reason, where most rollouts of the prefixes could not be decided, or (for a certificate) most of one prefix."""
        depths = range(1, len(self.path.steps))
        counts = [self.path.counts(t) for t in depths]
        undecided = [t for t in depths if self.path.counts(t).total and self.path.label(t) is None]
        most = 2 * sum(count.decided for count in counts) < sum(count.total for count in counts)
        if undecided and (most or self.how.finish == "certified"):
            return f"unknown_rollouts:{self.path.why_undecided(undecided[0])}"
        return ""

    def _estimates(self) -> tuple[Estimate, ...]:
        rows = zip(self.posterior.value[1:], self.posterior.good[1:], strict=True)
        return (*(Estimate(float(value), "posterior", float(good)) for value, good in rows), Estimate(0.0, "verdict", 0.0))


def seen(path: Path) -> Seen:
    """What a path has counted, as the model reads it."""
    counts = [path.counts(t) for t in range(len(path.steps))]
    return Seen(
        np.array([count.hits for count in counts], float),
        np.array([count.decided for count in counts], float),
        np.array(path.repeated, float),
        np.array(path.tried, float),
    )


def tokens_per_step(path: Path) -> float:
    """Of the rollouts from the question, over the steps of this solution."""
    lengths = [rollout.completion.token_count for rollout in path.own(0)]
    return sum(lengths) / len(lengths) / len(path.steps) if any(lengths) else TOKENS_PER_STEP


def certifying(model: ValueModel) -> ValueModel:
    """The model in which an error is never made good: what OmegaPRM assumes when one hit proves a prefix."""
    return replace(model, lost=1.0, lost_later=1.0)
