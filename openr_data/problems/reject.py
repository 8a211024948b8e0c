"""Rows that cannot be used, kept as data: where they stood, why they were refused, and a bounded safe excerpt."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

REASONS = {
    "bad_json": "the line or list element is not JSON",
    "bad_utf8": "the row is not UTF-8",
    "not_an_object": "the row is JSON, but not an object with columns",
    "duplicate_keys": "a JSON object names one key twice",
    "nan": "a number is NaN or infinite",
    "too_long": "the row, the question or the answer is longer than the limit",
    "too_deep": "the JSON is nested deeper than the limit",
    "bad_csv": "the CSV record cannot be taken apart",
    "wrong_columns": "a CSV row has more or fewer cells than the header",
    "wrong_type": "a field holds a value of a type that cannot be used",
    "control_characters": "a field holds a NUL or another control character",
    "lone_surrogate": "a field holds half of a surrogate pair, which is no character",
    "no_question": "the question is missing or blank",
    "no_answer": "the reference answer is missing, blank, or not found in the solution text",
    "ungradable_answer": "the reference answer does not grade right against itself, so no response could",
    "no_steps": "there are no solution steps",
    "duplicate_id": "an earlier row has the same id",
    "no_reference_answer": "the file with the answers does not have this question",
    "ambiguous_reference_answer": "the file with the answers gives this question two different answers",
}
"""Every reason code, and what it means."""

_EXCERPT = 300


class RowFault(Exception):
    """Why one row cannot be used; becomes a `Reject` where the row's place is known, and never leaves this room."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was refused. `file` is the name within the source, `row` the 0-based index of the row in that file.

    `line` is the 1-based line on which the row starts in a text file, and `row + 1` where there are no lines. `reason` is a key
    of `REASONS`; `detail` a phrase for people; `raw` the beginning of the row, always valid text without control characters.
    """

    file: str
    line: int
    row: int
    reason: str
    detail: str
    raw: str

    def to_json(self) -> str:
        """One line of JSON in plain ASCII, without its newline."""
        return json.dumps({key: printable(value) if isinstance(value, str) else value for key, value in asdict(self).items()})


def excerpt(raw: object) -> str:
    r"""The beginning of a row as text that is safe to store and to show.

    >>> excerpt(b'{"a": \xff')
    '{"a": \\xff'
    """
    if isinstance(raw, bytes):
        return printable(raw[: 4 * _EXCERPT].decode("utf-8", "backslashreplace"))[:_EXCERPT]
    text = raw if isinstance(raw, str) else _sketch(raw)
    return printable(text[: 4 * _EXCERPT])[:_EXCERPT]


def printable(text: str) -> str:
    """The text with control characters, line separators and lone surrogates written as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _sketch(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)[:_EXCERPT]
    return ", ".join(f"{key}: {str(cell)[:80]}" for key, cell in list(value.items())[:16])
