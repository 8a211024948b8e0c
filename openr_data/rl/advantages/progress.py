"""What a step changed: process advantage verifiers (Setlur et al., arXiv 2410.08146)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def progress(scores: Sequence[float | None]) -> list[float | None]:
    """p_k - p_{k-1}, with p_{-1} = 0. One entry per step; `None` where one of the two is not known.

    With p as the value of the state behind a step, that is the advantage of the step (gamma = 1, no reward before the end): blame
    lies on the step that went wrong. The first entry is a value and no change: it takes a baseline (`centred`) to compare it.

    >>> progress([0.75, 0.25, None, 0.5])
    [0.75, -0.5, None, None]
    """
    return [None if before is None or after is None else after - before for before, after in pairwise([0.0, *scores])]
