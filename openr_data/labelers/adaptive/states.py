"""Which prefixes a posterior makes states of the tree, with the value that the selection reads. Knows no rollouts."""

from __future__ import annotations

from openr_data.labelers.adaptive.posterior import Posterior
from openr_data.labelers.path import Path

SURELY_GOOD = 0.9
"""A prefix is a state of the tree only if it stands before the first error with this probability."""

OPEN = (0.03, 0.97)
"""Values between which rollouts of a state are worth a search: right answers exist, and wrong ones too."""


def states(path: Path, posterior: Posterior, proved: int) -> dict[str, float]:
    """The texts of the prefixes that are states, with their values (the place of 0 < MC(s) < 1 in OmegaPRM).

    At most the first `proved` steps; never the root, whose counts speak for themselves.
    """
    rows = list(zip(path.texts, posterior.good, posterior.value, strict=True))[1 : proved + 1]
    return {text: float(value) for text, good, value in rows if good >= SURELY_GOOD and OPEN[0] < value < OPEN[1]}
