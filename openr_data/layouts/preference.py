"""Preference pairs of whole continuations, as DPO trainers take them: prompt (question and shared steps), chosen, rejected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from openr_data.layouts.arrow import ArrowLayout, Written
from openr_data.layouts.base import ExportItem, ForeignRow, Layout, Parsed, ReadOptions, WriteOptions, text_of
from openr_data.layouts.pairs import pairs, published_solution
from openr_data.layouts.sft import LINES
from openr_data.types import Problem

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("prompt", "chosen", "rejected")


def read(row: ForeignRow, options: ReadOptions) -> Parsed:
    """The whole prompt is the question; the two texts are cut at line breaks, and only their last step has a label."""
    sides = [
        published_solution("preference", (), LINES.split(text_of(row, name)), good=good, whole=True)
        for name, good in (("chosen", True), ("rejected", False))
    ]
    return Parsed(Problem("", text_of(row, "prompt"), ""), tuple(sides))


def write(item: ExportItem, options: WriteOptions) -> Iterator[dict[str, Any]]:
    """The chosen text is right to its end. Prompt and text follow each other without anything between."""
    join, opened = options.separator.join, _opened(options)
    for pair in pairs(item.solutions, options.pairs_per_problem, whole=True):
        question = item.problem.question
        yield {
            "prompt": question if pair.chosen.published else f"{question}{opened}{join((*pair.prefix, ''))}",
            "chosen": join(pair.chosen.steps[pair.place :]),
            "rejected": join(pair.rejected.steps[pair.place :]),
        }


def _opened(options: WriteOptions) -> str:
    """Between question and steps: there is a line break where steps that are spans of tokens have nothing between them."""
    return options.separator or "\n"


def schema(soft: bool) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in COLUMNS])


def columns(readings: pa.Table, options: WriteOptions) -> Written:
    """The same as `write`, a whole table at once."""
    import polars as pl

    from openr_data.layouts.pair_frame import paired, written

    found = paired(readings, options, whole=True)
    texts = found.frame.select(
        prompt=pl.col("question") + pl.lit(_opened(options)) + pl.col("before"),
        chosen="chosen_text",
        rejected="rejected_text",
    )
    return written(found, texts, schema(options.soft))


def matches(row: ForeignRow) -> bool:
    return all(isinstance(row.get(name), str) for name in COLUMNS)


PREFERENCE = Layout(
    "preference",
    "Preference pairs: `prompt` (question and shared steps), `chosen`, `rejected` to their ends",
    COLUMNS,
    read,
    write,
    matches,
    per_problem=True,
)
ARROW = ArrowLayout(PREFERENCE, schema, columns, every_step=False, pairs=True)
