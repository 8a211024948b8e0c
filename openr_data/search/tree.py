"""The tree of a search: an arena of nodes, each adding one step (or a whole solution) to its parent. Knows no engine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openr_data.types import Steps

ROOT = 0
ABOVE = -1
"""The parent of the root."""


@dataclass(slots=True)
class Node:
    """`steps` are what it adds to its parent: one step, or as many as were sampled at once. A last step of the parent that was
    itself continued (by a blank line, by forced words) is repeated as it is now, where nothing else was added.

    `copies` equal samples were drawn, all of whose tokens were paid: `tokens` of the first, `spent` of all. `margin` is the score
    of its last step. `visits`, `value` (the mean or maximum of what was backed up) and `prior` are those of a tree search.
    """

    parent: int
    steps: Steps
    end: str = ""
    tokens: int = 0
    spent: int = 0
    copies: int = 1
    logprob: float | None = None
    margin: float | None = None
    visits: int = 0
    value: float = 0.0
    prior: float | None = None


class Tree:
    """Nodes by number; a parent's number is below its children's."""

    def __init__(self) -> None:
        self.nodes = [Node(ABOVE, ())]

    def add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def ancestry(self, node: int) -> Iterable[int]:
        """The node and everything above it, the root included."""
        while node != ABOVE:
            yield node
            node = self.nodes[node].parent

    def kept(self, leaves: Iterable[int]) -> int:
        """Tokens along the paths to these leaves, each node once: what was generated and is part of a candidate."""
        return sum(self.nodes[node].tokens for node in {above for leaf in leaves for above in self.ancestry(leaf)})


def grafted(trees: Iterable[Iterable[Node]]) -> tuple[list[Node], list[int]]:
    """Several trees under one root, and how far the nodes of each were moved (its root aside, which is the common one)."""
    nodes, moves = [Node(ABOVE, ())], []
    for tree in trees:
        root, *rest = tree
        move = len(nodes) - 1
        moves.append(move)
        nodes[ROOT].visits += root.visits
        for node in rest:
            node.parent += move if node.parent != ROOT else 0
            nodes.append(node)
    return nodes, moves
