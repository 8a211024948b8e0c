"""Drawing that stops when a threshold rule on n rollouts is decided, whatever the rest would say. Knows no search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from openr_data.labelers.path import Path
from openr_data.types import Rollout

Weight = Callable[[Rollout], Fraction | None]
"""How much a rollout counts, above 0 and at most 1; `None`: it cannot be weighed and is undecided."""


def equally(_: Rollout) -> Fraction:
    """Plain counts."""
    return Fraction(1)


@dataclass(frozen=True, slots=True)
class AtLeast:
    """Is the weighted share of right among the decided of `n` rollouts at least `threshold` (above 0 and at most 1)?

    Undecided (`None` at the end) where there is no hit and fewer than half of the rollouts were decided. All sums are exact.
    """

    threshold: Fraction
    n: int
    weight: Weight = equally

    async def ask(self, path: Path, depth: int, *, exact: bool = False) -> bool | None:
        """Draw at a depth until the answer is certain; `exact`: all `n`. The answer is the same.

        Each draw asks for as many as it takes at best, so none is drawn that could not matter and the calls are few.
        """
        if exact:
            await path.draw(depth, self.n - path.drawn[depth])
        while True:
            tally = self._tally(path, depth)
            answer = self.answer(tally)
            if answer is not None or not tally.left:
                return answer
            if not await path.draw(depth, self.least(tally)):
                return None

    def answer(self, tally: Tally) -> bool | None:
        """What all `n` will say, if that is certain by now. The rollouts that are left weigh at most 1 each."""
        bar = self.threshold * (tally.decided + tally.left)
        if tally.right and tally.right >= bar:
            return True
        if tally.right + tally.left < bar and (tally.right or 2 * tally.known >= self.n):
            return False
        return None

    def least(self, tally: Tally) -> int:
        """The fewest rollouts after which the answer could be certain."""
        bar = self.threshold * (tally.decided + tally.left)
        hits, misses = ceil(bar - tally.right), floor(tally.right + tally.left - bar) + 1
        return max(1, min(hits, misses, tally.left))

    def _tally(self, path: Path, depth: int) -> Tally:
        right = decided = Fraction(0)
        known = 0
        for rollout in path.own(depth):
            outcome, weight = path.outcome(depth, rollout, depth), self.weight(rollout)
            if outcome != "unknown" and weight is not None:
                known += 1
                decided += weight
                right += weight if outcome == "right" else 0
        return Tally(right, decided, known, self.n - path.drawn[depth])


@dataclass(frozen=True, slots=True)
class Tally:
    """Weights of the right and of all decided rollouts, the number of decided ones, and how many are left to draw."""

    right: Fraction
    decided: Fraction
    known: int
    left: int
