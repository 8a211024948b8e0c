"""OpenR's trainer rows (openreasoner/openr): `question`, `process` with a tag after every step, `label` a list of signs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openr_data.layouts.base import (
    LABEL,
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
from openr_data.layouts.published import published
from openr_data.layouts.tagged import TAG, check_untagged
from openr_data.layouts.values import signs
from openr_data.types import Problem

OPENR_TAG = "\n\n\n\n\n"
_TAGS = (OPENR_TAG, TAG)
_SIGNS: dict[object, bool] = {"+": True, "-": False, 1: True, 0: False}


def read(row: ForeignRow, options: ReadOptions) -> Parsed:
    """The trainer takes five line breaks or `ки` as tag, and + and - or 1 and 0 as labels."""
    process, signs = text_of(row, "process"), list_of(row, "label")
    tag = next((tag for tag in _TAGS if tag in process), None)
    if tag is None:
        raise LayoutFault("missing_tag", "`process` has no step tag (five line breaks, or ки)")
    *steps, rest = process.split(tag)
    if rest.strip():
        raise LayoutFault("missing_tag", "text follows after the last step tag")
    if len(steps) != len(signs):
        raise LayoutFault("labels_mismatch", f"there are {len(steps)} steps and {len(signs)} labels")
    hard = [_label(sign) for sign in signs]
    notes = {"tag": tag} if tag != OPENR_TAG else {}
    texts = [step.strip() for step in steps]
    solution = published("openr", texts, hard=hard, values=[float(label) for label in hard], estimator=LABEL, notes=notes)
    return Parsed(Problem("", text_of(row, "question"), ""), (solution,))


def _label(sign: object) -> bool:
    if not isinstance(sign, str | int) or sign not in _SIGNS:
        raise LayoutFault("wrong_type", "a label must be + or -, or 1 or 0")
    return _SIGNS[sign]


def write(item: ExportItem, options: WriteOptions) -> Iterator[dict[str, Any]]:
    for solution in item.solutions:
        tag = solution.notes.get("tag", OPENR_TAG)
        check_untagged(solution.steps, [tag])
        process = " ".join(f"{step} {tag}" for step in solution.steps)
        yield {"question": item.problem.question, "process": process, "label": signs(solution)}


def matches(row: ForeignRow) -> bool:
    return isinstance(row.get("process"), str) and isinstance(row.get("label"), list)


OPENR = Layout(
    "openr",
    "OpenR's trainer: `question`, `process` with five line breaks after every step, `label` a list of + and -",
    ("question", "process", "label"),
    read,
    write,
    matches,
)
