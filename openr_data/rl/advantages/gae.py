"""Generalised advantage estimation (arXiv 1506.02438) over segments: tokens, steps or turns.

OpenR's APPO is the step level and its TPPO the token level (arXiv 2410.09671): there the discount holds between steps, and is 1
inside of one.
"""

from __future__ import annotations

from collections.abc import Sequence


def gae(
    rewards: Sequence[float | None], values: Sequence[float], discounts: Sequence[float], decay: float, last: float = 0.0
) -> tuple[list[float], list[float]]:
    """Advantages and targets of the critic, one per segment.

    `values[u]` is the critic's value where segment u begins and `last` that behind the last one (0 at an end). `discounts[u]`
    lies between u and u + 1. delta_u = r_u + discount_u V_{u+1} - V_u; A_u = delta_u + discount_u decay A_{u+1}; the target is
    A_u + V_u. Raises `ValueError` where the lengths differ.

    >>> gae([0.0, 1.0], [0.5, 0.5], [1.0, 1.0], decay=1.0)
    ([0.5, 0.5], [1.0, 1.0])
    """
    if not len(rewards) == len(values) == len(discounts):
        raise ValueError(f"{len(rewards)} rewards, {len(values)} values and {len(discounts)} discounts do not belong together")
    advantages, ahead, behind = [0.0] * len(values), last, 0.0
    for place in range(len(values) - 1, -1, -1):
        delta = (rewards[place] or 0.0) + discounts[place] * ahead - values[place]
        behind = delta + discounts[place] * decay * behind
        advantages[place], ahead = behind, values[place]
    return advantages, [advantage + value for advantage, value in zip(advantages, values, strict=True)]


def token_discounts(lengths: Sequence[int], discount: float) -> list[float]:
    """1 inside a step and `discount` behind its last token.

    >>> token_discounts([2, 3], 0.9)
    [1.0, 0.9, 1.0, 1.0, 0.9]
    """
    return [discount if token == length - 1 else 1.0 for length in lengths for token in range(length)]


def token_rewards(rewards: Sequence[float | None], lengths: Sequence[int]) -> list[float]:
    """The reward of a step at its last token, 0 elsewhere. Of a step that has no token of its own (`rl.trajectory`) it is at the
    token before it.

    >>> token_rewards([0.5, 1.0], [2, 1])
    [0.0, 0.5, 1.0]
    """
    found, end = [0.0] * sum(lengths), 0
    for reward, length in zip(rewards, lengths, strict=True):
        end += length
        if found:
            found[max(0, end - 1)] += reward or 0.0
    return found
