"""Reads problems, one at a time, from any source. A row that cannot be used comes out as a `Reject`, in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TypeVar

from openr_data.errors import InputError
from openr_data.problems.answers import read_answer
from openr_data.problems.arithmetic import arithmetic_problems
from openr_data.problems.cells import checked_text, id_text, metadata_of, question_text, short_text
from openr_data.problems.digests import DigestTable, digest
from openr_data.problems.fields import WORKED, Columns, Fields, lookup, problem_fields
from openr_data.problems.files import data_files, file_rows
from openr_data.problems.hub_rows import hub_rows
from openr_data.problems.reject import Reject, RowFault
from openr_data.problems.rows import Row
from openr_data.problems.source import ProblemSource, source_kind
from openr_data.types import Problem

F = TypeVar("F")
Gradable = Callable[[str], bool]
"""Whether a reference answer can be graded at all: the self-check of the graders, handed in from above."""
RowGroup = tuple[str, Iterator[Row | Reject]]
"""The rows of one file, after the stem of the ids that its rows without an id are given."""

DIFFICULTIES = ("difficulty", "level")
_LOOKAHEAD = 16
_MAX_AHEAD = 1000


def read_problems(source: ProblemSource, gradable: Gradable | None = None) -> Iterator[Problem | Reject]:
    """The problems of a source in order, and a `Reject` for every other row; of a row that has passed only a digest is kept.

    With `gradable`, a reference answer that fails it is a reject too.
    Raises `InputError`: at once for a source that is not there, and when they are met, for one that is empty, for a file that
    cannot be read as a whole, and for columns that cannot be told. One bad row never ends the reading.
    """
    if source_kind(source) == "builtin":
        count = min(source.count, source.limit or source.count)
        return arithmetic_problems(count, source.difficulty, source.seed, source.split)
    return _limited(_problems(row_groups(source), source, gradable), source.limit)


def usable_problems(source: ProblemSource, gradable: Gradable | None = None) -> Iterator[Problem]:
    """The problems without the rejects."""
    return (item for item in read_problems(source, gradable) if isinstance(item, Problem))


def row_groups(source: ProblemSource) -> list[RowGroup]:
    """One group for each file of the source; a Hub split counts as one file."""
    if source_kind(source) == "hub":
        return [(source.location, hub_rows(source))]
    return [(file.stem, file_rows(file)) for file in data_files(source)]


def with_fields(rows: Iterator[Row | Reject], choose: Callable[[Sequence[Columns]], F]) -> Iterator[tuple[F, Row] | Reject]:
    """Let `choose` judge the first rows that have columns, then pair every row with what it chose."""
    ahead: list[Row | Reject] = []
    columns: list[Columns] = []
    while len(columns) < _LOOKAHEAD and len(ahead) < _MAX_AHEAD and (item := next(rows, None)) is not None:
        ahead.append(item)
        if isinstance(item, Row):
            columns.append(item.value)
    fields = choose(columns) if columns else None
    for item in chain(ahead, rows):
        if isinstance(item, Reject):
            yield item
            continue
        fields = fields if fields is not None else choose([item.value])
        yield fields, item


def _limited(items: Iterator[Problem | Reject], limit: int) -> Iterator[Problem | Reject]:
    found = 0
    for item in items:
        yield item
        found += isinstance(item, Problem)
        if limit and found >= limit:
            return


def _problems(groups: Sequence[RowGroup], source: ProblemSource, gradable: Gradable | None) -> Iterator[Problem | Reject]:
    seen = DigestTable()
    empty = True
    for stem, rows in groups:
        for item in with_fields(rows, partial(problem_fields, source=source, name=stem)):
            empty = False
            yield item if isinstance(item, Reject) else _checked(item[1], item[0], stem, seen, gradable)
    if empty:
        raise InputError(f"{source.location} is empty: it holds no rows")


def _checked(row: Row, fields: Fields, stem: str, seen: DigestTable, gradable: Gradable | None) -> Problem | Reject:
    try:
        problem = to_problem(row, fields, stem)
        check_answer(problem, gradable)
        content = digest(problem.question, problem.answer)
        earlier = seen.put(digest(problem.id), content)
        if earlier is not None:
            what = "the same problem" if earlier == content else "another problem"
            raise RowFault("duplicate_id", f"{what} with the id {problem.id[:80]!r} came before")
    except RowFault as fault:
        return row.reject(fault)
    return problem


def to_problem(row: Row, fields: Fields, stem: str) -> Problem:
    """One problem out of a row; a row without an id is named after its file and its index. Raises `RowFault`."""
    value = row.value
    used = {fields.question, fields.answer, fields.id, "source", *DIFFICULTIES, *WORKED}
    return Problem(
        id=(id_text(lookup(value, fields.id)) if fields.id else "") or f"{stem}-{row.row}",
        question=question_text(lookup(value, fields.question)),
        answer=answer_text(value, fields),
        source=short_text(value.get("source")) or stem,
        difficulty=difficulty_text(value),
        metadata=metadata_of(value, used),
    )


def check_answer(problem: Problem, gradable: Gradable | None) -> None:
    """Raise `RowFault` for a reference answer that `gradable` refuses."""
    if gradable is not None and not gradable(problem.answer):
        raise RowFault("ungradable_answer", f"the reference answer {problem.answer[:80]!r} does not grade right against itself")


def answer_text(value: Columns, fields: Fields) -> str:
    return checked_text(read_answer(lookup(value, fields.answer), solution=fields.worked), "answer")


def difficulty_text(value: Columns) -> str:
    return next((text for name in DIFFICULTIES if (text := short_text(value.get(name)))), "")
