"""SCAN's rows (arXiv 2509.16548): question, steps and a score from 0 to 1 for each; 0.5 and above is read as right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from openr_data.layouts.arrow import ArrowLayout, Written
from openr_data.layouts.base import VALUE, ExportItem, ForeignRow, Layout, Parsed, ReadOptions, WriteOptions, list_of, text_of
from openr_data.layouts.published import above, published
from openr_data.layouts.values import fraction, matching, numbers, steps_of
from openr_data.types import Problem

if TYPE_CHECKING:
    import pyarrow as pa


def read(row: ForeignRow, options: ReadOptions) -> Parsed:
    steps, scores = steps_of(row, "steps"), list_of(row, "scores")
    matching(scores, steps)
    values = [fraction(score) for score in scores]
    hard = [above(value, options.threshold, 0.5) for value in values]
    solution = published("scan", steps, hard=hard, values=values, estimator=VALUE)
    return Parsed(Problem("", text_of(row, "question"), ""), (solution,))


def write(item: ExportItem, options: WriteOptions) -> Iterator[dict[str, Any]]:
    for solution in item.solutions:
        scores = numbers(solution, soft=options.soft)
        yield {"question": item.problem.question, "steps": list(solution.steps), "scores": scores}


def schema(soft: bool) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([("question", pa.string()), ("steps", pa.list_(pa.string())), ("scores", pa.list_(pa.float64()))])


def columns(readings: pa.Table, options: WriteOptions) -> Written:
    """The same as `write`, a whole table at once."""
    import pyarrow as pa

    scores = readings["soft"] if options.soft else readings["hard"].cast(pa.list_(pa.int8())).cast(pa.list_(pa.float64()))
    table = pa.table([readings["question"], readings["steps"], scores], schema=schema(options.soft))
    return Written(table, readings.num_rows)


def matches(row: ForeignRow) -> bool:
    return isinstance(row.get("steps"), list) and isinstance(row.get("scores"), list)


SCAN = Layout(
    "scan",
    "SCAN: `question`, `steps`, `scores` (from 0 to 1)",
    ("question", "steps", "scores"),
    read,
    write,
    matches,
    labels=("soft", "hard"),
    options=("threshold",),
)
ARROW = ArrowLayout(SCAN, schema, columns)
