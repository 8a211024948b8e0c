"""An evaluation as it is shown in a terminal: one table of ways to answer, and what they are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from openr_data.cli.console import out as console
from openr_data.cli.console import warn
from openr_data.cli.progress import duration

if TYPE_CHECKING:
    from openr_data.pipelines.evaluating.points import Comparison, Point
    from openr_data.pipelines.evaluating.report import EvaluationReport
    from openr_data.pipelines.stage import Summary
    from openr_data.prm.intervals import Interval


_SHOWN = 0.05
"""What rounds to 0 in a table."""


def show(report: EvaluationReport, summary: Summary) -> None:
    rate = f"{summary.tokens:,} tokens in {duration(summary.seconds)} ({summary.tokens_per_second:,.0f} per second)"
    console.print(f"{report.questions:,} questions; this attempt {rate}, {summary.reused:,} completions reused")
    console.print(_points("ways to answer", (*report.shown(report.points), *(each.point for each in report.optima))))
    best = [each for each in report.comparisons if each.way.selector in report.selectors]
    if best:
        console.print(_compared(best))
    for kind, masks in report.levels.items():
        console.print(_by_group(kind, masks))
    for reason, count in report.reasons.items():
        warn(f"{count:,} candidates of {reason}: they win nothing, and their tokens count")
    for search, count in report.starved.items():
        warn(
            f"the cap left {count:,} of {report.questions:,} questions of {search} without an answer: raise --max-question-tokens"
        )


def _points(title: str, points: Iterable[Point]) -> Table:
    table = Table(title=title, box=None, pad_edge=False, title_justify="left", title_style="bold")
    for name in ("strategy", "n", "chosen by", "accuracy %", "tokens per question", "above majority of n"):
        table.add_column(name, justify="left" if name in {"strategy", "chosen by"} else "right")
    for each in points:
        lift = "" if each.lift is None or each.way.selector == "majority_vote" else signed(each.lift)
        table.add_row(
            escape(each.way.strategy), str(each.way.n), each.way.selector, percent(each.accuracy), whole(each.tokens), lift
        )
    return table


def _compared(found: Iterable[Comparison]) -> Table:
    title = "against best of n by the same selector, at equal tokens"
    table = Table(title=title, box=None, pad_edge=False, title_justify="left", title_style="bold")
    for name in ("strategy", "n", "chosen by", "tokens", "difference"):
        table.add_column(name, justify="left" if name in {"strategy", "chosen by"} else "right")
    for each in found:
        table.add_row(each.way.strategy, str(each.way.n), each.way.selector, f"{each.tokens:,.0f}", signed(each.difference))
    return table


def _by_group(kind: str, groups: Mapping[str, tuple[int, tuple[Point, ...]]]) -> Table:
    """The largest budget of every strategy, by level or subject."""
    table = Table(title=f"accuracy % by {kind}", box=None, pad_edge=False, title_justify="left", title_style="bold")
    table.add_column(kind)
    table.add_column("questions", justify="right")
    largest = _largest(next(iter(groups.values()))[1])
    for way in largest:
        table.add_column(f"{way[0]}-{way[1]}\n{way[2]}", justify="right")
    for name, (count, points) in groups.items():
        values = {tuple(each.way): each.accuracy.value for each in points}
        table.add_row(escape(name), f"{count:,}", *(f"{100 * values[way]:.1f}" for way in largest))
    return table


def _largest(points: Iterable[Point]) -> list[tuple[str, int, str]]:
    best: dict[tuple[str, str], int] = {}
    for each in points:
        key = (each.way.strategy, each.way.selector)
        best[key] = max(best.get(key, 0), each.way.n)
    return [(strategy, n, selector) for (strategy, selector), n in best.items()]


def percent(found: Interval) -> str:
    """With its interval, in percent."""
    return f"{100 * found.value:.1f}" + _bounds(found, 100, ".1f")


def signed(found: Interval) -> str:
    """A difference in points."""
    return f"{_no_minus(100 * found.value):+.1f}" + _bounds(found, 100, "+.1f")


def whole(found: Interval) -> str:
    return f"{found.value:,.0f}" + _bounds(found, 1, ",.0f")


def _bounds(found: Interval, scale: float, form: str) -> str:
    if found.low is None or found.high is None:
        return ""
    return f" \\[{_no_minus(scale * found.low):{form}}, {_no_minus(scale * found.high):{form}}]"


def _no_minus(value: float) -> float:
    """Nothing is shown as 0 and not as -0.

    >>> f"{_no_minus(-1e-9):+.1f}"
    '+0.0'
    """
    return 0.0 if abs(value) < _SHOWN else value
