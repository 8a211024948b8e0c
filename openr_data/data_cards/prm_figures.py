"""The figures of an evaluation of a process reward model. Knows plain numbers, and draws as `figures` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openr_data.data_cards.figures import RIGHT, STYLE, UNKNOWN, WRONG, Figure, finished, new_canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_INK = "#222222"
_PLAIN_STYLES = (":", "--")
"""Of the first line, which bounds the others from above, and of the other plain ones."""

Numbers = Sequence[float]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Steps with scores from `low` to `high`: how many, their mean score and the share of them that is good."""

    low: float
    high: float
    count: int
    score: float
    good: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A line over n, in 0 .. 1, with its interval where it has one. `plain` lines are what others are compared with."""

    name: str
    values: Numbers
    low: Numbers = ()
    high: Numbers = ()
    plain: bool = False


def reliability(width: Sequence[ReliabilityBin], mass: Sequence[ReliabilityBin], errors: tuple[float, float]) -> Figure:
    """Scores against shares, above the counts of the bins. `errors`: expected calibration error by width and by mass."""
    with _style():
        from matplotlib.ticker import PercentFormatter

        canvas, (axes, counts) = new_canvas(3.1, 2)
        axes.plot([0, 1], [0, 1], color="#888888", linewidth=1, linestyle=(0, (4, 3)), label="calibrated")
        for bins, name, colour, marker in ((width, "equal width", RIGHT, "o"), (mass, "equal mass", WRONG, "s")):
            places, shares = [each.score for each in bins], [each.good for each in bins]
            axes.plot(places, shares, color=colour, marker=marker, markersize=4.5, linewidth=1.6, label=name)
        axes.set(xlabel="mean score p(+)", ylabel="share of good steps")
        _square(axes)
        axes.legend(fontsize=8.5, loc="best", framealpha=0.85, edgecolor="none")
        total = sum(each.count for each in width)
        for each in width:
            height = 100 * each.count / total
            counts.bar(each.low, height, each.high - each.low, align="edge", color=RIGHT, edgecolor="white", linewidth=0.8)
        counts.set(xlim=(0, 1), xlabel="score p(+)", ylabel="steps")
        counts.yaxis.set_major_formatter(PercentFormatter(decimals=0, symbol=" %"))
        caption = (
            f"Expected calibration error {errors[0]:.3f} over {len(width)} bins of equal width and {errors[1]:.3f} over "
            f"{len(mass)} of equal mass ({total:,} steps). Above the diagonal the model is too doubtful, below it too sure."
        )
        alt = "Share of good steps over the mean score of bins, beside a histogram of the scores"
        return finished("reliability", canvas, "Reliability", alt, caption)


def discrimination(
    roc: tuple[Numbers, Numbers], errors: tuple[Numbers, Numbers], areas: tuple[float, float], bad: float
) -> Figure:
    """ROC curve of good steps, and precision over recall of bad ones. `areas`: AUROC and average precision of the bad class;
    `bad`: the share of bad steps, which is the precision of chance.
    """
    with _style():
        canvas, (left, right) = new_canvas(3.1, 2)
        left.plot([0, 1], [0, 1], color="#888888", linewidth=1, linestyle=(0, (4, 3)))
        left.plot(*roc, color=RIGHT, linewidth=2)
        left.set(xlabel="false positive rate", ylabel="true positive rate")
        _note(left, f"AUROC {areas[0]:.3f}", 0.97, 0.05, "right")
        right.axhline(bad, color="#888888", linewidth=1, linestyle=(0, (4, 3)))
        right.step(*errors, where="pre", color=WRONG, linewidth=2)
        right.set(xlabel="recall of wrong steps", ylabel="precision of wrong steps")
        _note(right, f"AP {areas[1]:.3f}\nchance {bad:.3f}", 0.03, bad + 0.03 if bad < 0.5 else 0.05, "left")
        for axes in (left, right):
            _square(axes)
        caption = (
            f"A good step scores above a wrong one in {100 * areas[0]:.1f} % of pairs. Wrong steps, {100 * bad:.1f} % of all, "
            f"are found with an average precision of {areas[1]:.3f}. Dashed: chance."
        )
        alt = "ROC curve of good steps and precision over recall of wrong steps"
        return finished("discrimination", canvas, "Good steps and wrong steps apart", alt, caption)


def best_of_n(sizes: Sequence[int], curves: Sequence[Curve], source: str = "") -> Figure:
    """Accuracy over n, on a scale of powers of two, each line named at its end. `source` says of what."""
    with _style():
        from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator, PercentFormatter

        canvas, (axes,) = new_canvas(3.9)
        axes.set_xscale("log", base=2)
        coloured = [each for each in curves if not each.plain]
        looks = {each.name: look for each, look in zip(coloured, zip(_COLOURS, _MARKERS, strict=True), strict=False)}
        for curve in curves:
            values = [100 * value for value in curve.values]
            colour, marker = looks.get(curve.name, (_INK, ""))
            style = (_PLAIN_STYLES[curve.name != curves[0].name]) if curve.plain else "-"
            axes.plot(sizes, values, style, color=colour, marker=marker or None, markersize=4.5, linewidth=1.8)
            if curve.low:
                low, high = ([100 * value for value in bound] for bound in (curve.low, curve.high))
                axes.fill_between(sizes, low, high, color=colour, alpha=0.13, linewidth=0)
        _name_ends(axes, sizes, curves, {name: colour for name, (colour, _) in looks.items()})
        axes.xaxis.set_major_locator(FixedLocator(list(sizes)))
        axes.xaxis.set_major_formatter(FixedFormatter([str(n) for n in sizes]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(PercentFormatter(decimals=0, symbol=" %"))
        axes.set(xlabel="candidates n", ylabel="accuracy of the chosen answer")
        ends = ", ".join(f"{each.name} {100 * each.values[-1]:.1f} %" for each in curves)
        caption = f"{source}{': ' if source else ''}with n = {sizes[-1]}, {ends}. Bands: 95 % intervals over problems."
        alt = "Lines of accuracy over the number of candidates, for several ways to choose one"
        return finished("best-of-n", canvas, "Best of n", alt, caption[:1].upper() + caption[1:])


@contextmanager
def _style() -> Iterator[None]:
    """Whatever the user has set."""
    from matplotlib import rc_context, style

    with style.context("default"), rc_context(STYLE):
        yield


def _name_ends(axes: Axes, sizes: Sequence[int], curves: Sequence[Curve], colours: dict[str, str]) -> None:
    """Names to the right of the lines, moved apart where lines end close together."""
    from sklearn.isotonic import isotonic_regression

    shown = sorted((100 * each.values[-1], each.name) for each in curves)
    low, high = axes.get_ylim()
    steps = [number * (high - low) * 0.062 for number in range(len(shown))]
    # The nearest places that are far enough apart.
    free = isotonic_regression([value - step for (value, _), step in zip(shown, steps, strict=True)])
    places = [float(place + step) for place, step in zip(free, steps, strict=True)]
    for place, (value, name) in zip(places, shown, strict=True):
        axes.annotate(
            name,
            xy=(sizes[-1], value),
            xytext=(1.03, place),
            textcoords=("axes fraction", "data"),
            color=colours.get(name, _INK),
            fontsize=8.5,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": UNKNOWN, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 3, "relpos": (0, 0.5)},
        )


def _square(axes: Axes) -> None:
    """Both from 0 to 1."""
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_aspect("equal")
    axes.grid(visible=True, axis="both")
    axes.yaxis.set_major_formatter("{x:.1f}")


def _note(axes: Axes, text: str, x: float, y: float, side: str) -> None:
    box = {"facecolor": "white", "edgecolor": "none", "pad": 2, "alpha": 0.8}
    axes.text(x, y, text, transform=axes.transAxes, ha=side, va="bottom", fontsize=9, color=_INK, bbox=box)
