"""The prefixes of one solution as one search sees them: what it drew itself, and what passed through. Knows no strategy.

Two searches of one problem may run at once. Each sees only what it asked for, never what the other happens to have drawn
already, so labels do not depend on timing; the tree below draws and keeps every rollout once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from openr_data.labelers.monte_carlo import why_undecided
from openr_data.labelers.repairs import outcome_for
from openr_data.labelers.tree import Tree
from openr_data.tasks import concurrently
from openr_data.types import NO_ROLLOUTS, Cost, Counts, Outcome, Rollout, Solution, StepLabel, Steps


@dataclass(frozen=True, slots=True)
class RolloutId:
    """A rollout of the tree: sample `index` of the prefix with this text."""

    text: str
    index: int


class Path:
    """Depth t is the first t steps, 0 <= t < len(steps): the whole solution is never probed, its answer is known.

    `passing`: a rollout from depth s whose text agrees with the solution up to depth j is a sample of every depth s .. j
    alike (given that it passed there, its rest is a fresh draw). Two rules keep that unbiased: it never counts at a depth
    before s, and the solution itself never counts, since it was chosen because it failed. Duplicates count each time.
    On the way it is also seen how often the solution's next step was written again: of `tried[t]` rollouts that reached depth t,
    `repeated[t]` did (0 of 0 for the last step, and without `passing`).
    """

    def __init__(self, tree: Tree, steps: Steps, *, target: RolloutId | None = None, passing: bool = False) -> None:
        self.tree = tree
        self.steps = steps
        self.target = target
        self.texts = [tree.text(steps[:t]) for t in range(len(steps))]
        self.drawn = [0] * len(steps)
        self.tried = [0] * len(steps)
        self.repeated = [0] * len(steps)
        self._counts = [NO_ROLLOUTS] * len(steps)
        self._undecided: list[tuple[Rollout, ...]] = [()] * len(steps)
        self._added = [text[len(shorter) :] for shorter, text in pairwise(self.texts)]
        self._passing = passing

    def counts(self, depth: int) -> Counts:
        return self._counts[depth]

    def label(self, depth: int) -> StepLabel | None:
        """The counts as evidence: `None` without a decided rollout, or without a hit where most rollouts are undecided."""
        return evidence(self._counts[depth])

    def see_all(self) -> None:
        """Take in everything that the tree holds by now; only where no other search of the problem is going on."""
        for depth, text in enumerate(self.texts):
            rollouts = self.tree.rollouts(text)
            for rollout in rollouts[self.drawn[depth] :]:
                self._count(depth, rollout)
            self.drawn[depth] = max(self.drawn[depth], len(rollouts))

    async def draw(self, depth: int, n: int = 1) -> tuple[Rollout, ...]:
        """The next `n` rollouts of a depth, asked for together. Fewer where the tree's limit is spent."""
        first = self.drawn[depth]
        rollouts = (await self._ask(depth, first + n))[first : first + n]
        for rollout in rollouts:
            self._count(depth, rollout)
        self.drawn[depth] = first + len(rollouts)
        return rollouts

    async def draw_each(self, depths: Iterable[int], n: int = 1) -> None:
        """The next `n` rollouts of several depths at once; counted in the order of the depths, whatever comes first."""
        wanted = list(depths)
        await concurrently(self._ask(t, self.drawn[t] + n) for t in wanted)
        for depth in wanted:
            await self.draw(depth, n)

    async def probe(self, depth: int, k: int, *, exact: bool = False) -> StepLabel | None:
        """Is this prefix good? Draw until the first hit or until `k` rollouts are counted; `exact`: `k` of its own, together.

        Stopping at the first hit asks the same samples in the same order, so whether there is a hit among k is the same.
        """
        if exact:
            await self.draw(depth, k - self.drawn[depth])
            return self.label(depth)
        while not self.decided(depth, k) and await self.draw(depth):
            pass
        return self.label(depth)

    def decided(self, depth: int, k: int) -> bool:
        """Is there a hit, or are `k` rollouts counted?"""
        return self._counts[depth].hits > 0 or self._counts[depth].total >= k

    def why_undecided(self, depth: int) -> str:
        """The commonest reason among the rollouts that count here and could not be decided."""
        return why_undecided(self._undecided[depth])

    def own(self, depth: int) -> tuple[Rollout, ...]:
        """What was drawn at this very depth, in the order of the sample indices."""
        return self.tree.rollouts(self.texts[depth])[: self.drawn[depth]]

    def own_label(self, depth: int) -> StepLabel | None:
        """The evidence of these alone: with a fixed number of them, an unbiased count whatever passed through."""
        counts = NO_ROLLOUTS
        for rollout in self.own(depth):
            counts = counts.adding(self.outcome(depth, rollout, depth))
        return evidence(counts)

    def outcome(self, drawn: int, rollout: Rollout, depth: int) -> Outcome:
        """What a rollout drawn at depth `drawn` says of the prefix at `depth`: a right one that repaired it is a failure."""
        if self.tree.measure.repairs is None:
            return rollout.verdict.outcome
        rest = (self.texts[drawn] + rollout.completion.text)[len(self.texts[depth]) :]
        return outcome_for(rollout, self.texts[depth], rest, self.tree.measure.repairs)

    def pay(self) -> Cost:
        """What this path drew first; call it for one path after the other, in a fixed order."""
        return self.tree.pay((self.texts[t], self.drawn[t]) for t in range(1, len(self.steps)))

    def labels(self, k: int) -> list[StepLabel | None]:
        """What is known of each depth after probing with `k`: a few passing failures alone are no evidence yet."""
        return [self.label(t) if self.decided(t, k) else None for t in range(len(self.steps))]

    def _count(self, depth: int, rollout: Rollout) -> None:
        if self.target == RolloutId(self.texts[depth], rollout.completion.index):
            return
        last = self._follows(depth, rollout)
        self._compare(depth, last, rollout)
        for t in range(depth, last + 1):
            outcome = self.outcome(depth, rollout, t)
            self._counts[t] = self._counts[t].adding(outcome)
            if outcome == "unknown":
                self._undecided[t] += (rollout,)

    def _compare(self, depth: int, last: int, rollout: Rollout) -> None:
        if not self._passing or rollout.completion.finish_reason != "stop":
            return
        for t in range(depth, min(last + 1, len(self.steps) - 1)):
            self.tried[t] += 1
            self.repeated[t] += t < last

    def _follows(self, depth: int, rollout: Rollout) -> int:
        """The deepest depth that the rollout passes through.

        One that met the token limit speaks only for its start: begun further on, it would have had more room.
        """
        if not self._passing or rollout.completion.finish_reason == "length":
            return depth
        text, at = rollout.completion.text, 0
        for added in self._added[depth:]:
            if not text.startswith(added, at):
                break
            depth, at = depth + 1, at + len(added)
        return depth

    async def _ask(self, depth: int, stop: int) -> tuple[Rollout, ...]:
        return await self.tree.draw(self.steps[:depth], stop, text=self.texts[depth])


def evidence(counts: Counts) -> StepLabel | None:
    """The counts as a label, or `None` where they say nothing: a hit is a proof, no hit is evidence only if most were decided.

    Without this, an engine that loses seven of eight samples would make wrong steps out of right ones.
    """
    return counts.label if counts.hits or 2 * counts.decided >= counts.total else None


def target_of(tree: Tree, solution: Solution) -> RolloutId | None:
    """The rollout of the root that this solution is, if it is one: the same sample, by index and seed, with the same text.

    A solution that says by chance what a rollout says is another sample, and the rollout counts.
    """
    for rollout in tree.rollouts("")[solution.index : solution.index + 1]:
        same = rollout.completion.seed == solution.seed
        if same and rollout.completion.text == tree.measure.steps.join(solution.steps):
            return RolloutId("", solution.index)
    return None
