"""The rounds of a loop as its figure."""

from __future__ import annotations

from collections.abc import Sequence

from openr_data.data_cards.figures import Figure
from openr_data.data_cards.rounds_figure import RoundPoint, Share, rounds
from openr_data.pipelines.loop.manifest import RoundManifest
from openr_data.prm.intervals import Interval

FIGURE = "rounds.png"


def figure_of(found: Sequence[RoundManifest]) -> Figure:
    """Raises `ValueError` without a round."""
    if not found:
        raise ValueError("a figure of rounds needs at least one")
    points = [RoundPoint(_share(each.greedy_after), _share(each.sampled_after), each.auroc, dict(each.tokens)) for each in found]
    return rounds((_share(found[0].greedy_before), _share(found[0].sampled_before)), points)


def _share(found: Interval) -> Share:
    return found.value, found.low, found.high
