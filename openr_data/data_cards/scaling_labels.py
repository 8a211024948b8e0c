"""The names in a scaling figure: at the ends of the lines, where they hide nothing, or in a legend where there are many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log2
from typing import TYPE_CHECKING, Literal

from openr_data.data_cards.scaling_lines import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

    from openr_data.data_cards.scaling_figure import ScalingCurve, ScalingPoint

Pixel = tuple[float, float]
Across = Literal["left", "center", "right"]
Along = Literal["bottom", "center", "top"]
Side = tuple[int, int, Across, Along]

_NAMED = 7
"""More lines than these are told apart by a legend."""
_LATE = 0.72
"""Lines that end beyond this share of the width are named beside the axes, the others where they end."""
_GAP = 0.056
_SIZE = 8.5
_KEY = 1.045
"""Where the markers before the names stand, in widths of the axes."""
_LEADER = {"arrowstyle": "-", "color": "#AAAAAA", "linewidth": 0.6, "shrinkA": 11, "shrinkB": 5, "relpos": (0, 0.5)}
_PARTS = 40
_CONTRAST = 4.5
"""Of text to a white page (WCAG 2.1, criterion 1.4.3)."""
_SIDES: tuple[Side, ...] = (
    (7, 0, "left", "center"),
    (0, 7, "center", "bottom"),
    (0, -7, "center", "top"),
    (-7, 0, "right", "center"),
    (6, 6, "left", "bottom"),
    (6, -6, "left", "top"),
    (-6, 6, "right", "bottom"),
    (-6, -6, "right", "top"),
)
"""Where a name may stand from its point, in points, and what of it stands there; the first ones are preferred."""


def name_lines(canvas: Canvas, axes: Axes, curves: Sequence[ScalingCurve], looks: Mapping[str, Look]) -> None:
    """Names in the colours of the lines, dark enough to be read, and the budgets at the points of the bound."""
    inside: list[ScalingCurve] = []
    if len(curves) > _NAMED:
        _add_legend(axes, curves, looks)
    else:
        beside = [curve for curve in curves if _ends_late(axes, curve)]
        _name_beside(axes, beside, looks)
        inside = [curve for curve in curves if curve not in beside]
    canvas.draw_without_rendering()  # what hides what is known when every part has its place
    _name_budgets(axes, curves)
    _name_inside(axes, inside, curves, looks)


def _ends_late(axes: Axes, curve: ScalingCurve) -> bool:
    low, high = (log2(limit) for limit in axes.get_xlim())
    return len(curve.points) > 1 and (log2(max(1.0, curve.points[-1].tokens)) - low) / (high - low) > _LATE


def _name_budgets(axes: Axes, curves: Sequence[ScalingCurve]) -> None:
    """Above the points of the bound, but for those where other lines are."""
    bound = next((each for each in curves if each.role == "bound" and len(each.points) > 1), None)
    taken = [pixel for curve in curves if curve is not bound for pixel in _pixels(axes, curve)]
    shown = 0
    for point in bound.points if bound else ():
        told = axes.annotate(
            f"{'' if shown else 'n = '}{point.budget}",
            (point.tokens, 100 * point.accuracy),
            (3, 4),
            textcoords="offset points",
            fontsize=7,
            color="#5A5A5A",
            ha="right",
            va="bottom",
            zorder=4,
        )
        if any(told.get_window_extent().padded(3).contains(*pixel) for pixel in taken):
            told.remove()
        else:
            shown += 1


def readable(colour: str) -> str:
    """The colour, darkened until text in it can be read on white.

    >>> readable("#0072B2"), readable("#E69F00")
    ('#0072b2', '#9b6b00')
    """
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = to_rgb(colour)
    while 1.05 / (_luminance(red, green, blue) + 0.05) < _CONTRAST:
        red, green, blue = 0.97 * red, 0.97 * green, 0.97 * blue
    return to_hex((red, green, blue))


def _luminance(*channels: float) -> float:
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _add_legend(axes: Axes, curves: Sequence[ScalingCurve], looks: Mapping[str, Look]) -> None:
    """In the order of the ends, from above."""
    from matplotlib.lines import Line2D

    order = sorted(curves, key=lambda curve: -curve.points[-1].accuracy)
    handles = [Line2D([], [], **looks[curve.name], markersize=5.6, label=_plain(curve.name)) for curve in order]
    axes.legend(
        handles=handles, fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=2.6
    )  # fmt: skip


def _name_beside(axes: Axes, curves: Sequence[ScalingCurve], looks: Mapping[str, Look]) -> None:
    shown = sorted(curves, key=lambda curve: (curve.points[-1].accuracy, curve.name))
    low, high = axes.get_ylim()
    places = spread([100 * curve.points[-1].accuracy for curve in shown], _GAP * (high - low), low, high)
    for place, curve in zip(places, shown, strict=True):
        _add_key(axes, place, looks[curve.name])
        axes.annotate(
            _plain(curve.name),
            xy=(curve.points[-1].tokens, 100 * curve.points[-1].accuracy),
            xytext=(_KEY + 0.02, place),
            textcoords=("axes fraction", "data"),
            color=readable(looks[curve.name]["color"]),
            fontsize=_SIZE,
            va="center",
            annotation_clip=False,
            arrowprops=_LEADER,
        )


def _add_key(axes: Axes, place: float, look: Look) -> None:
    """The marker before a name, which tells whose it is in grey."""
    from matplotlib.lines import Line2D

    across = axes.get_yaxis_transform()
    axes.add_artist(Line2D([_KEY], [place], **{**look, "linestyle": ""}, markersize=5, transform=across, clip_on=False, zorder=4))


def spread(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The nearest places to rising `values` that are `gap` apart, between `low` and `high` where they have room.

    >>> spread([1, 1, 5], 2, 0, 10)
    [0.0, 2.0, 5.0]
    """
    from sklearn.isotonic import isotonic_regression

    steps = [number * gap for number in range(len(values))]
    if not steps:
        return []
    highest = max(low, high - steps[-1])
    free = isotonic_regression([value - step for value, step in zip(values, steps, strict=True)], y_min=low, y_max=highest)
    return [float(place) + step for place, step in zip(free, steps, strict=True)]


