"""The statistics of a data set as bars on a terminal. Knows numbers that were counted; counts nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from openr_data.cli.console import plain

if TYPE_CHECKING:
    from openr_data.data_cards.statistics import Histogram, Statistics

_BAR = 16
_ROWS = 10
_GAP = 3


def show_charts(console: Console, statistics: Statistics) -> None:
    """In as many columns as there is room for. Nothing of what has no value; whole solutions are no step values."""
    values = {name: histogram for name, histogram in statistics.values.items() if name != "verdict"}
    charts = [
        bars(console, title, rows)
        for title, rows in (
            ("steps by label", _balance(statistics)),
            ("first wrong step", tail(statistics.first_errors)),
            *((f"value of a step ({plain(name)})", histogram_rows(histogram)) for name, histogram in values.items()),
            ("right answers, by problem", histogram_rows(statistics.pass_rates)),
            ("steps in a solution", histogram_rows(statistics.step_counts, whole=True)),
        )
        if any(count for _, count in rows)
    ]
    if charts:
        console.print()
        console.print(_side_by_side(console, charts))


def _side_by_side(console: Console, charts: Sequence[Table]) -> Table:
    """Each chart, in its order, stands in the column that is the shortest so far."""
    widest = max(console.measure(chart).maximum for chart in charts)
    columns: list[list[Table]] = [[] for _ in range(min(len(charts), max(1, (console.width + _GAP) // (widest + _GAP))))]
    for chart in charts:
        shortest = min(columns, key=lambda column: sum(each.row_count + 2 for each in column))
        shortest.append(chart)
    grid = Table.grid(padding=(0, _GAP, 0, 0))
    for _ in columns:
        grid.add_column()
    spaced = [[part for chart in column for part in (chart, Text())][:-1] for column in columns]
    grid.add_row(*(Group(*column) for column in spaced))
    return grid


def bars(console: Console, title: str, rows: Sequence[tuple[str, int]]) -> Table:
    """A row each: its name, its count, a bar as long as its share of the largest."""
    most = max(count for _, count in rows)
    table = Table(title=Text(title, style="bold"), title_justify="left", box=None, show_header=False)
    table.pad_edge, table.padding = False, (0, 1, 0, 0)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(width=_BAR, no_wrap=True)
    for name, count in rows:
        bar = _bar(count / most, ascii_only=console.options.ascii_only)
        table.add_row(Text(plain(name)), f"{count:,}", Text(bar, style=_COLOURS.get(name, "cyan")))
    return table


_COLOURS = {"right": "green", "wrong": "red", "no label": "yellow"}


def _bar(share: float, *, ascii_only: bool) -> str:
    """Something for every share above nothing."""
    from openr_data.data_cards.report import bar

    if ascii_only:
        return "#" * max(round(share * _BAR), share > 0)
    return bar(share, _BAR)


def _balance(statistics: Statistics) -> list[tuple[str, int]]:
    balance = statistics.balance
    return (
        [("right", balance.right), ("wrong", balance.wrong), ("no label", balance.unlabelled)]
        if balance.right + balance.wrong
        else []
    )


def tail(counts: Mapping[int, int], rows: int = _ROWS) -> list[tuple[str, int]]:
    """By number of the step from 1, without gaps; those beyond the last row together.

    >>> tail({0: 3, 2: 1, 8: 1, 9: 4}, rows=4)
    [('1', 3), ('2', 0), ('3', 1), ('4 and on', 5)]
    >>> tail({1: 2}, rows=4)
    [('1', 0), ('2', 2)]
    """
    last = max(counts, default=-1) + 1
    if last <= rows:
        return [(str(index + 1), counts.get(index, 0)) for index in range(last)]
    first = [(str(index + 1), counts.get(index, 0)) for index in range(rows - 1)]
    return [*first, (f"{rows} and on", sum(count for index, count in counts.items() if index >= rows - 1))]


def histogram_rows(histogram: Histogram | None, *, whole: bool = False) -> list[tuple[str, int]]:
    """At most ten rows: neighbouring bins are put together, and empty ones at both ends left out. `whole`: of whole numbers.

    >>> from openr_data.data_cards.statistics import Histogram
    >>> histogram_rows(Histogram((0.0, 0.5, 1.0), (3, 4)))
    [('0 .. 0.5', 3), ('0.5 .. 1', 4)]
    """
    if histogram is None:
        return []
    each = -(-len(histogram.counts) // _ROWS)
    edges = [*histogram.edges[:-1:each], histogram.edges[-1]]
    counts = [sum(histogram.counts[start : start + each]) for start in range(0, len(histogram.counts), each)]
    return [(_range(low, high, whole=whole), count) for low, high, count in zip(edges, edges[1:], counts, strict=False)]


def _range(low: float, high: float, *, whole: bool) -> str:
    return f"{low:g} .. {high:g}" if not whole else str(int(low)) if high - low <= 1 else f"{low:g} .. {high - 1:g}"
