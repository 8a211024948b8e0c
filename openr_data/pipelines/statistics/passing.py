"""How often a problem was solved: the share of right answers among the independent samples of its question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openr_data.data_cards.statistics import Histogram
from openr_data.pipelines.statistics.frames import collect, counts_by, tenth, tenths
from openr_data.store.read import RunReader

if TYPE_CHECKING:
    import polars as pl

_SAMPLE = ("item", "index", "seed", "tokens", "verdict")
"""A root rollout that agrees with a given solution in all of these is the same sample, which a label run took over."""


def pass_rates(reader: RunReader) -> Histogram | None:
    """Of problems with a decided sample; `None` without any."""
    import polars as pl

    counted = collect(reader, _samples(reader).group_by("item").agg((pl.col("verdict") == "right").sum().alias("hits"), pl.len()))
    rates = counted.select(tenth(pl.col("hits"), pl.col("len").cast(pl.Int64)).alias("tenth"))
    return tenths(counts_by(rates, "tenth")) if rates.height else None


def _samples(reader: RunReader) -> pl.LazyFrame:
    """Item and verdict of every decided sample: the solutions that came in, and the rollouts of the question that are others."""
    import polars as pl

    given = reader.scan(reader.manifest.tables[0])
    if "labeled" in reader.manifest.tables:
        given = given.filter(pl.col("origin") == "given")
    given = given.filter(pl.col("verdict") != "unknown").select(_SAMPLE)
    if "nodes" not in reader.manifest.tables:
        return given.select("item", "verdict")
    roots = reader.scan("nodes").filter(pl.col("depth") == 0).select("item", "node_id")
    drawn = reader.scan("rollouts").filter(pl.col("verdict") != "unknown").select(*_SAMPLE, "node_id")
    others = drawn.join(roots, on=["item", "node_id"], how="semi").join(given, on=_SAMPLE, how="anti")
    return pl.concat([given.select("item", "verdict"), others.select("item", "verdict")])
