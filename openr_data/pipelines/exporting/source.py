"""The labelled solutions of a run as tables of whole items, with what their problems and rollouts add. Knows no layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute

from openr_data.pipelines.exporting.selection import COLUMNS
from openr_data.steps import StepFormat
from openr_data.store.batches import ItemCursor, shard_batches, whole_items
from openr_data.store.manifest import Shard
from openr_data.store.read import RunReader
from openr_data.types import NO_ERROR

pc: Any = pyarrow.compute  # whose functions are made when it is loaded

_NODES = ("item", "node_id", "prefix")
_ROLLOUTS = ("item", "node_id", "text", "verdict", "finish_reason")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of `labeled` of whole items, with `source` of their problems; `nodes` and `rollouts` of the same items, if wanted."""

    labeled: pa.Table
    nodes: pa.Table | None = None
    rollouts: pa.Table | None = None


def source_rows(reader: RunReader, *, rollouts: bool) -> Iterator[Rows]:
    """All of them, in item order, in bounded memory."""
    for shard in reader.manifest.shards.values():
        yield from _shard_rows(reader, shard, rollouts=rollouts and {"nodes", "rollouts"} <= set(reader.manifest.tables))


def _shard_rows(reader: RunReader, shard: Shard, *, rollouts: bool) -> Iterator[Rows]:
    problems = ItemCursor(shard_batches(reader, shard, "problems", ("item", "source")))
    nodes = ItemCursor(shard_batches(reader, shard, "nodes", _NODES)) if rollouts else None
    texts = ItemCursor(_right(shard_batches(reader, shard, "rollouts", _ROLLOUTS))) if rollouts else None
    for labeled in whole_items(shard_batches(reader, shard, "labeled", COLUMNS)):
        last = labeled["item"][labeled.num_rows - 1].as_py()
        with_source = _with_source(labeled, problems.up_to(last))
        yield Rows(with_source, nodes and nodes.up_to(last), texts and texts.up_to(last))


def _with_source(labeled: pa.Table, problems: pa.Table | None) -> pa.Table:
    if problems is None:
        raise AssertionError("a labelled solution without a problem")
    place = np.searchsorted(problems["item"].to_numpy(), labeled["item"].to_numpy())
    return labeled.append_column("source", problems["source"].take(pa.array(place)))


def _right(batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
    for batch in batches:
        ended = pc.equal(batch["finish_reason"], "stop")
        yield batch.filter(pc.and_(ended, pc.equal(batch["verdict"], "right"))).select(["item", "node_id", "text"])


def with_continuations(readings: pa.Table, rows: Rows, steps: StepFormat, limit: int) -> pa.Table:
    """The readings, and right rollouts that go on exactly where a solution has its first error, there to be chosen (`extra`).

    A rollout becomes a solution without an error: its prefix, then its text as steps. At most `limit` per prefix (0: all).
    Where steps cannot be told in a text (spans of tokens), there are none.
    """
    own = readings.append_column("extra", pa.nulls(readings.num_rows, pa.int32()))
    if rows.nodes is None or rows.rollouts is None or not steps.separator:
        return own
    places = _error_places(pl.DataFrame(pl.from_arrow(readings)))
    nodes = _keyed(pl.DataFrame(pl.from_arrow(rows.nodes)), pl.col("prefix"))
    wanted = nodes.join(places, on=["item", "key"], how="inner", maintain_order="left").select("item", "node_id", "prefix", "row")
    texts = pl.DataFrame(pl.from_arrow(rows.rollouts)).unique(["item", "node_id", "text"], keep="first", maintain_order=True)
    found = texts.join(wanted, on=["item", "node_id"], how="inner", maintain_order="left")
    found = found.filter(pl.int_range(pl.len()).over("item", "node_id") < (limit or found.height + 1))
    return _appended(own, found, steps) if found.height else own


def _error_places(readings: pl.DataFrame) -> pl.DataFrame:
    """The steps before each first error, once per item; `row` is the first solution with them."""
    wrong = readings.with_row_index("row").filter(pl.col("first_error") > NO_ERROR)
    keyed = _keyed(wrong, pl.col("steps").list.head(pl.col("first_error")))
    return keyed.select("item", "key", "row").unique(["item", "key"], keep="first", maintain_order=True)


def _keyed(frame: pl.DataFrame, prefix: pl.Expr) -> pl.DataFrame:
    """`key` is equal where the steps are equal: their lengths, and their text."""
    lengths = prefix.list.eval(pl.element().str.len_bytes().cast(pl.String)).list.join(",")
    return frame.with_columns(key=pl.concat_str(lengths, pl.lit(":"), prefix.list.join("")))


def _appended(own: pa.Table, found: pl.DataFrame, steps: StepFormat) -> pa.Table:
    """One further row per rollout, behind all solutions."""
    whole = [[*prefix, *steps.split(text)] for prefix, text in found.select("prefix", "text").iter_rows()]
    like = own.take(pa.array(found["row"].to_numpy()))
    lengths = [len(each) for each in whole]
    new = {
        "steps": pa.array(whole, pa.list_(pa.string())),
        "hard": pa.array([[True] * length for length in lengths], pa.list_(pa.bool_())),
        "soft": pa.array([[None] * length for length in lengths], pa.list_(pa.float64())),
        "first_error": pa.array([NO_ERROR] * len(whole), pa.int32()),
        "verdict": pa.array(["right"] * len(whole)),
        "extra": pa.array(found["prefix"].list.len().to_numpy(), pa.int32()),
    }
    further = pa.table({name: new.get(name, like[name]) for name in own.column_names}, schema=own.schema)
    return pa.concat_tables([own, further])
