"""The scaling figure: accuracy over the mean generated tokens of a question, for every way to answer. Knows plain numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from openr_data.data_cards.figures import STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

Role = Literal["strategy", "baseline", "bound"]
Look = Mapping[str, Any]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195")
"""Okabe and Ito's, which those who see few colours tell apart, and one more."""
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_INK, _GREY = "#222222", "#777777"
_DOTS = 200
_WIDTH, _HEIGHT, _PANEL = 7.2, 4.3, 2.3
_COLUMNS = 3
_NAMED = 8
"""More lines than these are told apart by a legend and not by names at their ends."""


@dataclass(frozen=True, slots=True)
class ScalingPoint:
    """One budget: mean tokens and accuracy (0 .. 1), each with its interval where it has one."""

    budget: int
    tokens: float
    tokens_low: float | None
    tokens_high: float | None
    accuracy: float
    accuracy_low: float | None
    accuracy_high: float | None


@dataclass(frozen=True, slots=True)
class ScalingCurve:
    """A way to answer at several budgets. `baseline` is what the others are compared with, `bound` what they cannot exceed."""

    name: str
    points: tuple[ScalingPoint, ...]
    role: Role = "strategy"


def save_scaling(
    stem: Path,
    curves: Sequence[ScalingCurve],
    *,
    title: str,
    questions: int,
    panels: Mapping[str, Sequence[ScalingCurve]] | None = None,
) -> tuple[Path, Path]:
    """`stem`.png and `stem`.svg. The same numbers give the same bytes."""
    png, svg = stem.with_suffix(".png"), stem.with_suffix(".svg")
    with _style():
        canvas = _drawn(curves, title, questions, panels or {})
        canvas.savefig(png, format="png", backend="agg", dpi=_DOTS, metadata={"Software": None})
        canvas.savefig(svg, format="svg", backend="svg", metadata={"Date": None, "Creator": None})
    return png, svg


