"""OmegaPRM's selection: the value Q, the exploration bonus U, and the flat pool of rollouts (arXiv 2406.06592, Eq. 2-3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt

from openr_data.labelers.estimates import beta_mean
from openr_data.labelers.repairs import outcome_for
from openr_data.labelers.tree import Tree
from openr_data.types import NO_ROLLOUTS, Node, Rollout, StepLabel, Steps


@dataclass(frozen=True, slots=True)
class Selection:
    """The constants of the two equations. `length` is L, in tokens."""

    alpha: float = 0.5
    beta: float = 0.9
    length: float = 500.0
    c_puct: float = 0.125

    def value(self, mc: float, tokens: int) -> float:
        """Q(s, r) = alpha^(1 - MC(s)) * beta^(len(r) / L), the length in generated tokens (Eq. 2).

        >>> round(Selection().value(0.5, 500), 4)
        0.6364
        """
        return float(self.alpha ** (1 - mc) * self.beta ** (tokens / self.length))

    def bonus(self, visits: int, all_visits: int) -> float:
        """U(s) = c_puct * sqrt(sum_i N(s_i)) / (1 + N(s)), the sum over the states of the pool (Eq. 3).

        >>> Selection().bonus(1, 4)
        0.125
        """
        return self.c_puct * sqrt(all_visits) / (1 + visits)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A wrong rollout that waits for its search. `state` is the text of the prefix it was sampled from."""

    state: str
    prefix: Steps
    rollout: Rollout
    steps: Steps


class Pool:
    """All wrong rollouts of states with 0 < MC(s) < 1 that were not searched yet: one flat pool, no descent from the root.

    A solution text enters once and leaves for good when it is selected. Where drawing stopped at the first hit (not `exact`),
    MC(s) is the posterior mean, since the share of hits then says little. A search with a model of its own says which prefixes
    are states and what they are worth (`know`); the root is always judged by its counts.
    """

    def __init__(self, selection: Selection, *, exact: bool = True) -> None:
        self.selection = selection
        self.exact = exact
        self.waiting: list[Candidate] = []
        self.texts: set[str] = set()
        self.offered: dict[str, int] = {}
        self.known: dict[str, float] | None = None

    def forbid(self, texts: Iterable[str]) -> None:
        """These whole solutions are searched elsewhere."""
        self.texts.update(texts)

    def know(self, states: Mapping[str, float] | None, texts: Iterable[str]) -> None:
        """Which of these prefixes a search found to be states, with their values; the latest search counts."""
        if states is not None:
            judged = set(texts)
            self.known = {text: value for text, value in (self.known or {}).items() if text not in judged} | dict(states)

    def offer(self, tree: Tree) -> None:
        """Take in the wrong rollouts that are new since the last call."""
        for state, node in tree.ordered():
            if self.offered.get(state, 0) < len(node.rollouts):
                self.offered[state] = len(node.rollouts)
                self.waiting.extend(self._candidates(tree, state, node))

    def _candidates(self, tree: Tree, state: str, node: Node) -> Iterable[Candidate]:
        for rollout in node.rollouts:
            text = state + rollout.completion.text
            new = tree.measure.steps.split(rollout.completion.text)
            # A rollout without a step of its own has no step that could hold the error.
            if rollout.verdict.outcome == "wrong" and new and text not in self.texts:
                self.texts.add(text)
                yield Candidate(state, node.prefix, rollout, node.prefix + new)

    def pop(self, tree: Tree) -> Candidate | None:
        """Select argmax Q + U, computed now, take it out for good and count the visit of its state; `None` when none is left."""
        states = self._states(tree)
        candidates = [candidate for candidate in self.waiting if candidate.state in states]
        if not candidates:
            return None
        visited = sum(tree.visits[state] for state in states)
        bonus = {state: self.selection.bonus(tree.visits[state], visited) for state in states}
        best = max(
            candidates, key=lambda c: self.selection.value(states[c.state], c.rollout.completion.token_count) + bonus[c.state]
        )
        self.waiting.remove(best)
        tree.visits[best.state] += 1
        return best

    def _states(self, tree: Tree) -> dict[str, float]:
        """The states of the pool with their values MC(s), 0 < MC(s) < 1."""
        waiting = {candidate.state for candidate in self.waiting}
        labels = {state: label for state in waiting if (label := _standing(tree, state))}
        mixed = {state: label for state, label in labels.items() if 0 < label.value < 1}
        counted = {state: label.value if self.exact else beta_mean(label) for state, label in mixed.items()}
        if self.known is None:
            return counted
        return {state: value for state, value in {**counted, **self.known}.items() if state in waiting and self._is_state(state)}

    def _is_state(self, state: str) -> bool:
        return state == "" or state in (self.known or {})


def _standing(tree: Tree, state: str) -> StepLabel | None:
    """MC(s) by the state's own rollouts; one that repaired the state is none of its hits."""
    counts = NO_ROLLOUTS
    for rollout in tree.rollouts(state):
        counts = counts.adding(outcome_for(rollout, state, rollout.completion.text, tree.measure.repairs))
    return counts.label
