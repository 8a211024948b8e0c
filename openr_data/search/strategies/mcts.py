"""Monte Carlo tree search over steps: PUCT with the policy's own probabilities as priors (OpenR, arXiv 2410.09671)."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from openr_data.search.base import Path
from openr_data.search.explorer import Explorer, Want
from openr_data.search.puct import priors, puct, uct
from openr_data.search.tree import ROOT


@dataclass(slots=True)
class _State:
    """A prefix in the tree. `children` is None until it was expanded; `done`: nothing below it can be visited any more."""

    path: Path
    initial: float = 0.0
    prior: float = 1.0
    visits: int = 0
    value: float = 0.0
    children: list[_State] | None = None
    done: bool = False


_UNKNOWN = 0.5
"""The value of a question, of which nothing is known."""


async def mcts(x: Explorer) -> list[Path]:
    """Walks, n of them, from the question to an end of a solution; each expands every new prefix on its way once.

    At a prefix that was visited before, the child with the largest PUCT (or UCT) goes on; below, the one with the best score of
    the process reward model. The score of the end is backed up to all above it, as their mean or maximum. An end is visited once,
    and a prefix without anything left below it not again; the search is over when that is the root. All ends are results.
    """
    root, results = _State(x.root, initial=_UNKNOWN), list[Path]()
    for _ in range(x.config.n):
        trail = await _walk(x, root)
        leaf = trail[-1]
        if leaf is not root and leaf.path.steps:
            results.append(leaf.path)
        _back_up(x, trail)
        if root.done or x.stopped:
            break
    _note(x, root)
    return results


async def _walk(x: Explorer, root: _State) -> list[_State]:
    """From the root to an end, or to the deepest prefix that may be reached."""
    trail = [root]
    while not trail[-1].path.end and len(trail) <= x.config.depth:
        state = trail[-1]
        fresh = state.children is None
        if state.children is None:
            state.children = await _expand(x, state)
        left = [child for child in state.children if not child.done]
        if not left:
            break
        trail.append(max(left, key=lambda child: child.initial) if fresh else _select(x, state, left))
    return trail


async def _expand(x: Explorer, state: _State) -> list[_State]:
    (children,) = await x.next_steps([Want(state.path, x.config.width)])
    paths = await x.scored(children)
    if not paths:
        return []
    nodes = [x.tree.nodes[path.node] for path in paths]
    chances = priors([node.logprob for node in nodes], [node.tokens for node in nodes])
    if state.path.node == ROOT and x.config.noise:
        chances = _noisy(chances, x.config.noise, Random(f"{x.use.sampling.seed}/{x.question}"))
    known = [value for path in paths if (value := x.value(path)) is not None]
    # What has no score is taken to be like its siblings, or, where none has, like the prefix before it.
    middle = sum(known) / len(known) if known else state.initial
    values = [x.value(path) for path in paths]
    return [
        _State(path, middle if value is None else value, chance)
        for path, value, chance in zip(paths, values, chances, strict=True)
    ]


def _select(x: Explorer, state: _State, left: list[_State]) -> _State:
    config = x.config

    def by_puct(child: _State) -> float:
        return puct(_q(child), child.prior, child.visits, state.visits, config.c_base, config.c_init)

    def by_uct(child: _State) -> float:
        return uct(_q(child), child.visits, state.visits, config.c_uct) if child.visits else float("inf")

    return max(left, key=by_puct if config.formula == "puct" else lambda child: (by_uct(child), child.initial))


def _q(state: _State) -> float:
    """What was backed up to it; of one that was not visited, the score of the process reward model."""
    return state.value if state.visits else state.initial


def _back_up(x: Explorer, trail: list[_State]) -> None:
    leaf = trail[-1]
    value, mean = leaf.initial, x.config.backup == "mean"
    leaf.done = True  # an end, the deepest that is allowed, or nothing below it that could be visited
    for state in reversed(trail):
        state.visits += 1
        state.value = state.value + (value - state.value) / state.visits if mean else max(state.value, value)
        if state.children is not None and all(child.done for child in state.children):
            state.done = True


def _noisy(chances: list[float], share: float, draw: Random) -> list[float]:
    """Dirichlet(0.3) noise for the root, as in AlphaZero."""
    gammas = [draw.gammavariate(0.3, 1.0) for _ in chances]
    total = sum(gammas) or 1.0
    return [(1 - share) * chance + share * gamma / total for chance, gamma in zip(chances, gammas, strict=True)]


def _note(x: Explorer, root: _State) -> None:
    """Visits, values and priors, into the tree that is kept."""
    waiting = [root]
    while waiting:
        state = waiting.pop()
        node = x.tree.nodes[state.path.node]
        node.visits, node.value = state.visits, state.value
        node.prior = None if state is root else state.prior
        waiting += state.children or []
