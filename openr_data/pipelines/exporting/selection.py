"""Which solutions are exported and how their labels are read, a whole table at once. Knows no layout.

A table of readings comes out (see `layouts.arrow`): soft values are what was measured; where they are asked for, a step that was
not measured takes its hard label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from openr_data.layouts.base import LABEL, RATING
from openr_data.pipelines.exporting.config import ExportConfig
from openr_data.types import NO_ERROR

COLUMNS = (
    "item",
    "problem_id",
    "solution_id",
    "question",
    "answer",
    "steps",
    "hard",
    "mc",
    "estimator",
    "first_error",
    "confidence",
    "reason",
    "origin",
    "verdict",
    "sampler",
)

pc: Any = pyarrow.compute  # whose functions are made when it is loaded
"""Columns of the table `labeled` that an export reads."""

UNBOUNDED = ("progress", "advantage")
"""Estimators whose values do not lie in 0 .. 1."""

UNCERTAIN = "uncertain"
Bools = np.ndarray[tuple[int], np.dtype[np.bool_]]
Offsets = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Selected:
    """The readings with a further column `filled`: how many steps of the solution took their hard label as a soft value."""

    readings: pa.Table
    dropped: Mapping[str, int]


def select(rows: pa.Table, config: ExportConfig, *, soft: bool, every_step: bool) -> Selected:
    """`rows` are of the table `labeled`, with further columns. `every_step`: a step without a label drops its solution, too."""
    kept, dropped = _without(rows, _faults(rows, config))
    readings = _readings(kept, cut=config.after_error == "cut", soft=soft)
    if every_step:
        unlabelled = _any_null(readings["soft" if soft else "hard"].combine_chunks())
        readings, further = _without(readings, {"unlabelled_step": unlabelled})
        dropped = {**dropped, **further}
    return Selected(readings, dropped)


def _faults(rows: pa.Table, config: ExportConfig) -> dict[str, Bools]:
    """What keeps a solution out, in the order in which it is told."""
    confidence = pc.less(rows["confidence"], config.min_confidence)
    return {
        "origin": _mask(pc.not_equal(rows["origin"], config.origin)) & (config.origin != "all"),
        "undecided": _mask(pc.is_null(rows["first_error"])),
        "uncertain": _mask(pc.equal(rows["reason"], UNCERTAIN)) & (not config.keep_uncertain),
        "low_confidence": _mask(confidence),
        "no_steps": _mask(pc.equal(pc.list_value_length(rows["steps"]), 0)),
    }


def _without(rows: pa.Table, faults: Mapping[str, Bools]) -> tuple[pa.Table, dict[str, int]]:
    """The rows without a fault; the others counted by their first one."""
    keep, dropped = np.ones(rows.num_rows, np.bool_), {}
    for reason, fault in faults.items():
        count = int((keep & fault).sum())
        if count:
            dropped[reason] = count
            keep &= ~fault
    return (rows.filter(pa.array(keep)) if dropped else rows), dropped


def _readings(rows: pa.Table, *, cut: bool, soft: bool) -> pa.Table:
    lists = {name: rows[name].combine_chunks() for name in ("steps", "hard", "mc", "estimator")}
    offsets = _offsets(lists["steps"])
    flat = {name: column.flatten() for name, column in lists.items()}
    if cut:
        offsets, flat = _cut(offsets, flat, rows["first_error"].to_numpy())
    values = _values(flat["mc"], flat["estimator"], soft=soft)
    filled = np.zeros(len(values), np.bool_)
    if soft:
        filled = _mask(pc.and_(pc.is_null(values), pc.is_valid(flat["hard"])))
        values = pc.coalesce(values, pc.cast(pc.cast(flat["hard"], pa.int8()), pa.float64()))
    read = {"steps": flat["steps"], "hard": flat["hard"], "soft": values}
    others = {name: rows[name] for name in rows.column_names if name not in {*lists, "soft"}}
    place = pa.array(offsets, pa.int32())
    ragged = {name: pa.ListArray.from_arrays(place, column) for name, column in read.items()}
    return pa.table({**others, **ragged, "filled": _sums(filled, offsets)})


def _cut(offsets: Offsets, flat: Mapping[str, pa.Array], first_error: Offsets) -> tuple[Offsets, dict[str, pa.Array]]:
    """Every solution up to and with its first wrong step."""
    lengths = np.diff(offsets)
    ends = np.where(first_error == NO_ERROR, lengths, np.minimum(lengths, first_error + 1))
    places = np.arange(int(offsets[-1])) - np.repeat(offsets[:-1], lengths)
    keep = pa.array(places < np.repeat(ends, lengths))
    return np.concatenate([[0], np.cumsum(ends)]), {name: column.filter(keep) for name, column in flat.items()}


def _values(mc: pa.Array, estimator: pa.Array, *, soft: bool) -> pa.Array:
    """The values that lie in 0 .. 1, but no published hard labels; as soft ones also ratings from -1 to 1, brought there."""
    unfit = (*UNBOUNDED, LABEL, *(() if soft else (RATING,)))
    rated = pc.if_else(pc.equal(estimator, RATING), pc.divide(pc.add(mc, 1.0), 2.0), mc)
    return pc.if_else(pc.is_in(estimator, value_set=pa.array(unfit)), pa.scalar(None, pa.float64()), rated)


def _offsets(lists: pa.ListArray) -> Offsets:
    offsets = lists.offsets.to_numpy().astype(np.int64)
    return np.asarray(offsets - (offsets[0] if len(offsets) else 0))


def _sums(marks: Bools, offsets: Offsets) -> pa.Array:
    sums = np.concatenate([[0], np.cumsum(marks)])
    return pa.array(sums[offsets[1:]] - sums[offsets[:-1]], pa.int64())


def _any_null(lists: pa.ListArray) -> Bools:
    return np.asarray(_sums(_mask(pc.is_null(lists.flatten())), _offsets(lists)).to_numpy() > 0)


def _mask(found: pa.ChunkedArray | pa.Array) -> Bools:
    """As numpy; a comparison with nothing is false."""
    array = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    return np.asarray(array.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)
