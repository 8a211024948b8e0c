"""The figures of a card, as PNG bytes that are the same for the same numbers. The only place that knows matplotlib.

Colours are those of Okabe and Ito, which the colour-blind tell apart; every figure says in a sentence what is to be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING

from openr_data.data_cards.markup import inline, number, share
from openr_data.data_cards.statistics import Histogram, Statistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

FOLDER = "figures"

RIGHT, WRONG, UNKNOWN, _PLAIN = "#0072B2", "#D55E00", "#A6A6A6", "#0072B2"
_DOTS = 160
_WIDTH = 7.0
_PANELS = 3
_LAST_STEP = 25
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.labelcolor": "#222222",
    "axes.titlesize": 10,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "figure.facecolor": "white",
    "axes.facecolor": "white",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A PNG: `alt` says what it shows to those who do not see it, `caption` in numbers what is to be seen. All plain text."""

    name: str
    title: str
    alt: str
    caption: str
    png: bytes

    @property
    def path(self) -> str:
        return f"{FOLDER}/{self.name}.png"


def figures(counted: Statistics) -> list[Figure]:
    """Every figure that these numbers can fill."""
    makers: Sequence[Callable[[Statistics], Figure | None]] = (_balance, _first_errors, _values, _place, _steps, _pass_rates)
    from matplotlib import rc_context, style

    with style.context("default"), rc_context(STYLE):
        return [figure for make in makers if (figure := make(counted)) is not None]


def show_figures(made: Sequence[Figure]) -> str:
    """The block of a card that shows them; empty without any."""
    parts = [f"![{inline(each.alt)}]({each.path})\n\n**{inline(each.title)}.** {inline(each.caption)}\n" for each in made]
    return "## Figures\n\n" + "\n".join(parts) if parts else ""


def _balance(counted: Statistics) -> Figure | None:
    """Three bars of 100 %: answers, solutions, steps."""
    steps = counted.balance
    bars: dict[str, tuple[tuple[str, int], ...]] = {
        "Steps": (("right", steps.right), ("wrong", steps.wrong), ("no label", steps.unlabelled)),
        "Solutions": (
            ("no error", counted.without_error),
            ("first error found", sum(counted.first_errors.values())),
            ("undecided", counted.undecided),
        ),
        "Answers": tuple((name, counted.verdicts.get(name, 0)) for name in ("right", "wrong", "unknown")),
    }
    if not steps.right + steps.wrong:
        bars = {"Answers": bars["Answers"]}
    bars = {name: parts for name, parts in bars.items() if sum(count for _, count in parts)}
    if not bars:
        return None
    canvas, (axes,) = new_canvas(0.75 + 0.62 * len(bars))
    for place, parts in enumerate(bars.values()):
        _stack(axes, place, parts)
    axes.set_yticks(range(len(bars)), labels=[_bar_name(name, parts) for name, parts in bars.items()])
    axes.set_ylim(-0.5, len(bars) - 0.5)
    axes.set(xlim=(0, 100), xlabel="share (%)")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    told = "; ".join(f"{name.lower()}: {_told(parts)}" for name, parts in reversed(bars.items()))
    alt = "Stacked bars of how answers, solutions and steps are labelled"
    return finished("label-balance", canvas, "Label balance", alt, _sentence(told))


def _stack(axes: Axes, place: int, parts: Sequence[tuple[str, int]]) -> None:
    """What is too narrow for its name is named to the right of the bar."""
    whole, left, narrow = sum(count for _, count in parts), 0.0, []
    for (name, count), colour in zip(parts, (RIGHT, WRONG, UNKNOWN), strict=True):
        width = 100 * count / whole
        axes.barh(place, width, left=left, height=0.62, color=colour, edgecolor="white", linewidth=1)
        if width >= 3 * len(name) / 2:
            ink = "white" if colour != UNKNOWN else "#222222"
            axes.text(left + width / 2, place, f"{name}\n{width:.1f} %", ha="center", va="center", color=ink, fontsize=8.5)
        elif count:
            narrow.append(f"{name}\n{width:.1f} %")
        left += width
    axes.text(101, place, "\n".join(narrow), ha="left", va="center", color="#444444", fontsize=8.5)


