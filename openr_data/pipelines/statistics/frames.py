"""Lazy frames over a run's shards, collected in bounded memory, and counts and distributions of a column. Knows no measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from openr_data.data_cards.statistics import Histogram, Spread
from openr_data.errors import RunDirError
from openr_data.store.read import RunReader

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

_BINS = 20
_ROWS = 1024


def collect(reader: RunReader, frame: pl.LazyFrame) -> pl.DataFrame:
    """The rows of a frame over the run's shards, streamed. Raises `RunDirError` where a shard is damaged."""
    import polars as pl

    try:
        return frame.collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as fault:
        raise _damaged(reader) from fault


def tally(reader: RunReader, frame: pl.LazyFrame, column: str) -> dict[str, int]:
    """How often each value of a column occurs: the most frequent first, and by name where counts are equal."""
    import polars as pl

    counted = collect(reader, frame.group_by(column).agg(pl.len().cast(pl.Int64).alias("count")))
    counts = [(str(value), int(count)) for value, count in counted.iter_rows()]
    return dict(sorted(counts, key=lambda pair: (-pair[1], pair[0])))


def short_reason() -> pl.Expr:
    """The evidence of a label; a disagreement names two steps, and is counted as one all the same."""
    import polars as pl

    reason = pl.col("reason")
    return pl.when(reason.str.starts_with("disagreement:")).then(pl.lit("disagreement")).otherwise(reason).alias("reason")


def batches(reader: RunReader, table: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """A few columns of a table in item order, some rows at a time: for what only Python can compute."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in reader.files(table):
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                yield from file.iter_batches(_ROWS, columns=list(columns))
        except (OSError, ValueError, pa.ArrowException) as fault:
            raise _damaged(reader) from fault


def spread(values: pl.Series) -> Spread:
    """Quantiles are interpolated linearly, as numpy does; a median of 1 and 2 is 1.5."""
    known: Any = values.drop_nulls()
    if not len(known):
        return Spread()
    median, p90, p99 = (float(known.quantile(q, interpolation="linear")) for q in (0.5, 0.9, 0.99))
    return Spread(len(known), float(known.mean()), float(known.min()), median, p90, p99, float(known.max()))


def bin_of(value: pl.Expr, edges: Sequence[float]) -> pl.Expr:
    """The index of the bin of `edges` that holds a value, by comparing it with every inner edge: no rounding."""
    import polars as pl

    inner = edges[1:-1]
    return pl.sum_horizontal(pl.lit(0), *((value >= edge).cast(pl.Int32) for edge in inner)).cast(pl.Int64)


def tenth(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """Which tenth of 0 .. 1 the share `part / whole` of two integers lies in, exactly; 1 lies in the last."""
    import polars as pl

    return pl.min_horizontal(part.cast(pl.Int64) * 10 // whole, pl.lit(9)).cast(pl.Int64)


def tenths(counts: dict[int, int]) -> Histogram:
    """A histogram over 0 .. 1 from the counts by `tenth`."""
    return Histogram(tuple(k / 10 for k in range(11)), tuple(counts.get(k, 0) for k in range(10)))


def counts_by(frame: pl.DataFrame, column: str) -> dict[int, int]:
    """How often each whole number occurs in a column; the smallest first, nulls left out."""
    import polars as pl

    counted = frame.drop_nulls(column).group_by(column).agg(pl.len().alias("count")).sort(column)
    return {int(value): int(count) for value, count in counted.iter_rows()}


def whole_histogram(values: pl.Series) -> Histogram | None:
    """Whole numbers in at most about 20 bins of a round width; what lies beyond their 99th percentile shares one last, wider bin.

    `None` without values.
    """
    known: Any = values.drop_nulls()
    if not len(known):
        return None
    low, usual, top = int(known.min()), int(known.quantile(0.99, interpolation="higher")), int(known.max())
    width = _round_width(usual + 1 - low)
    edges = [*range(low // width * width, usual + 1, width)]
    edges.append(edges[-1] + width)
    if top >= edges[-1]:
        edges.append(top + 1)
    counts = [int(((known >= low) & (known < high)).sum()) for low, high in pairwise(edges)]
    return Histogram(tuple(map(float, edges)), tuple(counts))


def _round_width(extent: int) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, ... that covers the extent in 20 bins.

    >>> [_round_width(extent) for extent in (3, 20, 21, 41, 1800)]
    [1, 1, 2, 5, 100]
    """
    scale = 1
    while True:
        for digit in (1, 2, 5):
            if digit * scale * _BINS >= extent:
                return digit * scale
        scale *= 10


def _damaged(reader: RunReader) -> RunDirError:
    return RunDirError(f"{reader.path} has a damaged or missing shard; run `openr-data verify {reader.path}`")