def _name_inside(axes: Axes, curves: Sequence[ScalingCurve], others: Sequence[ScalingCurve], looks: Mapping[str, Look]) -> None:
    """Beside the last point, on the side where the name lies over the least."""
    from matplotlib.text import Text

    taken = [pixel for curve in others for pixel in _pixels(axes, curve)]
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the line that leads to a name
    for curve in curves:
        look = looks[curve.name]
        hidden = [_hidden(axes, curve, look, side, taken, boxes) for side in _SIDES]
        text = _add(axes, curve, look, _SIDES[hidden.index(min(hidden))])
        boxes.append(text.get_window_extent())


def _hidden(axes: Axes, curve: ScalingCurve, look: Look, side: Side, taken: Sequence[Pixel], boxes: Sequence[Bbox]) -> int:
    """How much lies under a name at this side: places of lines, and, which is worse, other names or the edge."""
    text = _add(axes, curve, look, side)
    box, page = text.get_window_extent().padded(2), axes.get_window_extent()
    text.remove()
    outside = not (page.contains(box.x0, box.y0) and page.contains(box.x1, box.y1))
    return sum(box.contains(*pixel) for pixel in taken) + 100 * sum(box.overlaps(other) for other in boxes) + 1000 * outside


def _add(axes: Axes, curve: ScalingCurve, look: Look, side: Side) -> Annotation:
    right, up, across, along = side
    return axes.annotate(
        _plain(curve.name),
        (curve.points[-1].tokens, 100 * curve.points[-1].accuracy),
        (right, up),
        textcoords="offset points",
        color=readable(look["color"]),
        fontsize=_SIZE,
        ha=across,
        va=along,
        zorder=5,
    )


def _pixels(axes: Axes, curve: ScalingCurve) -> list[Pixel]:
    """Places along a line and its whiskers, close enough together that no name fits between two."""
    line = [(max(1.0, each.tokens), 100 * each.accuracy) for each in curve.points]
    whiskers = [pair for each in curve.points for pair in _whiskers(each, upright=len(line) == 1)]
    return [place for start, end in (*pairwise(line), *whiskers) for place in _between(axes, start, end)]


def _whiskers(point: ScalingPoint, *, upright: bool) -> list[tuple[Pixel, Pixel]]:
    """Along the tokens, and along the accuracy where no band tells it. A side that is not known ends at the point."""
    tokens, accuracy = max(1.0, point.tokens), 100 * point.accuracy
    wide = ((max(1.0, point.tokens_low or tokens), accuracy), (max(1.0, point.tokens_high or tokens), accuracy))
    low = accuracy if point.accuracy_low is None else 100 * point.accuracy_low
    high = accuracy if point.accuracy_high is None else 100 * point.accuracy_high
    return [wide, ((tokens, low), (tokens, high))] if upright else [wide]


def _between(axes: Axes, start: Pixel, end: Pixel) -> list[Pixel]:
    (x, y), (to_x, to_y) = (axes.transData.transform(place) for place in (start, end))
    return [(x + (to_x - x) * part / _PARTS, y + (to_y - y) * part / _PARTS) for part in range(_PARTS + 1)]


def _plain(name: str) -> str:
    """A dollar sign would begin a formula."""
    return name.replace("$", r"\$")
