"""ProcessBench (arXiv 2412.06559; Qwen/ProcessBench): steps, and the index of the first wrong one as people found it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openr_data.layouts.base import (
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
from openr_data.layouts.published import NOT_GRADED, RIGHT, WRONG, published
from openr_data.types import NO_ERROR, Problem, hard_labels

_VERDICTS = {True: RIGHT, False: WRONG, None: NOT_GRADED}


def read(row: ForeignRow, options: ReadOptions) -> Parsed:
    steps, label = list_of(row, "steps"), row.get("label")
    if not all(isinstance(step, str) for step in steps):
        raise LayoutFault("wrong_type", "every step must be text")
    if isinstance(label, bool) or not isinstance(label, int):
        raise LayoutFault("wrong_type", f"`label` must be a number, not {kind(label)}")
    if not NO_ERROR <= label < len(steps):
        raise LayoutFault("labels_mismatch", f"`label` is {label}, and there are {len(steps)} steps")
    right = row.get("final_answer_correct")
    verdict = _VERDICTS[right if isinstance(right, bool) else None]
    sampler = row.get("generator")
    solution = published(
        "processbench",
        steps,
        hard=hard_labels(label, len(steps)),
        id=row["id"] if isinstance(row.get("id"), str) else "",
        verdict=verdict,
        sampler=sampler if isinstance(sampler, str) else "",
    )
    return Parsed(Problem("", text_of(row, "problem"), ""), (solution,))


def write(item: ExportItem, options: WriteOptions) -> Iterator[dict[str, Any]]:
    for solution in item.solutions:
        if solution.first_error is None:
            raise LayoutFault("undecided", "the first error is not decided")
        if solution.verdict == "unknown":
            raise LayoutFault("unknown_answer", "nobody knows whether the final answer is right")
        yield {
            "id": solution.id,
            "generator": solution.sampler,
            "problem": item.problem.question,
            "steps": list(solution.steps),
            "final_answer_correct": solution.verdict == "right",
            "label": solution.first_error,
        }


def matches(row: ForeignRow) -> bool:
    return "final_answer_correct" in row and isinstance(row.get("steps"), list)


PROCESSBENCH = Layout(
    "processbench",
    "ProcessBench: `problem`, `steps`, `final_answer_correct`, `label` (index of the first wrong step, -1: none)",
    ("id", "generator", "problem", "steps", "final_answer_correct", "label"),
    read,
    write,
    matches,
)
