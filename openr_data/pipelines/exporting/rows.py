"""Readings as rows of a layout that is written item by item; a solution that it cannot hold is counted with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa

from openr_data.layouts.base import ExportItem, ExportSolution, Layout, LayoutFault, WriteOptions
from openr_data.types import Problem


@dataclass(frozen=True, slots=True)
class ItemRows:
    """The rows of one item, the solutions that stand in them, and the others by reason."""

    question: str
    rows: Sequence[dict[str, Any]]
    solutions: Sequence[ExportSolution]
    dropped: Mapping[str, int]


def item_rows(layout: Layout, readings: pa.Table, options: WriteOptions) -> Iterator[ItemRows]:
    for _, group in groupby(readings.to_pylist(), key=itemgetter("item")):
        solutions = list(group)
        first = solutions[0]
        problem = Problem(first["problem_id"], first["question"], first["answer"], first["source"])
        yield _write(layout, problem, [_solution(row) for row in solutions], options)


def _solution(row: Mapping[str, Any]) -> ExportSolution:
    """Without notes: what they say of published rows holds only where nothing is left out of these."""
    return ExportSolution(
        id=row["solution_id"],
        steps=tuple(row["steps"]),
        hard=tuple(row["hard"]),
        soft=tuple(row["soft"]),
        first_error=row["first_error"],
        verdict=row["verdict"],
        sampler=row["sampler"],
    )


def _write(layout: Layout, problem: Problem, solutions: Sequence[ExportSolution], options: WriteOptions) -> ItemRows:
    if layout.per_problem:
        rows, reason = _attempt(layout, problem, solutions, options)
        if not reason:
            return ItemRows(problem.question, rows, solutions, {})
    alone = [(each, *_attempt(layout, problem, [each], options)) for each in solutions]
    dropped = Counter(reason for _, _, reason in alone if reason)
    kept = [each for each, _, reason in alone if not reason]
    if not layout.per_problem:
        return ItemRows(problem.question, [row for _, rows, _ in alone for row in rows], kept, dropped)
    rows, reason = _attempt(layout, problem, kept, options) if kept else ([], "")
    return ItemRows(problem.question, rows, [] if reason else kept, dropped + Counter({reason: len(kept)} if reason else {}))


def _attempt(
    layout: Layout, problem: Problem, solutions: Sequence[ExportSolution], options: WriteOptions
) -> tuple[list[dict[str, Any]], str]:
    """The rows, or why there are none."""
    try:
        return list(layout.write(ExportItem(problem, tuple(solutions)), options)), ""
    except LayoutFault as fault:
        return [], fault.reason
