"""What the labels say: their balance, where first errors lie, and the values of the steps. Reads no texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from openr_data.data_cards.statistics import Histogram, Spread, StepBalance
from openr_data.pipelines.statistics.frames import (
    bin_of,
    collect,
    counts_by,
    short_reason,
    spread,
    tally,
    tenth,
    tenths,
)
from openr_data.store.read import RunReader
from openr_data.types import NO_ERROR

if TYPE_CHECKING:
    import polars as pl

_UNIT = tuple(k / 10 for k in range(11))
_EDGES: Mapping[str, tuple[float, ...]] = {
    "advantage": tuple(k / 10 for k in range(-10, 11)),
    "rating": (-1.5, -0.5, 0.5, 1.5),
    "progress": tuple(k / 10 for k in range(21)),
}
"""Bins of the readings that do not lie in 0 .. 1."""


@dataclass(frozen=True, slots=True)
class FirstErrors:
    """Fields as in `Statistics`."""

    first_errors: Mapping[int, int] = field(default_factory=dict)
    without_error: int = 0
    undecided: int = 0
    undecided_reasons: Mapping[str, int] = field(default_factory=dict)
    first_error_place: Histogram | None = None


@dataclass(frozen=True, slots=True)
class Values:
    """Fields as in `Statistics`."""

    values: Mapping[str, Histogram] = field(default_factory=dict)
    value_by_place: tuple[float | None, ...] = ()
    rollouts_per_step: Spread = field(default_factory=Spread)


def step_balance(reader: RunReader) -> StepBalance:
    import polars as pl

    hard = pl.col("hard")
    right, wrong = (hard.list.eval(pl.element().eq(value)).list.sum().sum() for value in (True, False))
    wanted = (right.alias("right"), wrong.alias("wrong"), hard.list.len().cast(pl.Int64).sum().alias("steps"))
    good, bad, steps = (int(count or 0) for count in collect(reader, reader.scan("labeled").select(wanted)).row(0))
    return StepBalance(good, bad, steps - good - bad)


def first_errors(reader: RunReader) -> FirstErrors:
    import polars as pl

    length = pl.col("hard").list.len().cast(pl.Int64)
    rows = collect(reader, reader.scan("labeled").select("first_error", length.alias("length")))
    counts = counts_by(rows, "first_error")
    found = rows.filter((pl.col("first_error") >= 0) & (pl.col("length") > 0))
    places = found.select(tenth(pl.col("first_error") + 1, pl.col("length")).alias("place"))
    open_ones = reader.scan("labeled").filter(pl.col("first_error").is_null()).select(short_reason())
    return FirstErrors(
        first_errors={index: count for index, count in counts.items() if index >= 0},
        without_error=counts.get(NO_ERROR, 0),
        undecided=rows["first_error"].null_count(),
        undecided_reasons=tally(reader, open_ones, "reason"),
        first_error_place=tenths(counts_by(places, "place")) if found.height else None,
    )


def values(reader: RunReader) -> Values:
    """Of every step that has a value; a step's tenth is that of (index + 1) / steps."""
    import polars as pl

    edges = _edges(reader)
    chosen = [
        pl.when(pl.col("estimator") == name).then(bin_of(pl.col("mc"), each)).otherwise(None) for name, each in edges.items()
    ]
    steps = _steps(reader).filter(pl.col("mc").is_finite())
    if not edges:
        return Values(rollouts_per_step=_rollouts(reader))
    binned = collect(reader, steps.group_by("estimator", pl.coalesce(chosen).alias("bin")).agg(pl.len().alias("count")))
    counts: dict[str, dict[int, int]] = {}
    for name, place, count in binned.iter_rows():
        counts.setdefault(str(name), {})[int(place)] = int(count)
    others = list(_EDGES) if len(edges) > 1 else []  # values of one kind have one scale, whichever it is
    on_scale = ~pl.col("estimator").is_in(others)
    means = collect(reader, steps.filter(on_scale).group_by("tenth").agg(pl.col("mc").mean()))
    by_place = {int(place): float(mean) for place, mean in means.iter_rows()}
    ordered = sorted(counts, key=lambda name: (-sum(counts[name].values()), name))
    return Values(
        values={name: _histogram(edges[name], counts[name]) for name in ordered},
        value_by_place=tuple(by_place.get(place) for place in range(10)),
        rollouts_per_step=_rollouts(reader),
    )


def _steps(reader: RunReader) -> pl.LazyFrame:
    """One row per step: its value, how it was read, and the tenth of the solution it lies in."""
    import polars as pl

    length = pl.col("mc").list.len().cast(pl.Int64)
    rows = reader.scan("labeled").select("mc", "estimator", length.alias("length"), pl.int_ranges(0, length).alias("index"))
    steps = rows.filter(pl.col("length") > 0).explode("mc", "estimator", "index")
    return steps.select("mc", "estimator", tenth(pl.col("index") + 1, pl.col("length")).alias("tenth"))


def _rollouts(reader: RunReader) -> Spread:
    import polars as pl

    counts = reader.scan("labeled").select(pl.col("rollouts").explode()).drop_nulls()
    return spread(collect(reader, counts)["rollouts"])


def _edges(reader: RunReader) -> dict[str, tuple[float, ...]]:
    """The bins of each reading that occurs; one more at an end where values lie beyond them."""
    import polars as pl

    value = pl.col("mc")
    known = (
        _steps(reader).filter(value.is_finite()).group_by("estimator").agg(value.min().alias("low"), value.max().alias("high"))
    )
    found = {str(name): (float(low), float(high)) for name, low, high in collect(reader, known).iter_rows()}
    return {name: _widened(_EDGES.get(name, _UNIT), low, high) for name, (low, high) in sorted(found.items())}


def _widened(edges: Sequence[float], low: float, high: float) -> tuple[float, ...]:
    below, above = (low,) if low < edges[0] else (), (high,) if high > edges[-1] else ()
    return (*below, *edges, *above)


def _histogram(edges: tuple[float, ...], counts: Mapping[int, int]) -> Histogram:
    return Histogram(edges, tuple(counts.get(place, 0) for place, _ in enumerate(pairwise(edges))))
