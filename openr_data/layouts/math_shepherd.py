"""Math-Shepherd (arXiv 2312.08935; peiyi9979/Math-Shepherd): question and steps in one text, labels in a copy of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openr_data.layouts.base import LABEL, ExportItem, ForeignRow, Layout, LayoutFault, Parsed, ReadOptions, WriteOptions, text_of
from openr_data.layouts.published import RIGHT, WRONG, published
from openr_data.layouts.tagged import TAG, tagged, untagged
from openr_data.layouts.values import signs
from openr_data.types import Problem

_SIGNS = {"+": True, "-": False}


def read(row: ForeignRow, options: ReadOptions) -> Parsed:
    """`label` is `input` with `+` or `-` in place of every tag; its last sign is that of the final answer."""
    text = text_of(row, "input")
    question, steps = untagged(text, TAG)
    hard = _labels(text, text_of(row, "label"))
    values = [float(label) for label in hard]
    verdict = RIGHT if hard[-1] else WRONG
    solution = published("math-shepherd", steps, hard=hard, values=values, estimator=LABEL, verdict=verdict)
    return Parsed(Problem("", question, "", source=str(row.get("task") or "")), (solution,))


def _labels(text: str, label: str) -> list[bool]:
    """The sign at the place of every tag; whatever lies between must be the same in both."""
    found, place = [], 0
    pieces = text.split(TAG)
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        if not label.startswith(piece, place):
            where = "after the last step" if last else f"of step {number + 1}"
            raise LayoutFault("labels_mismatch", f"`label` differs from `input` in the text {where}")
        place += len(piece)
        if not last:
            sign = label[place : place + 1]
            if sign not in _SIGNS:
                raise LayoutFault("labels_mismatch", f"step {number + 1} has the label {sign!r} instead of + or -")
            found.append(_SIGNS[sign])
            place += 1
    if place != len(label):
        raise LayoutFault("labels_mismatch", "`label` goes on after the end of `input`")
    return found


def write(item: ExportItem, options: WriteOptions) -> Iterator[dict[str, Any]]:
    for solution in item.solutions:
        labels, question = signs(solution), item.problem.question
        text = tagged(question, solution.steps, [TAG] * len(solution.steps))
        yield {"input": text, "label": tagged(question, solution.steps, labels), "task": item.problem.source}


def matches(row: ForeignRow) -> bool:
    return all(isinstance(row.get(name), str) for name in ("input", "label"))


MATH_SHEPHERD = Layout(
    "math-shepherd",
    "Math-Shepherd: `input` with a tag after every step, `label` with + or - in its place, `task`",
    ("input", "label", "task"),
    read,
    write,
    matches,
)
