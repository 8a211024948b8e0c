"""Finds which columns hold the question, the answer, the id and the steps. Knows the public layouts; reads no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from openr_data.errors import InputError
from openr_data.problems.answers import read_answer
from openr_data.problems.reject import RowFault, printable
from openr_data.problems.source import ProblemSource

QUESTIONS = ("problem", "question", "question.problem", "prompt")
ANSWERS = (
    "answer",
    "final_answer",
    "expected_answer",
    "reference_answer",
    "ground_truth_answer",
    "ground_truth",
    "question.ground_truth_answer",
)
WORKED = ("solution", "question.ground_truth_solution")
"""Columns with a worked solution, out of which the answer is read when there is no answer column."""
IDS = ("id", "unique_id", "problem_id")
SOLUTION_IDS = ("id", "unique_id", "solution_id")
STEPS = ("steps", "completions", "question.pre_generated_steps")
TEXTS = ("solution", "response", "completion", "output", "generation")
"""Columns with a whole solution as one text, used when there is no column of steps."""

Columns = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Fields:
    """Names of the columns in use; empty: there is none. `worked`: the answer is to be found inside a solution text."""

    question: str
    answer: str = ""
    id: str = ""
    steps: str = ""
    worked: bool = False


def lookup(row: Columns, name: str) -> object:
    """The cell of that name, or of that dotted path into nested objects and lists; `None` where there is nothing.

    >>> lookup({"question": {"problem": "1 + 1"}}, "question.problem")
    '1 + 1'
    """
    if name in row or "." not in name:
        return row.get(name)
    value: object = row
    for part in name.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def problem_fields(rows: Sequence[Columns], source: ProblemSource, name: str) -> Fields:
    """The columns of a file of problems, judged by its first rows. Raises `InputError` when they cannot be told."""
    question = source.question_field or _question(rows, name)
    answer = source.answer_field or _one_of(rows, ANSWERS, name, "reference answer", "--answer-field")
    worked = not answer and _present(rows, WORKED)
    if not answer and not worked:
        raise InputError(_unclear(rows, name, "no column with the reference answer was recognised", "--answer-field"))
    id_field = source.id_field or _first(_present(rows, IDS))
    _must_exist(rows, {"--question-field": question, "--answer-field": answer, "--id-field": id_field}, name)
    return Fields(question, answer or _first(worked or []), id_field, worked=bool(worked))


def question_fields(rows: Sequence[Columns], source: ProblemSource, name: str) -> Fields:
    """The question, and the id where there is one, of a file of which nothing else is read."""
    question = source.question_field or _question(rows, name)
    id_field = source.id_field or _first(_present(rows, IDS))
    _must_exist(rows, {"--question-field": question, "--id-field": id_field}, name)
    return Fields(question, id=id_field)


def solution_fields(rows: Sequence[Columns], source: ProblemSource, name: str, *, joined: bool) -> Fields:
    """The columns of a file of solutions; no answer column is looked for when the answers are `joined` from another file."""
    question = source.question_field or _question(rows, name)
    steps = source.steps_field or _first(_present(rows, STEPS)) or _one_of(rows, TEXTS, name, "solution", "--steps-field")
    if not steps:
        raise InputError(_unclear(rows, name, "no column with the steps of a solution was recognised", "--steps-field"))
    answer = "" if joined else source.answer_field or _one_of(rows, ANSWERS, name, "reference answer", "--answer-field")
    if not answer and not joined:
        hint = "--answer-field, or --answers with a file of the same questions"
        raise InputError(_unclear(rows, name, "no column with the reference answer was recognised", hint))
    id_field = source.id_field or _first(_present(rows, SOLUTION_IDS))
    options = {"--question-field": question, "--answer-field": answer, "--id-field": id_field, "--steps-field": steps}
    _must_exist(rows, options, name)
    return Fields(question, answer, id_field, steps)


def _question(rows: Sequence[Columns], name: str) -> str:
    question = _one_of(rows, QUESTIONS, name, "question", "--question-field")
    if not question:
        raise InputError(_unclear(rows, name, "no column with the question was recognised", "--question-field"))
    return question


def _one_of(rows: Sequence[Columns], names: Sequence[str], file: str, what: str, option: str) -> str:
    """The one candidate that is there, "" without any. Several are harmless only while they say the same."""
    found = _present(rows, names)
    for other in found[1:]:
        if any(_differ(lookup(row, found[0]), lookup(row, other)) for row in rows):
            raise InputError(_unclear(rows, file, f"'{found[0]}' and '{other}' could both be the {what}", option))
    return _first(found)


def _present(rows: Sequence[Columns], names: Sequence[str]) -> list[str]:
    """Candidates that hold text, a number or a list somewhere; failing that, those that are columns at all."""
    used = [name for name in names if any(_usable(lookup(row, name)) for row in rows)]
    return used or [name for name in names if any(name in row for row in rows)]


def _usable(value: object) -> bool:
    return isinstance(value, (str, int, float, list)) and value != ""


def _differ(left: object, right: object) -> bool:
    try:
        return left is not None and right is not None and read_answer(left) != read_answer(right)
    except RowFault:
        return False


def _must_exist(rows: Sequence[Columns], options: Mapping[str, str], file: str) -> None:
    for option, field in options.items():
        if field and all(lookup(row, field) is None and field not in row for row in rows):
            raise InputError(_unclear(rows, file, f"there is no column '{field}'", option))


def _unclear(rows: Sequence[Columns], file: str, what: str, option: str) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    seen = ", ".join(printable(column[:60]) for column in columns[:30]) or "none"
    return f"{file}: {what}; columns seen: {seen}; name the right one with {option}"


def _first(names: Sequence[str]) -> str:
    return names[0] if names else ""
