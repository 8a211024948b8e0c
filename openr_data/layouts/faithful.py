"""Gives published rows back as they came: what a layout writes of the records, and the patch that was kept beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from openr_data.layouts.base import ROW, ExportItem, ExportSolution, ForeignRow, Layout, LayoutFault, Parsed, WriteOptions
from openr_data.layouts.patch import apply, difference
from openr_data.types import LabeledSolution, Problem

_AS_PUBLISHED = WriteOptions(soft=True)


def kept(layout: Layout, parsed: Parsed, row: ForeignRow) -> Parsed:
    """The records with a note of everything that the layout, writing them, would not give back of the row."""
    patch = difference(_only(layout, parsed.problem, parsed.solutions), dict(row))
    if patch is None:
        return parsed
    note = {ROW: json.dumps(patch, ensure_ascii=False, separators=(",", ":"))}
    if layout.per_problem:
        return replace(parsed, problem=replace(parsed.problem, metadata={**parsed.problem.metadata, **note}))
    (solution,) = parsed.solutions
    return replace(parsed, solutions=(replace(solution, notes={**solution.notes, **note}),))


def faithful_rows(layout: Layout, problem: Problem, labeled: Sequence[LabeledSolution]) -> Iterator[dict[str, Any]]:
    """The rows of one problem of an imported run, each as it was published."""
    if layout.per_problem:
        yield apply(_only(layout, problem, labeled), _patch(problem.metadata))
        return
    for solution in labeled:
        yield apply(_only(layout, problem, [solution]), _patch(solution.notes))


def export_item(problem: Problem, labeled: Sequence[LabeledSolution]) -> ExportItem:
    """Records as an exporter sees them, with nothing left out: values as they are, labels where there are any."""
    return ExportItem(problem, tuple(map(export_solution, labeled)))


def export_solution(labeled: LabeledSolution) -> ExportSolution:
    solution = labeled.solution
    values = tuple(None if each is None else each.value for each in labeled.estimates) or (None,) * len(solution.steps)
    return ExportSolution(
        id=solution.id,
        steps=solution.steps,
        hard=labeled.hard_labels,
        soft=values,
        first_error=labeled.first_error,
        verdict=solution.verdict.outcome,
        sampler=solution.sampler,
        notes=labeled.notes,
        published=values,
    )


def _only(layout: Layout, problem: Problem, labeled: Sequence[LabeledSolution]) -> dict[str, Any]:
    """The one row that the layout writes of these records; {} where it cannot write them, and the patch is the whole row."""
    try:
        rows = list(layout.write(export_item(problem, labeled), _AS_PUBLISHED))
    except LayoutFault:
        return {}
    return rows[0] if len(rows) == 1 else {}


def _patch(notes: Mapping[str, str]) -> Any:
    return json.loads(notes[ROW]) if ROW in notes else None
