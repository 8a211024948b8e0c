"""The measured prefixes of one problem: a true prefix tree that grows and forgets nothing. Knows no labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from openr_data.labelers.monte_carlo import MonteCarlo, concurrently, merge
from openr_data.types import Node, Problem, StepLabel, Steps


class Tree:
    """Nodes keyed by the exact text of their prefix, so a prefix is measured once however many solutions share it.

    `limit` bounds all rollouts of the problem (0: no bound). It is checked before each measurement: it can be overshot by less
    than one measurement. `visits` counts selections, N(s) of OmegaPRM.
    """

    def __init__(self, problem: Problem, measure: MonteCarlo, limit: int = 0) -> None:
        self.problem = problem
        self.measure = measure
        self.limit = limit
        self.nodes: dict[str, Node] = {}
        self.visits: Counter[str] = Counter()
        self.rollouts = 0

    def text(self, prefix: Sequence[str]) -> str:
        return self.measure.steps.open(prefix)

    def get(self, prefix: Sequence[str]) -> Node | None:
        return self.nodes.get(self.text(prefix))

    def path(self, steps: Steps) -> list[StepLabel | None]:
        """What is known of the proper prefixes of a solution: item t belongs to its first t steps, t = 0 .. len - 1."""
        nodes = (self.get(steps[:t]) for t in range(len(steps)))
        return [evidence(node) if node else None for node in nodes]

    @property
    def exhausted(self) -> bool:
        return 0 < self.limit <= self.rollouts

    async def grow(self, prefixes: Sequence[Steps], n: int) -> Mapping[str, Node]:
        """Measure at once those prefixes that are not known, `n` rollouts each, as far as the limit goes; what was new, by text.

        The order of the prefixes alone decides which ones the limit admits and the order of the nodes, never the timing.
        """
        unknown = list({text: prefix for prefix in prefixes if (text := self.text(prefix)) not in self.nodes}.values())
        if self.limit:
            unknown = unknown[: max(0, -(-(self.limit - self.rollouts) // n))]
        grown = await concurrently(self.measure.measure(self.problem, prefix, n) for prefix in unknown)
        return {self.text(node.prefix): self.add(node) for node in grown}

    def add(self, node: Node) -> Node:
        """Take in a measurement; one of a known prefix is merged by sample index."""
        text = self.text(node.prefix)
        known = self.nodes.get(text)
        merged = merge(known, node) if known else node
        self.nodes[text] = merged
        self.rollouts += len(merged.rollouts) - (len(known.rollouts) if known else 0)
        return merged

    def finished(self) -> tuple[Node, ...]:
        """All nodes in the order of measurement, with their visits and the longest measured proper prefix as parent."""
        parents = _parents(self.nodes)
        return tuple(
            replace(node, parent=self.nodes[parents[text]].id if text in parents else "", visits=self.visits[text])
            for text, node in self.nodes.items()
        )


def evidence(node: Node) -> StepLabel | None:
    """The counts of a node, or `None` where they say nothing: a hit is a proof, no hit is evidence only if most were decided.

    Without this, an engine that loses seven of eight samples would make wrong steps out of right ones.
    """
    return node.label if node.hits or 2 * node.decided >= len(node.rollouts) else None


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