def _bar_name(name: str, parts: Sequence[tuple[str, int]]) -> str:
    return f"{name}\n(n = {number(sum(count for _, count in parts))})"


def _told(parts: Sequence[tuple[str, int]]) -> str:
    whole = sum(count for _, count in parts)
    return ", ".join(f"{share(count, whole)} {name}" for name, count in parts if count)


def _first_errors(counted: Statistics) -> Figure | None:
    found = counted.first_errors
    whole = sum(found.values())
    if not whole:
        return None
    canvas, panels = new_canvas(2.7, 2 if counted.first_error_place else 1)
    last = min(max(found), _LAST_STEP)
    heights = [found.get(step, 0) for step in range(last)] + [sum(n for step, n in found.items() if step >= last)]
    panels[0].bar(range(1, last + 2), heights, color=WRONG, width=0.85)
    panels[0].set(
        xlabel=f"step of the first error{f' (last bar: {last + 1} and later)' * (max(found) > last)}", ylabel="solutions"
    )
    panels[0].set_xlim(0.4, last + 1.6)
    _whole_ticks(panels[0])
    if counted.first_error_place:
        _bars(panels[1], counted.first_error_place, WRONG, scale=100)
        panels[1].set(xlabel="its place (% of the solution's steps)", ylabel="solutions", xlim=(0, 100))
    middle = _quantile(found, whole / 2)
    caption = f"Half of the {number(whole)} first errors stand at step {middle + 1} or before it"
    if counted.first_error_place:
        early = _below(counted.first_error_place, 0.5)
        caption += f", and {share(early, counted.first_error_place.total)} of them end before the middle of the solution"
    alt = "Histograms of the step of the first error and of its place in the solution"
    return finished("first-errors", canvas, "First errors", alt, f"{caption}.")


def _values(counted: Statistics) -> Figure | None:
    """One panel per estimator: readings of different kinds do not share an axis."""
    shown = {name: values for name, values in counted.values.items() if values.total and name != "verdict"}
    shown = dict(list((shown or counted.values).items())[:_PANELS])
    if not any(values.total for values in shown.values()):
        return None
    canvas, panels = new_canvas(2.7, len(shown))
    for axes, (name, values) in zip(panels, shown.items(), strict=True):
        _bars(axes, values, _PLAIN)
        axes.set(xlabel=f"value of a step\n(estimator: {_plain(name)})", xlim=(values.edges[0], values.edges[-1]))
    panels[0].set(ylabel="steps")
    told = "; ".join(_ends(name, values) for name, values in shown.items())
    return finished("step-values", canvas, "Step values", "Histogram of the values of steps, by estimator", _sentence(told))


def _ends(name: str, values: Histogram) -> str:
    low, high = values.counts[0], values.counts[-1]
    edges = values.edges
    return (
        f"{share(low, values.total)} of the {number(values.total)} values read as {_plain(name)} are below {edges[1]:.2g} and "
        f"{share(high, values.total)} are {edges[-2]:.2g} or more"
    )


def _place(counted: Statistics) -> Figure | None:
    known = [(10 * place + 5, value) for place, value in enumerate(counted.value_by_place) if value is not None]
    if len(known) < 2:
        return None
    canvas, (axes,) = new_canvas(2.6)
    places, values = [place for place, _ in known], [value for _, value in known]
    axes.plot(places, values, color=_PLAIN, marker="o", markersize=5, linewidth=2)
    low, high = min(0.0, *values), max(1.0, *values)
    axes.set(
        xlim=(0, 100),
        ylim=(low * 1.05, high * 1.02),
        xlabel="place in the solution (% of its steps)",
        ylabel="mean value of a step",
    )
    alt = "Line of the mean value of steps over their place in the solution"
    caption = f"The mean value goes from {values[0]:.2f} in the first steps to {values[-1]:.2f} in the last."
    return finished("value-by-place", canvas, "Values along a solution", alt, caption)


