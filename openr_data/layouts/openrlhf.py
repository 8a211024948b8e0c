"""OpenRLHF's process-reward rows: `input` with a placeholder after every step, `value` with a sign or a number for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
    list_of,
    text_of,
)
from openr_data.layouts.published import above, published
from openr_data.layouts.tagged import TAG, tagged, untagged
from openr_data.layouts.values import numbers, signs
from openr_data.types import Problem

_SIGNS = {"+": 1.0, "-": 0.0}


def read(row: ForeignRow, options: ReadOptions) -> Parsed:
    """Signs are hard labels, numbers soft ones; a row has one kind."""
    question, steps = untagged(text_of(row, "input"), TAG)
    signs = list_of(row, "value")
    if len(signs) != len(steps):
        raise LayoutFault("labels_mismatch", f"there are {len(steps)} steps and {len(signs)} values")
    soft = any(sign not in _SIGNS for sign in signs)
    values = [_number(sign) if soft else _SIGNS[sign] for sign in signs]
    hard = [above(value, options.threshold if soft else None, 0.5) for value in values]
    solution = published("openrlhf", steps, hard=hard, values=values, estimator=VALUE if soft else LABEL)
    return Parsed(Problem("", question, ""), (solution,))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise LayoutFault("wrong_type", "every value must be + or -, or every one a number from 0 to 1")
    return float(value)


def write(item: ExportItem, options: WriteOptions) -> Iterator[dict[str, Any]]:
    """Soft values as numbers where they are asked for, in every row; published hard labels come back as signs."""
    for solution in item.solutions:
        text = tagged(item.problem.question, solution.steps, [TAG] * len(solution.steps))
        hard = not options.soft or (bool(solution.published) and set(solution.published) <= {0.0, 1.0})
        yield {"input": text, "value": signs(solution) if hard else numbers(solution, soft=True)}


def matches(row: ForeignRow) -> bool:
    return isinstance(row.get("input"), str) and isinstance(row.get("value"), list)


OPENRLHF = Layout(
    "openrlhf",
    "OpenRLHF: `input` with a placeholder after every step, `value` a list of + and -, or of numbers",
    ("input", "value"),
    read,
    write,
    matches,
    labels=("hard", "soft"),
    options=("threshold",),
)
