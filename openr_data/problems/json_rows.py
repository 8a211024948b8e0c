"""Rows of JSON lines and of JSON documents, streamed: one line or one list element is in memory at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from openr_data.errors import InputError
from openr_data.problems.json_marks import first_byte, json_marks, newlines, next_byte, read_at
from openr_data.problems.reject import Reject, RowFault, excerpt
from openr_data.problems.rows import MAX_LINE, Row, parse_object, parse_row
from openr_data.problems.text_lines import BOM, bounded_lines, refuse_utf16

_KEY = re.compile(rb'"((?:[^"\\]++|\\.)*+)"\s*:\s*\Z', re.DOTALL)
_QUESTION_KEYS = {"question", "problem", "prompt"}
_LINES, _ONE = -1, -2


def jsonl_rows(path: Path, name: str) -> Iterator[Row | Reject]:
    """One row or reject for every line that is not blank."""
    with path.open("rb") as stream:
        refuse_utf16(stream, name)
        row = 0
        for number, line, cut in bounded_lines(stream):
            if not line.strip():
                continue
            if cut:
                yield Reject(name, number, row, "too_long", f"the line is longer than {MAX_LINE} bytes", excerpt(line))
            else:
                yield parse_row(name, number, row, line)
            row += 1


def json_rows(path: Path, name: str) -> Iterator[Row | Reject]:
    """Rows of a list, of the one list of objects inside an object, of one object, or of JSON lines under a `.json` name."""
    with path.open("rb") as stream:
        refuse_utf16(stream, name)
        start, first = first_byte(stream)
        whole = first == b"["
        if first == b"{":
            start = _list_in_object(stream, start, name)
        elif not first:
            return
        elif not whole:
            raise InputError(f"{name} is not a JSON list or object of problems")
        if start >= 0:
            yield from _list_rows(stream, start, name, whole)
            return
    if start == _ONE:
        yield parse_row(name, 1, 0, path.read_bytes().removeprefix(BOM))
    else:
        yield from jsonl_rows(path, name)


def _list_in_object(stream: BinaryIO, start: int, name: str) -> int:
    """The offset of the one list of objects in the object at `start`; `_LINES` when more JSON follows it; `_ONE` for one row."""
    lists, end = _lists_of_objects(stream, start, name)
    if next_byte(stream, end)[1]:
        return _LINES
    if end - start <= MAX_LINE and (not lists or _is_problem(read_at(stream, start, end))):
        return _ONE
    if len(lists) != 1:
        found = ", ".join(lists) or "none"
        raise InputError(f"{name} is one JSON object and must hold exactly one list of objects; lists found: {found}")
    return next(iter(lists.values()))


def _lists_of_objects(stream: BinaryIO, start: int, name: str) -> tuple[dict[str, int], int]:
    """Offsets of the lists by key, and the offset after the object."""
    lists: dict[str, int] = {}
    before = start
    for mark in json_marks(stream, start):
        if mark.byte == ord("[") and mark.depth == 2 and next_byte(stream, mark.offset + 1)[1] == b"{":
            key = _KEY.search(read_at(stream, max(before, mark.offset - 256), mark.offset))
            lists[key.group(1).decode("utf-8", "replace") if key else "?"] = mark.offset
        before = mark.offset + 1
        if mark.depth == 0:
            return lists, before
    raise InputError(f"{name} ends inside a JSON object; write it again, or use JSON lines")


def _is_problem(raw: bytes) -> bool:
    try:
        return bool(parse_object(raw).keys() & _QUESTION_KEYS)
    except RowFault:
        return False


def _list_rows(stream: BinaryIO, start: int, name: str, whole: bool) -> Iterator[Row | Reject]:
    """The elements of the list at `start`; `whole`: nothing may follow it in the file."""
    row, begin, line = 0, start + 1, 1 + newlines(stream, 0, start)
    for mark in json_marks(stream, start):
        if mark.depth == 0 or (mark.depth == 1 and mark.byte == ord(",")):
            if mark.depth or row or next_byte(stream, begin)[0] < mark.offset:
                yield _element(stream, begin, mark.offset, line, name, row)
                row += 1
            line += newlines(stream, begin, mark.offset)
            begin = mark.offset + 1
        if mark.depth == 0:
            if not whole or not next_byte(stream, begin)[1]:
                return
            detail = "there is more text after the end of the list"
            break
    else:
        detail = "the file ends inside the list"
    yield Reject(name, line, row, "bad_json", detail, excerpt(read_at(stream, begin, begin + 999).strip()))


def _element(stream: BinaryIO, begin: int, end: int, line: int, name: str, row: int) -> Row | Reject:
    text, _ = next_byte(stream, begin)
    line += newlines(stream, begin, min(text, end))
    raw = read_at(stream, text, min(end, text + MAX_LINE + 1))
    if len(raw) > MAX_LINE:
        return Reject(name, line, row, "too_long", f"the list element is longer than {MAX_LINE} bytes", excerpt(raw))
    return parse_row(name, line, row, raw)