def _drawn(curves: Sequence[ScalingCurve], title: str, questions: int, panels: Mapping[str, Sequence[ScalingCurve]]) -> Canvas:
    from matplotlib.figure import Figure

    rows = -(-len(panels) // _COLUMNS)
    canvas = Figure(figsize=(_WIDTH, _HEIGHT + rows * _PANEL), layout="constrained")
    grid = canvas.add_gridspec(1 + rows, _COLUMNS, height_ratios=[_HEIGHT, *[_PANEL] * rows])
    axes = canvas.add_subplot(grid[0, :])
    looks = _looks(curves)
    _draw(axes, curves, looks)
    _name(axes, curves, looks)
    axes.set_title(f"{title}, {questions:,} questions", fontsize=10.5, loc="left")
    axes.set(xlabel="generated tokens per question (mean)", ylabel="accuracy")
    for place, (name, lines) in enumerate(panels.items()):
        panel = canvas.add_subplot(grid[1 + place // _COLUMNS, place % _COLUMNS])
        _draw(panel, lines, looks, small=True)
        panel.set_title(name, fontsize=9, loc="left")
    return canvas


def _looks(curves: Sequence[ScalingCurve]) -> dict[str, Look]:
    """A colour, a marker and a line for each name; strategies beyond the colours are dashed."""
    found: dict[str, Look] = {}
    pairs = cycle(zip(_COLOURS, _MARKERS, strict=True))
    for curve in curves:
        if curve.role == "bound":
            found[curve.name] = {"color": _GREY, "linestyle": (0, (4, 2)), "marker": "", "linewidth": 1.4}
        elif curve.role == "baseline":
            found[curve.name] = {"color": _INK, "linestyle": "-", "marker": "", "linewidth": 2.0}
        else:
            colour, marker = next(pairs)
            second = sum(look["marker"] != "" for look in found.values()) >= len(_COLOURS)
            found[curve.name] = {
                "color": colour, "marker": marker, "linestyle": (0, (1.5, 1.5)) if second else "-", "linewidth": 1.7,
            }  # fmt: skip
    return found


def _draw(axes: Axes, curves: Sequence[ScalingCurve], looks: Mapping[str, Look], *, small: bool = False) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

    axes.set_xscale("log", base=2)
    for curve in curves:
        _line(axes, curve, looks.get(curve.name, {"color": _INK, "marker": ""}), small=small)
    axes.xaxis.set_major_locator(LogLocator(base=2, numticks=4 if small else 12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PercentFormatter(decimals=0, symbol=" %"))
    axes.grid(visible=True, axis="both", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    tokens = [max(1.0, point.tokens) for curve in curves for point in curve.points]
    axes.set_xlim(min(tokens) / 1.25, max(tokens) * 1.25)  # whiskers do not widen a scale that few of them need
    if small:
        axes.tick_params(labelsize=7.5)


def _line(axes: Axes, curve: ScalingCurve, look: Look, *, small: bool) -> None:
    """The line, its band, and whiskers along both axes where they are wide enough to be seen."""
    tokens, values = [each.tokens for each in curve.points], [100 * each.accuracy for each in curve.points]
    size = 3.0 if small else 5.0
    axes.plot(tokens, values, **{**look, "linewidth": look.get("linewidth", 1.7) * (0.8 if small else 1)}, markersize=size)
    low, high = _bounds(curve, "accuracy")
    if low and len(tokens) > 1:
        band = 0.16 if curve.role == "baseline" else 0.09
        axes.fill_between(tokens, low, high, color=look["color"], alpha=band, linewidth=0)
    elif low:
        whisker = [[values[0] - low[0]], [high[0] - values[0]]]
        axes.errorbar(tokens, values, yerr=whisker, fmt="none", ecolor=look["color"], elinewidth=1, capsize=2)
    before, after = _bounds(curve, "tokens", 1.0)
    if before and not small:
        sides = [[at - a for at, a in zip(tokens, before, strict=True)], [b - at for at, b in zip(tokens, after, strict=True)]]
        axes.errorbar(tokens, values, xerr=sides, fmt="none", ecolor=look["color"], elinewidth=0.9, capsize=1.5, alpha=0.8)


def _bounds(curve: ScalingCurve, what: str, scale: float = 100.0) -> tuple[list[float], list[float]]:
    """The ends of the intervals; empty where a point has none."""
    pairs = [(getattr(each, f"{what}_low"), getattr(each, f"{what}_high")) for each in curve.points]
    if any(low is None or high is None for low, high in pairs):
        return [], []
    return [scale * low for low, _ in pairs], [scale * high for _, high in pairs]


def _name(axes: Axes, curves: Sequence[ScalingCurve], looks: Mapping[str, Look]) -> None:
    """Names at the ends of the lines; in a legend beside them where there are many."""
    if len(curves) > _NAMED:
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], **looks[curve.name], markersize=5, label=curve.name) for curve in curves]
        axes.legend(handles=handles, fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
        return
    from sklearn.isotonic import isotonic_regression

    shown = sorted((100 * curve.points[-1].accuracy, curve.points[-1].tokens, curve.name) for curve in curves)
    low, high = axes.get_ylim()
    steps = [number * (high - low) * 0.058 for number in range(len(shown))]
    free = isotonic_regression([value - step for (value, _, _), step in zip(shown, steps, strict=True)])
    for at, step, (value, tokens, name) in zip(free, steps, shown, strict=True):
        axes.annotate(
            name,
            xy=(tokens, value),
            xytext=(1.03, float(at) + step),
            textcoords=("axes fraction", "data"),
            color=looks[name]["color"],
            fontsize=8.5,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": "#bbbbbb", "linewidth": 0.6, "shrinkA": 1, "shrinkB": 4, "relpos": (0, 0.5)},
        )


@contextmanager
def _style() -> Iterator[None]:
    """Whatever the user has set; letters stay letters in an SVG, and its names do not change from run to run."""
    from matplotlib import rc_context, style

    with style.context("default"), rc_context({**STYLE, "svg.fonttype": "none", "svg.hashsalt": "openr-data"}):
        yield
