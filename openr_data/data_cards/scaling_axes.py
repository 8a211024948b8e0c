"""The scales of a scaling figure: tokens in powers of two, accuracy in percent."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log2
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from openr_data.data_cards.scaling_figure import ScalingCurve

_ROOM = 1.18
_WIDEST = 1.6
"""A whisker widens the scale at most by this factor beyond the points, so that one wide interval does not squeeze all lines."""


def scale(axes: Axes, curves: Sequence[ScalingCurve], *, over: Sequence[ScalingCurve] = (), small: bool = False) -> None:
    """Limits and ticks for the curves; the tokens are those of `over`, where axes are to be compared."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    axes.set_xscale("log", base=2)
    low, high = token_limits(over or curves)
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(powers(low, high, 5 if small else 10)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(*accuracy_limits(curves))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6 if small else 8, steps=[1, 2, 5, 10], integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))
    axes.grid(visible=True, axis="both", color="#EAEAEA", linewidth=0.6)
    axes.tick_params(labelsize=7.5 if small else 9)


def token_limits(curves: Sequence[ScalingCurve]) -> tuple[float, float]:
    """Around all points and, as far as `_WIDEST`, their whiskers; at least two powers of two lie between."""
    points = [point for curve in curves for point in curve.points]
    least, most = (pick(max(1.0, point.tokens) for point in points) for pick in (min, max))
    low = max(least / _WIDEST, min([least, *(max(1.0, each.tokens_low) for each in points if each.tokens_low is not None)]))
    high = min(most * _WIDEST, max([most, *(each.tokens_high for each in points if each.tokens_high is not None)]))
    low, high = low / _ROOM, high * _ROOM
    while floor(log2(high)) - ceil(log2(low)) < 1:
        low, high = low / _ROOM, high * _ROOM
    return low, high


def powers(low: float, high: float, most: int) -> list[float]:
    """The powers of two from `low` to `high`; every second, or third, if they are more than `most`.

    >>> powers(3, 70, 9), powers(3, 70, 3)
    ([4.0, 8.0, 16.0, 32.0, 64.0], [4.0, 16.0, 64.0])
    """
    first, last = ceil(log2(low)), floor(log2(high))
    stride = -(-(last - first + 1) // most)
    return [2.0**power for power in range(first, last + 1, stride)]


def accuracy_limits(curves: Sequence[ScalingCurve]) -> tuple[float, float]:
    """Around all points and intervals, in percent; never far outside 0 .. 100, and at least four points apart."""
    bounds = [(each.accuracy, each.accuracy_low, each.accuracy_high) for curve in curves for each in curve.points]
    values = [100 * value for bound in bounds for value in bound if value is not None] or [0.0, 100.0]
    low, high = min(values), max(values)
    room = max(0.05 * (high - low), 2 - (high - low) / 2, 0.5)
    return max(-1.0, low - room), min(101.0, high + room)
