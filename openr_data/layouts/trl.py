"""TRL's stepwise supervision (`PRMTrainer`): prompt, completions, labels; hard labels are truth values, soft ones numbers.

`PRMTrainer` up to TRL 1.13 takes `int(label)`: of soft labels it sees only whether they are 1. Hard ones are the default.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from openr_data.layouts.arrow import ArrowLayout, Written
from openr_data.layouts.base import (
    LABEL,
    VALUE,
    ExportItem,
    ForeignRow,
    Layout,
    LayoutFault,
    Parsed,
    ReadOptions,
    WriteOptions,
    kind,
    list_of,
    text_of,
)
from openr_data.layouts.published import above, published
from openr_data.layouts.values import fraction, matching, numbers, steps_of, truths
from openr_data.types import Problem

if TYPE_CHECKING:
    import pyarrow as pa

_SOFT = {"labels": "soft"}


def read(row: ForeignRow, options: ReadOptions) -> Parsed:
    """A row with a number that is no whole one has soft labels; `true`, `false`, 1 and 0 are hard ones; null is no label."""
    steps, labels = steps_of(row, "completions"), list_of(row, "labels")
    matching(labels, steps)
    soft = any(isinstance(label, float) for label in labels)
    values = [fraction(label) for label in labels] if soft else _hard(labels)
    hard = [above(value, options.threshold if soft else None, 0.5) for value in values]
    solution = published(
        "trl", steps, hard=hard, values=values, estimator=VALUE if soft else LABEL, notes=_SOFT if soft else None
    )
    return Parsed(Problem("", text_of(row, "prompt"), ""), (solution,))


def _hard(labels: Sequence[Any]) -> list[float | None]:
    wrong = next((label for label in labels if not isinstance(label, int | None) or label not in {None, 0, 1}), None)
    if wrong is not None:
        raise LayoutFault("wrong_type", f"a label must be true or false, or a number from 0 to 1, not {kind(wrong)}")
    return [None if label is None else float(label) for label in labels]


def write(item: ExportItem, options: WriteOptions) -> Iterator[dict[str, Any]]:
    for solution in item.solutions:
        soft = solution.notes.get("labels") == "soft" if solution.published else options.soft
        labels = numbers(solution, soft=True) if soft else truths(solution)
        yield {"prompt": item.problem.question, "completions": list(solution.steps), "labels": labels}


def schema(soft: bool) -> pa.Schema:
    import pyarrow as pa

    label = pa.float64() if soft else pa.bool_()
    return pa.schema([("prompt", pa.string()), ("completions", pa.list_(pa.string())), ("labels", pa.list_(label))])


def columns(readings: pa.Table, options: WriteOptions) -> Written:
    """The same as `write`, a whole table at once."""
    import pyarrow as pa

    labels = readings["soft" if options.soft else "hard"]
    table = pa.table([readings["question"], readings["steps"], labels], schema=schema(options.soft))
    return Written(table, readings.num_rows)


def matches(row: ForeignRow) -> bool:
    return isinstance(row.get("completions"), list) and isinstance(row.get("labels"), list)


TRL = Layout(
    "trl",
    "TRL stepwise supervision: `prompt`, `completions`, `labels` (true and false, or numbers)",
    ("prompt", "completions", "labels"),
    read,
    write,
    matches,
    labels=("hard", "soft"),
    options=("threshold",),
)
ARROW = ArrowLayout(TRL, schema, columns)
