"""From segments to tokens: every token of a segment has the segment's advantage."""

from __future__ import annotations

from collections.abc import Sequence


def spread(advantages: Sequence[float], lengths: Sequence[int]) -> list[float]:
    """One entry per token.

    >>> spread([0.5, -1.0], [1, 2])
    [0.5, -1.0, -1.0]
    """
    return [value for value, length in zip(advantages, lengths, strict=True) for _ in range(length)]
