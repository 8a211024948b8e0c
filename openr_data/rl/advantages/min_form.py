"""Credit by the worst step that is still to come: min-form credit assignment (PURE, arXiv 2504.15275, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

from openr_data.rl.advantages.process import Group, to_go

TEMPERATURE = 0.1


def strict_minimum(rewards: Sequence[float | None]) -> list[float]:
    """G_k: the smallest reward of step k and those behind it. Rewards that are not known are passed over (0: there is no other).

    >>> strict_minimum([0.9, 0.2, None, 0.7])
    [0.2, 0.2, 0.7, 0.7]
    """
    found, lowest = [0.0] * len(rewards), float("inf")
    for place in range(len(rewards) - 1, -1, -1):
        lowest = min(lowest, float("inf") if rewards[place] is None else float(rewards[place] or 0.0))
        found[place] = 0.0 if lowest == float("inf") else lowest
    return found


def weighted(rewards: Sequence[float | None], temperature: float = TEMPERATURE) -> list[float | None]:
    """r*_k = w_k r_k with w = softmax(-r / temperature) over the steps: their sum comes near the minimum as `temperature` falls.

    >>> [round(each, 4) for each in weighted([1.0, -1.0, 1.0]) if each is not None]
    [0.0, -1.0, 0.0]
    """
    known = [each for each in rewards if each is not None]
    if not known:
        return [None] * len(rewards)
    lowest = min(known)  # the largest exponent is 0
    weights = [None if each is None else exp((lowest - each) / temperature) for each in rewards]
    total = sum(each for each in weights if each is not None)
    return [None if r is None or w is None else r * w / total for r, w in zip(rewards, weights, strict=True)]


def min_form(rewards: Group, tokens: Sequence[Sequence[int]], temperature: float = TEMPERATURE) -> list[list[float]]:
    """Sums to go of the weighted rewards, less a baseline for each token: what the others of the group get for one.

    `rewards` are p(+) - p(-), from -1 to 1, and `tokens[i][k]` is the length of step k, by which the baseline of a step grows:
    one for each step would pay for writing few. One entry per step. A solution without others has the baseline 0; one without a
    known reward has advantages of 0.
    """
    given = [weighted(solution, temperature) for solution in rewards]
    sums = [sum(each for each in solution if each is not None) for solution in given]
    lengths = [
        sum(n for n, r in zip(line, solution, strict=True) if r is not None) for line, solution in zip(tokens, given, strict=True)
    ]
    found = []
    for number, (solution, line) in enumerate(zip(given, tokens, strict=True)):
        others = sum(lengths) - lengths[number]
        rate = (sum(sums) - sums[number]) / others if others else 0.0
        found.append(to_go([None if r is None else r - rate * n for r, n in zip(solution, line, strict=True)]))
    return found
