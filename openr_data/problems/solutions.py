"""Reads solutions that other models wrote, grouped by question. Says nothing of whether they are right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from openr_data.errors import InputError, UsageError
from openr_data.problems.cells import checked_text, id_text, metadata_of, question_text, short_text, type_name
from openr_data.problems.digests import DigestTable, digest, question_digest
from openr_data.problems.fields import Columns, Fields, lookup, solution_fields
from openr_data.problems.reader import (
    DIFFICULTIES,
    Gradable,
    RowGroup,
    answer_text,
    check_answer,
    difficulty_text,
    read_problems,
    row_groups,
    with_fields,
)
from openr_data.problems.reject import Reject, RowFault
from openr_data.problems.rows import MAX_LINE, Number, Row
from openr_data.problems.source import ProblemSource, source_kind
from openr_data.steps import StepFormat
from openr_data.types import Problem, Steps

MAX_GROUP = 1024
"""Solutions handed out together; a longer run of the same question goes on in a new item."""
_MAX_STEPS = 2000
_SAMPLERS = ("generator", "sampler", "model")
_PROBLEM_IDS = ("problem_id", "question_id")


@dataclass(frozen=True, slots=True)
class RawSolution:
    """A solution as it came: no verdict yet. Foreign labels (`label`, `final_answer_correct`, ...) are in `metadata` as text."""

    id: str
    steps: Steps
    sampler: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProblemSolutions:
    """A question with solutions that stood together. `problem.id` is unique in a source: `...#2` when a question comes again."""

    problem: Problem
    solutions: tuple[RawSolution, ...]


References = Mapping[bytes, Problem | None]
"""By digest of the question: the reference problem without its text; `None` where two answers contradict each other."""


def read_solutions(
    source: ProblemSource,
    *,
    step_format: StepFormat | None = None,
    answers: ProblemSource | None = None,
    gradable: Gradable | None = None,
) -> Iterator[ProblemSolutions | Reject]:
    """The solutions of a source, and a `Reject` for every row that cannot be used.

    Steps come from a list column, or from a text that `step_format` splits. With `answers`, reference answers (and ids) come
    from that second source, matched by the text of the question whatever its white space; the rows' own answers are then not
    looked at. `source.limit` counts questions. Raises `InputError` as `read_problems` does, and `UsageError` for a text without
    `step_format`. `gradable` is that of `read_problems`.
    """
    if source_kind(source) == "builtin":
        raise UsageError("the built-in task has problems but no solutions; make some with: openr-data generate builtin")
    groups = row_groups(source)
    if answers is None:
        return _limited(_items(groups, source, step_format, None, gradable), source.limit)
    return _joined(groups, source, step_format, read_problems(answers, gradable))


def _joined(
    groups: Sequence[RowGroup], source: ProblemSource, step_format: StepFormat | None, answers: Iterator[Problem | Reject]
) -> Iterator[ProblemSolutions | Reject]:
    references: dict[bytes, Problem | None] = {}
    for item in answers:
        if isinstance(item, Reject):
            yield item
            continue
        key = question_digest(item.question)
        known = references.setdefault(key, replace(item, question=""))
        if known is not None and known.answer != item.answer:
            references[key] = None
    yield from _limited(_items(groups, source, step_format, references, None), source.limit)


def _limited(items: Iterator[ProblemSolutions | Reject], limit: int) -> Iterator[ProblemSolutions | Reject]:
    found = 0
    for item in items:
        yield item
        found += isinstance(item, ProblemSolutions)
        if limit and found >= limit:
            return


def _items(
    groups: Sequence[RowGroup],
    source: ProblemSource,
    step_format: StepFormat | None,
    references: References | None,
    gradable: Gradable | None,
) -> Iterator[ProblemSolutions | Reject]:
    ids, problems = DigestTable(), DigestTable()
    check = partial(_checked, step_format=step_format, references=references, ids=ids, gradable=gradable)
    empty = True
    for stem, rows in groups:
        choose = partial(_fields, source=source, name=stem, joined=references is not None, split=step_format is not None)
        pairs: list[tuple[Problem, RawSolution]] = []
        for item in with_fields(rows, choose):
            empty = False
            found = item if isinstance(item, Reject) else check(item[1], item[0], stem)
            if isinstance(found, Reject):
                yield found
                continue
            if pairs and (len(pairs) == MAX_GROUP or not _same(pairs[0][0], found[0])):
                yield _group(pairs, problems)
                pairs = []
            pairs.append(found)
        if pairs:
            yield _group(pairs, problems)
    if empty:
        raise InputError(f"{source.location} is empty: it holds no rows")


def _fields(rows: Sequence[Columns], source: ProblemSource, name: str, joined: bool, split: bool) -> Fields:
    fields = solution_fields(rows, source, name, joined=joined)
    cells = [lookup(row, fields.steps) for row in rows]
    texts = any(isinstance(cell, str) and not isinstance(cell, Number) for cell in cells)
    if texts and not split and not any(isinstance(cell, list) for cell in cells):
        raise UsageError(
            f"the column '{fields.steps}' holds whole texts; say what stands between two steps with --step-separator"
        )
    return fields


def _same(left: Problem, right: Problem) -> bool:
    same_text = left.question == right.question or question_digest(left.question) == question_digest(right.question)
    return left.id == right.id and left.answer == right.answer and same_text


def _group(pairs: list[tuple[Problem, RawSolution]], problems: DigestTable) -> ProblemSolutions:
    problem = pairs[0][0]
    times = problems.count(digest(problem.id))
    unique = problem if times == 1 else replace(problem, id=f"{problem.id}#{times}")
    return ProblemSolutions(unique, tuple(solution for _, solution in pairs))


def _checked(
    row: Row,
    fields: Fields,
    stem: str,
    *,
    step_format: StepFormat | None,
    references: References | None,
    ids: DigestTable,
    gradable: Gradable | None,
) -> tuple[Problem, RawSolution] | Reject:
    try:
        problem = _own_problem(row.value, fields, stem) if references is None else _reference(row.value, fields, references)
        check_answer(problem, gradable)
        solution = _solution(row, fields, stem, step_format)
        if ids.put(digest(solution.id), 0) is not None:
            raise RowFault("duplicate_id", f"a solution with the id {solution.id[:80]!r} came before")
    except RowFault as fault:
        return row.reject(fault)
    return problem, solution


def _own_problem(value: Columns, fields: Fields, stem: str) -> Problem:
    question = question_text(lookup(value, fields.question))
    given = next((text for name in _PROBLEM_IDS if (text := short_text(value.get(name)))), "")
    return Problem(
        id=given or f"q-{question_digest(question).hex()[:16]}",
        question=question,
        answer=answer_text(value, fields),
        source=short_text(value.get("source")) or stem,
        difficulty=difficulty_text(value),
    )


def _reference(value: Columns, fields: Fields, references: References) -> Problem:
    question = question_text(lookup(value, fields.question))
    key = question_digest(question)
    if key not in references:
        raise RowFault("no_reference_answer", "the file with the answers does not have this question")
    reference = references[key]
    if reference is None:
        raise RowFault("ambiguous_reference_answer", "the file with the answers gives this question two different answers")
    return replace(reference, question=question)


def _solution(row: Row, fields: Fields, stem: str, step_format: StepFormat | None) -> RawSolution:
    value = row.value
    used = {fields.question, fields.answer, fields.id, fields.steps, "source", *DIFFICULTIES, *_SAMPLERS, *_PROBLEM_IDS}
    return RawSolution(
        id=(id_text(lookup(value, fields.id)) if fields.id else "") or f"{stem}-{row.row}",
        steps=_steps(lookup(value, fields.steps), step_format),
        sampler=next((text for name in _SAMPLERS if (text := short_text(value.get(name)))), ""),
        metadata=metadata_of(value, used),
    )


def _steps(value: object, step_format: StepFormat | None) -> Steps:
    if isinstance(value, str) and not isinstance(value, Number):
        if step_format is None:
            raise RowFault("wrong_type", "the solution is one text where other rows have lists of steps")
        steps = step_format.split(checked_text(value, "solution", MAX_LINE))
    elif isinstance(value, list):
        steps = tuple(_step(item) for item in value)
    elif value is None:
        steps = ()
    else:
        raise RowFault("wrong_type", f"the steps must be a list of texts, not {type_name(value)}")
    if not any(step.strip() for step in steps):
        raise RowFault("no_steps", "the solution has no steps")
    if len(steps) > _MAX_STEPS:
        raise RowFault("too_long", f"the solution has more than {_MAX_STEPS} steps")
    return steps


def _step(item: object) -> str:
    text = item.get("text") if isinstance(item, Mapping) else item
    if not isinstance(text, str) or isinstance(text, Number):
        raise RowFault("wrong_type", f"a step must be text, not {type_name(text)}")
    return checked_text(text, "step")
