"""The figure of a loop: how good policy and process reward model are after each round, and what that cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openr_data.data_cards.figures import RIGHT, STYLE, WRONG, Figure, finished, new_canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#A6A6A6", "#CC79A7", "#56B4E9")
_MODEL = "#009E73"

Share = tuple[float, float | None, float | None]
"""A value in 0 .. 1 with the ends of its interval, where it has one."""


@dataclass(frozen=True, slots=True)
class RoundPoint:
    """After a round: accuracies of the policy, the AUROC of the round's process reward model (`None`: not known), and the tokens
    that the round generated, by what they were for.
    """

    greedy: Share
    sampled: Share
    auroc: float | None
    tokens: Mapping[str, int]


def rounds(before: tuple[Share, Share], points: Sequence[RoundPoint]) -> Figure:
    """`before`: the accuracies, greedily and sampled, of the policy that came in, which are drawn as those of round 0.

    Raises `ValueError` without a round.
    """
    if not points:
        raise ValueError("a figure of rounds needs at least one")
    from matplotlib import rc_context

    with rc_context(STYLE):
        canvas, (policy, model, cost) = new_canvas(2.7, 3)
        _accuracy(policy, before, points)
        _auroc(model, points)
        _tokens(cost, points)
        first, last = 100 * before[0][0], 100 * points[-1].greedy[0]
        total = sum(sum(each.tokens.values()) for each in points)
        caption = (
            f"Confirming questions answered greedily: {first:.1f} % before, {last:.1f} % after round {len(points)}; "
            f"{total:,} generated tokens. "
            "Whiskers are 95 % intervals over questions, and wider than those of differences, which are paired."
        )
        alt = "Accuracy of the policy, AUROC of the process reward model and generated tokens, by round"
        return finished("rounds", canvas, "Rounds", alt, caption)


def _accuracy(axes: Axes, before: tuple[Share, Share], points: Sequence[RoundPoint]) -> None:
    """The lines stand a little apart, so that no whisker hides another."""
    greedy, sampled = ([start, *shares] for start, shares in zip(before, zip(*_shares(points), strict=True), strict=True))
    for every, name, colour, marker, shift in ((greedy, "greedy", RIGHT, "o", -0.03), (sampled, "sampled", WRONG, "s", 0.03)):
        places = [place + shift for place in range(len(every))]
        axes.plot(places, [100 * value for value, _, _ in every], color=colour, marker=marker, markersize=4.5, label=name)
        for place, (_, low, high) in zip(places, every, strict=True):
            if low is not None and high is not None:
                axes.vlines(place, 100 * low, 100 * high, color=colour, linewidth=1, alpha=0.7)
    axes.set(title="policy", xlabel="round", ylabel="right answers (%)", xticks=range(len(points) + 1))
    axes.margins(x=0.15)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.35 * (high - low))
    axes.legend(fontsize=8, loc="upper left", ncols=2, framealpha=0.85, edgecolor="none")


def _shares(points: Sequence[RoundPoint]) -> list[tuple[Share, Share]]:
    return [(each.greedy, each.sampled) for each in points]


def _auroc(axes: Axes, points: Sequence[RoundPoint]) -> None:
    known = [(number, each.auroc) for number, each in enumerate(points, 1) if each.auroc is not None]
    axes.plot(*zip(*known, strict=True), color=_MODEL, marker="D", markersize=4.5, linewidth=1.6) if known else None
    axes.set(title="process reward model", xlabel="round", ylabel="AUROC", xticks=range(1, len(points) + 1))
    axes.set_xlim(0.5, len(points) + 0.5)
    axes.margins(y=0.3)


def _tokens(axes: Axes, points: Sequence[RoundPoint]) -> None:
    """Bars in parts, the first of which lies at the bottom."""
    names = list(dict.fromkeys(name for each in points for name in each.tokens))
    places, bottom = range(1, len(points) + 1), [0.0] * len(points)
    for name, colour in zip(names, _COLOURS, strict=False):
        parts = [each.tokens.get(name, 0) / 1e6 for each in points]
        axes.bar(places, parts, bottom=bottom, color=colour, edgecolor="white", linewidth=0.8, width=0.6, label=name)
        bottom = [low + part for low, part in zip(bottom, parts, strict=True)]
    axes.set(title="generated tokens", xlabel="round", ylabel="millions", xticks=places, xlim=(0.5, len(points) + 0.5))
    axes.set_ylim(0, max(bottom) * 1.55 or 1.0)
    axes.legend(fontsize=7.5, ncols=2, loc="upper center", framealpha=0.85, edgecolor="none", columnspacing=1.0, handlelength=1.2)
