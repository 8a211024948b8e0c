"""What an Arrow-native layout adds to its row-wise spelling: a schema, and a way to write whole tables at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from openr_data.layouts.base import Layout, WriteOptions

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Written:
    """The rows that became of some solutions: `used` of these are in `table`, the others in `dropped`, by reason.

    `left_out` counts rows that a bound has kept out, such as further pairs of a problem.
    """

    table: pa.Table
    used: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class ArrowLayout:
    """`columns` makes the rows of a table of readings, equal to those of `layout.write`; `schema` is theirs, by soft or hard.

    A table of readings has one row per solution, whole items in order, and these columns: `item`, `question`, `answer`, `source`,
    `steps`, `hard`, `soft` (lists of one length), `first_error`, `verdict`. `every_step`: no step in it lacks the label that is
    written. `pairs`: rows are pairs of solutions; then a column `extra` may hold, for rows behind all others that are no
    solutions of the run, the only step at which they can be chosen.
    """

    layout: Layout
    schema: Callable[[bool], pa.Schema]
    columns: Callable[[pa.Table, WriteOptions], Written]
    every_step: bool = True
    pairs: bool = False
