"""Rows of a published file, read by a layout, as problems with their labelled solutions; a row that is not of it is a reject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time
from typing import Any

from openr_data.errors import InputError, UsageError
from openr_data.layouts import LAYOUTS, guess
from openr_data.layouts.base import Layout, LayoutFault, Parsed, ReadOptions
from openr_data.layouts.faithful import kept
from openr_data.problems import ProblemSource, Reject
from openr_data.problems.digests import DigestTable, digest, question_digest
from openr_data.problems.reader import row_groups
from openr_data.problems.reject import excerpt, printable
from openr_data.problems.rows import Number, Row
from openr_data.store.run_record import NAME as RUN
from openr_data.types import LabeledSolution, Problem

MAX_GROUP = 1024
"""Solutions of one item; a longer run of rows with the same question goes on in a new one."""
_LOOK = 16


@dataclass(frozen=True, slots=True)
class ImportItem:
    """A problem with the solutions of the rows that stood together; `rows` is how many those were."""

    problem: Problem
    solutions: tuple[LabeledSolution, ...]
    rows: int


def choose_layout(source: ProblemSource, name: str) -> Layout:
    """The layout of that name, or for `auto` the one that the first rows look like.

    Raises `UsageError` for an unknown name, and `InputError` where the rows look like none, or like several.
    """
    if (source.path / RUN).is_file():
        raise UsageError(f"{source.location} is a run of openr-data already: inspect, export and all other commands take it")
    if name != "auto":
        if name not in LAYOUTS:
            raise UsageError(f"--format is auto or one of {', '.join(LAYOUTS)}, not '{name}'")
        return LAYOUTS[name]
    rows = _first_rows(source)
    found = guess(rows)
    if len(found) == 1:
        return found[0]
    columns = ", ".join(printable(column[:60]) for column in dict.fromkeys(column for row in rows for column in row)) or "none"
    what = f"could be {' or '.join(layout.name for layout in found)}" if found else "is of no layout that is known here"
    raise InputError(f"{source.location} {what}; columns seen: {columns}; name it with --format ({', '.join(LAYOUTS)})")


def _first_rows(source: ProblemSource) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for _, group in row_groups(source):
        for row in group:
            if isinstance(row, Row):
                rows.append({name: _plain_or_none(value) for name, value in row.value.items()})
            if len(rows) == _LOOK:
                return rows
    if not rows:
        raise InputError(f"{source.location} holds no row that can be read")
    return rows


def read_items(source: ProblemSource, layout: Layout, options: ReadOptions) -> Iterator[ImportItem | Reject]:
    """Every row of the source, in order, in an item or as a reject. `source.limit` counts rows. Raises `InputError`.

    Rows that stand together and ask the same question are one item, so that a problem is asked once and its id is unique.
    """
    ids = _Ids()
    open_item: ImportItem | None = None
    for stem, row in _rows(source):
        found = row if isinstance(row, Reject) else _parsed(row, layout, options, stem, ids)
        if isinstance(found, Reject):
            yield found
        elif open_item is not None and not layout.per_problem and _belongs(found, open_item):
            open_item = _joined(open_item, found)
        else:
            if open_item is not None:
                yield open_item
            open_item = _begun(found, ids)
    if open_item is not None:
        yield open_item


def _rows(source: ProblemSource) -> Iterator[tuple[str, Row | Reject]]:
    number = 0
    for stem, group in row_groups(source):
        for row in group:
            if source.limit and number >= source.limit:
                return
            number += 1
            yield stem, row
    if not number:
        raise InputError(f"{source.location} is empty: it holds no rows")


class _Ids:
    """Ids that are unique in the run: one that comes again gets a number behind it."""

    def __init__(self) -> None:
        self._problems, self._solutions = DigestTable(), DigestTable()

    def problem(self, name: str) -> str:
        return self._unique(self._problems, name)

    def solution(self, name: str) -> str:
        return self._unique(self._solutions, name)

    @staticmethod
    def _unique(table: DigestTable, name: str) -> str:
        count = table.count(digest(name))
        return name if count == 1 else f"{name}#{count}"


def _parsed(row: Row, layout: Layout, options: ReadOptions, stem: str, ids: _Ids) -> Parsed | Reject:
    try:
        value = _plain_row(row)
        parsed = layout.read(value, options)
        _check(parsed)
        named = replace(parsed, solutions=_named(parsed.solutions, f"{stem}-{row.row}", ids, many=layout.per_problem))
        whole = kept(layout, named, value)
        _check_text(whole)
    except LayoutFault as fault:
        return Reject(row.file, row.line, row.row, fault.reason, fault.detail, excerpt(row.raw))
    return whole


def _named(solutions: Sequence[LabeledSolution], row: str, ids: _Ids, *, many: bool) -> tuple[LabeledSolution, ...]:
    names = [one.solution.id or (f"{row}-{number}" if many else row) for number, one in enumerate(solutions)]
    return tuple(
        replace(one, solution=replace(one.solution, id=ids.solution(name))) for one, name in zip(solutions, names, strict=True)
    )


def _check(parsed: Parsed) -> None:
    if not parsed.problem.question.strip():
        raise LayoutFault("no_question", "the question is missing or blank")
    if any(not one.solution.steps for one in parsed.solutions):
        raise LayoutFault("no_steps", "there are no solution steps")


def _check_text(parsed: Parsed) -> None:
    """No Arrow string can hold half of a surrogate pair."""
    problem = parsed.problem
    texts = [problem.question, problem.answer, problem.source, *problem.metadata.values()]
    for one in parsed.solutions:
        texts += [one.solution.id, one.solution.sampler, *one.solution.steps, *one.notes.values()]
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise LayoutFault("lone_surrogate", "a text holds half of a surrogate pair") from None


def _begun(parsed: Parsed, ids: _Ids) -> ImportItem:
    problem = parsed.problem
    name = problem.id or f"q-{question_digest(problem.question).hex()[:16]}"
    problem = replace(problem, id=ids.problem(name))
    return _joined(ImportItem(problem, (), 0), parsed)


def _joined(item: ImportItem, parsed: Parsed) -> ImportItem:
    start = len(item.solutions)
    placed = (
        replace(one, solution=replace(one.solution, problem_id=item.problem.id, index=start + number))
        for number, one in enumerate(parsed.solutions)
    )
    return replace(item, solutions=(*item.solutions, *placed), rows=item.rows + 1)


def _belongs(parsed: Parsed, item: ImportItem) -> bool:
    same = replace(parsed.problem, id=item.problem.id) == item.problem
    return same and len(item.solutions) + len(parsed.solutions) <= MAX_GROUP


def _plain_row(row: Row) -> dict[str, Any]:
    try:
        return {name: _plain(value) for name, value in row.value.items()}
    except (ValueError, TypeError) as fault:
        raise LayoutFault("wrong_type", f"a value cannot be kept: {fault}") from None


def _plain_or_none(value: Any) -> Any:
    """For the guess of a layout, which must not fall over one value: that is told of each row when it is read."""
    try:
        return _plain(value)
    except (ValueError, TypeError):
        return None


def _plain(value: Any) -> Any:
    """Numbers as numbers, times (of Parquet) as text in ISO 8601; what JSON has no word for is refused."""
    if isinstance(value, Number):
        number = int(value) if value.removeprefix("-").isdigit() else float(value)
        if number in {float("inf"), float("-inf")}:
            raise ValueError("a number is too large")
        return number
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"a value of type {type(value).__name__}")
