"""The lines of a scaling figure: how each looks, in colour and in grey, and its intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from openr_data.data_cards.scaling_figure import ScalingCurve

Look = Mapping[str, Any]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195")
"""Okabe and Ito's, which those who see few colours tell apart, and one more."""
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_INK, _GREY = "#222222", "#777777"
_BOUND: Look = {"color": _GREY, "linestyle": (0, (4, 2)), "marker": "_", "linewidth": 1.4}
_BASELINE: Look = {"color": _INK, "linestyle": "-", "marker": ".", "linewidth": 2.0}


def looks_of(curves: Sequence[ScalingCurve]) -> dict[str, Look]:
    """A colour, a marker and a line for each name. Strategies beyond the colours have hollow markers and dotted lines."""
    found: dict[str, Look] = {}
    for curve in curves:
        if curve.name not in found:
            coloured = sum(look not in (_BOUND, _BASELINE) for look in found.values())
            found[curve.name] = {"bound": _BOUND, "baseline": _BASELINE}.get(curve.role) or _strategy(coloured)
    return found


def _strategy(number: int) -> Look:
    again, place = divmod(number, len(_COLOURS))
    # With every lap the markers move on, so that no pair comes back; dashes tell the laps apart in grey.
    look = {"color": _COLOURS[place], "marker": _MARKERS[(place + again) % len(_MARKERS)], "linewidth": 1.7}
    if not again:
        return {**look, "linestyle": "-", "markeredgecolor": "white", "markeredgewidth": 0.6}
    dashes = ((0, (1.4, 1.2)), (0, (5, 1.2, 1.2, 1.2)))[(again - 1) % 2]
    return {**look, "linestyle": dashes, "markerfacecolor": "white", "markeredgewidth": 1.1}


def draw_curve(axes: Axes, curve: ScalingCurve, look: Look, *, crowd: int, small: bool = False) -> None:
    """The line with its band, or its only point with a whisker; whiskers along the tokens. `crowd`: lines on these axes."""
    tokens, values = [each.tokens for each in curve.points], [100 * each.accuracy for each in curve.points]
    thin = 0.75 if small else 1.0
    shown = {**look, "linewidth": thin * look["linewidth"], "markersize": (3.4 if small else 5.6)}
    axes.plot(tokens, values, **shown, zorder=3 if curve.role == "strategy" else 2.5, label=curve.name)
    _draw_accuracy(axes, curve, look["color"], fill=_fill(curve.role, crowd), thin=thin)
    if not small:
        _draw_tokens(axes, curve, look["color"])


def _fill(role: str, crowd: int) -> float:
    """Many bands over each other stay lighter than the lines."""
    return {"bound": 0.07, "baseline": 0.11}.get(role, min(0.16, max(0.055, 0.5 / crowd)))


def _draw_accuracy(axes: Axes, curve: ScalingCurve, colour: str, *, fill: float, thin: float) -> None:
    known = [each for each in curve.points if each.accuracy_low is not None and each.accuracy_high is not None]
    places = [each.tokens for each in known]
    low, high = [100 * (each.accuracy_low or 0.0) for each in known], [100 * (each.accuracy_high or 0.0) for each in known]
    if len(known) > 1:
        axes.fill_between(places, low, high, color=colour, alpha=fill, linewidth=0, zorder=1)
    elif known:
        axes.vlines(places, low, high, colors=colour, linewidth=1.1 * thin, alpha=0.8, zorder=2)


def _draw_tokens(axes: Axes, curve: ScalingCurve, colour: str) -> None:
    known = [each for each in curve.points if each.tokens_low is not None and each.tokens_high is not None]
    heights = [100 * each.accuracy for each in known]
    # Tokens of none have no place on a scale of powers.
    low, high = [max(each.tokens_low or 0.0, 1.0) for each in known], [max(each.tokens_high or 0.0, 1.0) for each in known]
    if known:
        axes.hlines(heights, low, high, colors=colour, linewidth=0.9, alpha=0.8, zorder=2)
