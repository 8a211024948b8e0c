"""The measured prefixes of one problem: a true prefix tree that grows and forgets nothing. Knows no labels."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from openr_data.labelers.monte_carlo import MonteCarlo, node_id
from openr_data.types import Cost, Node, Problem, Rollout, Steps


class Tree:
    """Nodes keyed by the exact text of their prefix: a rollout is drawn once, however many searches ask for it.

    `limit` bounds all rollouts of the problem (0: no bound); with one, searches go one after the other, so that the order of the
    solutions decides what it admits. `visits` counts selections, N(s) of OmegaPRM.
    """

    def __init__(self, problem: Problem, measure: MonteCarlo, limit: int = 0) -> None:
        self.problem = problem
        self.measure = measure
        self.limit = limit
        self.nodes: dict[str, Node] = {}
        self.visits: Counter[str] = Counter()
        self.count = 0
        self._paid: Counter[str] = Counter()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def text(self, prefix: Sequence[str]) -> str:
        return self.measure.steps.open(prefix)

    def rollouts(self, text: str) -> tuple[Rollout, ...]:
        node = self.nodes.get(text)
        return node.rollouts if node else ()

    @property
    def exhausted(self) -> bool:
        return 0 < self.limit <= self.count

    async def draw(self, prefix: Steps, stop: int, *, text: str = "") -> tuple[Rollout, ...]:
        """Rollouts 0 .. stop-1 of a prefix, fewer where the limit is spent; only those that are missing are drawn, together.

        `text`: that of the prefix, where it is at hand.
        """
        text = text or self.text(prefix)
        if len(self.rollouts(text)) < stop:
            async with self._turns[text]:
                await self._fill(text, prefix, stop)
        self._call_by_the_least(text, prefix)
        return self.rollouts(text)[:stop]

    def pay(self, drawn: Iterable[tuple[str, int]]) -> Cost:
        """What these first rollouts of these prefixes cost, beyond those that somebody has paid for already."""
        cost = Cost()
        for text, stop in drawn:
            new = self.rollouts(text)[self._paid[text] : stop]
            cost += Cost(len(new), sum(rollout.completion.token_count for rollout in new))
            self._paid[text] = max(self._paid[text], stop)
        return cost

    def finished(self) -> tuple[Node, ...]:
        """All nodes, shorter prefixes first, with their visits and the longest measured proper prefix as parent."""
        parents = _parents(self.nodes)
        return tuple(
            replace(node, parent=self.nodes[parents[text]].id if text in parents else "", visits=self.visits[text])
            for text, node in self.ordered()
        )

    def ordered(self) -> list[tuple[str, Node]]:
        """Texts and nodes in an order that does not depend on which came first."""
        return sorted(self.nodes.items(), key=lambda item: (len(item[1].prefix), item[0]))

    async def _fill(self, text: str, prefix: Steps, stop: int) -> None:
        start = len(self.rollouts(text))
        missing = min(stop - start, self.limit - self.count) if self.limit else stop - start
        if missing <= 0:
            return
        self.count += missing  # before waiting: what another draws meanwhile comes out of the rest
        new = await self.measure.rollouts(self.problem, prefix, missing, start)
        node = self.nodes.get(text) or Node(node_id(self.problem, text), self.problem.id, "", prefix, ())
        self.nodes[text] = replace(node, rollouts=node.rollouts + new)

    def _call_by_the_least(self, text: str, prefix: Steps) -> None:
        # Steps that hold a separator can cut one text in two ways; which one the node shows must not depend on who came first.
        node = self.nodes.get(text)
        if node and prefix < node.prefix:
            self.nodes[text] = replace(node, prefix=prefix)


def _parents(texts: Mapping[str, Node]) -> dict[str, str]:
    # In sorted order every text follows its prefixes, and all extensions of a prefix stand together: one stack suffices.
    parents: dict[str, str] = {}
    line: list[str] = []
    for text in sorted(texts):
        while line and not text.startswith(line[-1]):
            line.pop()
        if line:
            parents[text] = line[-1]
        line.append(text)
    return parents
