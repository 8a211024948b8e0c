"""The scaling figure: accuracy over the mean generated tokens of a question, for every way to answer. Knows plain numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from openr_data.data_cards.figures import STYLE
from openr_data.data_cards.scaling_axes import scale
from openr_data.data_cards.scaling_labels import name_lines
from openr_data.data_cards.scaling_lines import Look, draw_curve, looks_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from matplotlib.figure import SubFigure

Role = Literal["strategy", "baseline", "bound"]

_DOTS = 200
_WIDTH, _HEIGHT, _PANEL = 7.2, 4.4, 2.1
_COLUMNS = 3
_AXIS = "mean generated tokens per question"


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


Panels = Mapping[str, Sequence[ScalingCurve]]


def save_scaling(
    stem: Path, curves: Sequence[ScalingCurve], *, title: str, questions: int, panels: Panels | None = None
) -> tuple[Path, Path]:
    """`stem`.png (200 dots an inch) and `stem`.svg of `scaling_figure`. The same numbers give the same bytes."""
    png, svg = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")
    canvas = scaling_figure(curves, title=title, questions=questions, panels=panels)
    with _style():
        canvas.savefig(png, format="png", backend="agg", dpi=_DOTS, metadata={"Software": None})
        canvas.savefig(svg, format="svg", backend="svg", metadata={"Date": None, "Creator": None})
    return png, svg


def scaling_figure(curves: Sequence[ScalingCurve], *, title: str, questions: int, panels: Panels | None = None) -> Canvas:
    """Accuracy (%) over tokens (powers of two), a line for each curve with at least a point; below it a small panel for each of
    `panels`, where a curve looks as its namesake above. Bands and whiskers are the intervals of the points.

    Raises `ValueError` where no curve has a point.
    """
    from matplotlib.figure import Figure

    drawn = [curve for curve in curves if curve.points]
    if not drawn:
        raise ValueError("a scaling figure needs at least one point")
    rows = -(-len(panels or {}) // _columns(panels or {}))
    with _style():
        canvas = Figure(figsize=(_WIDTH, _HEIGHT + rows * _PANEL), layout="constrained")
        heights = [_HEIGHT, rows * _PANEL] if panels else [_HEIGHT]
        parts = canvas.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        looks = looks_of([*drawn, *(curve for lines in (panels or {}).values() for curve in lines)])
        if panels:
            _draw_panels(parts[1], panels, looks)
        _draw_whole(canvas, parts[0], drawn, looks, f"{title}, {questions:,} question{'s' * (questions != 1)}")
    return canvas


def _draw_whole(canvas: Canvas, part: SubFigure, curves: Sequence[ScalingCurve], looks: Mapping[str, Look], title: str) -> None:
    axes = part.subplots()
    for curve in curves:
        draw_curve(axes, curve, looks[curve.name], crowd=len(curves))
    scale(axes, curves)
    known = any(point.accuracy_low is not None or point.tokens_low is not None for curve in curves for point in curve.points)
    axes.set_xlabel(_AXIS + "\n(bands and whiskers: 95 % intervals)" * known, fontsize=9.5)
    axes.set_ylabel("accuracy", fontsize=9.5)
    axes.set_title(title.replace("$", r"\$"), fontsize=10.5, loc="left")
    name_lines(canvas, axes, curves, looks)


def _draw_panels(part: SubFigure, panels: Panels, looks: Mapping[str, Look]) -> None:
    """All over the same tokens, each with the accuracies that it needs."""
    columns, everything = _columns(panels), [curve for lines in panels.values() for curve in lines]
    grid = part.add_gridspec(-(-len(panels) // columns), columns)
    for place, (name, lines) in enumerate(panels.items()):
        axes = part.add_subplot(grid[place // columns, place % columns])
        for curve in lines:
            draw_curve(axes, curve, looks[curve.name], crowd=len(lines), small=True)
        scale(axes, lines, over=everything, small=True)
        axes.set_title(name.replace("$", r"\$"), fontsize=9, loc="left")
    part.supxlabel(_AXIS, fontsize=8.5, color=STYLE["axes.labelcolor"])
    part.supylabel("accuracy", fontsize=8.5, color=STYLE["axes.labelcolor"])


def _columns(panels: Panels) -> int:
    """Rows as full as they can be."""
    return 2 if len(panels) == _COLUMNS + 1 else max(1, min(_COLUMNS, len(panels)))


@contextmanager
def _style() -> Iterator[None]:
    """Whatever the user has set; letters stay letters in an SVG, and its names do not change from run to run."""
    from matplotlib import rc_context, style

    with style.context("default"), rc_context({**STYLE, "svg.fonttype": "none", "svg.hashsalt": "openr-data"}):
        yield