def _steps(counted: Statistics) -> Figure | None:
    counts, spread = counted.step_counts, counted.steps_per_solution
    if counts is None or not counts.total:
        return None
    canvas, (axes,) = new_canvas(2.6)
    centre = all(b - a == 1 for a, b in pairwise(counts.edges))
    _bars(axes, counts, _PLAIN, centred=centre)
    axes.set(xlabel="steps per solution", ylabel="solutions")
    _whole_ticks(axes)
    caption = (
        f"A solution has {spread.mean:.1f} steps on average; "
        f"nine in ten have at most {spread.p90:,.0f}, the longest {spread.maximum:,.0f}."
    )
    return finished("steps-per-solution", canvas, "Solution lengths", "Histogram of the number of steps per solution", caption)


def _pass_rates(counted: Statistics) -> Figure | None:
    rates = counted.pass_rates
    if rates is None or not rates.total:
        return None
    canvas, (axes,) = new_canvas(2.6)
    _bars(axes, rates, _PLAIN, scale=100)
    axes.set(xlim=(0, 100), xlabel="pass rate of a problem (% right answers)", ylabel="problems")
    _whole_ticks(axes, "y")
    low, high = rates.counts[0], rates.counts[-1]
    caption = (
        f"Less than {100 * rates.edges[1]:.0f} % of the answers are right on {share(low, rates.total)} of the "
        f"{number(rates.total)} problems, and {100 * rates.edges[-2]:.0f} % or more on {share(high, rates.total)}."
    )
    return finished("pass-rates", canvas, "Pass rates", "Histogram of pass rates over problems", caption)


def new_canvas(height: float, panels: int = 1) -> tuple[Canvas, list[Axes]]:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(_WIDTH, height), dpi=_DOTS, layout="constrained")
    found = list(canvas.subplots(1, panels, squeeze=False)[0])
    for axes in found:
        axes.yaxis.set_major_formatter(_tick)
    return canvas, found


def _tick(value: float, _: int) -> str:
    """A tick of an axis of counts with separators, one of values as it is."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) > 1 else f"{value:g}"


def finished(name: str, canvas: Canvas, title: str, alt: str, caption: str) -> Figure:
    """Neither a date nor a version in the file: the same numbers give the same bytes."""
    out = BytesIO()
    canvas.savefig(out, format="png", backend="agg", metadata={"Software": None})
    return Figure(name, title, alt, caption, out.getvalue())


def _bars(axes: Axes, values: Histogram, colour: str, *, scale: float = 1, centred: bool = False) -> None:
    edges = [scale * edge for edge in values.edges]
    widths = [b - a for a, b in pairwise(edges)]
    shift = 0.5 if centred else 0.0
    lefts = [edge - shift for edge in edges[:-1]]
    axes.bar(lefts, values.counts, width=widths, align="edge", color=colour, edgecolor="white", linewidth=0.8)


def _whole_ticks(axes: Axes, which: str = "both") -> None:
    from matplotlib.ticker import MaxNLocator

    if which == "both":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _quantile(counts: Mapping[int, int], reached: float) -> int:
    """The first place up to which so many are counted."""
    seen = 0
    for place in sorted(counts):
        seen += counts[place]
        if seen >= reached:
            return place
    return max(counts)


def _below(values: Histogram, bound: float) -> int:
    return sum(count for count, edge in zip(values.counts, values.edges[1:], strict=True) if edge <= bound + 1e-9)


def _plain(name: str) -> str:
    """An estimator's name as a figure may show it: a dollar sign would begin a formula."""
    return "".join(c if c.isprintable() else " " for c in name)[:24].replace("$", r"\$")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
