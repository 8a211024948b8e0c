"""Plain fine-tuning rows: prompt and completion. Written are right solutions only; what is read has no step labels."""

from __future__ import annotations

from collections.abc import Iterator
from operator import sub
from typing import TYPE_CHECKING, Any

from openr_data.layouts.arrow import ArrowLayout, Written
from openr_data.layouts.base import ExportItem, ForeignRow, Layout, LayoutFault, Parsed, ReadOptions, WriteOptions, text_of
from openr_data.layouts.published import published
from openr_data.steps import StepFormat
from openr_data.types import NO_ERROR, Problem

if TYPE_CHECKING:
    import pyarrow as pa

LINES = StepFormat("\n")
"""How a published text without marked steps is cut: a line is a step, and joining gives the text back."""


def read(row: ForeignRow, options: ReadOptions) -> Parsed:
    steps = LINES.split(text_of(row, "completion"))
    if not steps:
        raise LayoutFault("no_steps", "`completion` is empty")
    return Parsed(Problem("", text_of(row, "prompt"), ""), (published("sft", steps, hard=[None] * len(steps)),))


def write(item: ExportItem, options: WriteOptions) -> Iterator[dict[str, Any]]:
    for solution in item.solutions:
        if solution.verdict == "wrong" and not solution.published:
            raise LayoutFault("wrong_answer", "the final answer is wrong")
        if solution.first_error != NO_ERROR and not solution.published:
            raise LayoutFault("wrong_step", "a step is wrong, whatever the final answer")
        if solution.verdict == "unknown" and not solution.published:
            raise LayoutFault("unknown_answer", "nobody knows whether the solution ends, and in the right answer")
        yield {"prompt": item.problem.question, "completion": options.separator.join(solution.steps)}


def schema(soft: bool) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([("prompt", pa.string()), ("completion", pa.string())])


def columns(readings: pa.Table, options: WriteOptions) -> Written:
    """The same as `write`, a whole table at once."""
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute  # whose functions are made when it is loaded

    answered = readings.filter(pc.not_equal(readings["verdict"], "wrong"))
    correct = answered.filter(pc.equal(answered["first_error"], NO_ERROR))
    kept = correct.filter(pc.equal(correct["verdict"], "right"))
    texts = pc.binary_join(kept["steps"], options.separator)
    left = [each.num_rows for each in (readings, answered, correct, kept)]
    dropped = dict(zip(("wrong_answer", "wrong_step", "unknown_answer"), map(sub, left, left[1:]), strict=True))
    table = pa.table([kept["question"], texts], schema=schema(options.soft))
    return Written(table, kept.num_rows, {reason: count for reason, count in dropped.items() if count})


def matches(row: ForeignRow) -> bool:
    return all(isinstance(row.get(name), str) for name in ("prompt", "completion"))


SFT = Layout(
    "sft",
    "Fine-tuning: `prompt`, `completion` (right solutions only)",
    ("prompt", "completion"),
    read,
    write,
    matches,
)
ARROW = ArrowLayout(SFT, schema, columns, every_step=False)
