"""Reads only the questions of a source, such as a benchmark: no answer is needed, and solutions are not looked at."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from openr_data.problems.cells import id_text, question_text
from openr_data.problems.fields import lookup, question_fields
from openr_data.problems.reader import read_problems, row_groups, with_fields
from openr_data.problems.reject import Reject, RowFault
from openr_data.problems.source import ProblemSource, source_kind
from openr_data.types import Problem

Question = tuple[str, str]
"""An id (that of its row, where it has none) and a text."""


def read_questions(source: ProblemSource) -> Iterator[Question | Reject]:
    """The questions in order, with repetitions, and a `Reject` for every row without one. Errors as those of `read_problems`."""
    if source_kind(source) == "builtin":
        return ((item.id, item.question) for item in read_problems(source) if isinstance(item, Problem))
    return _read(source)


def _read(source: ProblemSource) -> Iterator[Question | Reject]:
    for stem, rows in row_groups(source):
        for item in with_fields(rows, partial(question_fields, source=source, name=stem)):
            if isinstance(item, Reject):
                yield item
                continue
            fields, row = item
            try:
                name = id_text(lookup(row.value, fields.id)) if fields.id else ""
                yield name or f"{stem}-{row.row}", question_text(lookup(row.value, fields.question))
            except RowFault as fault:
                yield row.reject(fault)
