"""A row as it comes out of a file, its limits, and the strict reading of one JSON object. Knows no field names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from openr_data.problems.reject import Reject, RowFault, excerpt

MAX_LINE = 1 << 20
"""Bytes of one line, list element or CSV record."""
MAX_TEXT = 64 << 10
"""UTF-8 bytes of a question, an answer or one step."""
MAX_NESTING = 32

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


class Number(str):
    """A JSON number with the digits it was written with, so that no answer is rounded."""

    __slots__ = ()


@dataclass(slots=True)
class Row:
    """One row with columns, and where it stood (`file`, `line`, `row` as in `Reject`). `raw` is what an excerpt is made of."""

    file: str
    line: int
    row: int
    value: Mapping[str, object]
    raw: object

    def reject(self, fault: RowFault) -> Reject:
        return Reject(self.file, self.line, self.row, fault.reason, fault.detail, excerpt(self.raw))


def parse_row(file: str, line: int, row: int, raw: bytes) -> Row | Reject:
    """Read one JSON object strictly; whatever is wrong with it becomes a `Reject`."""
    try:
        return Row(file, line, row, parse_object(raw), raw)
    except RowFault as fault:
        return Reject(file, line, row, fault.reason, fault.detail, excerpt(raw))


def parse_object(raw: bytes) -> dict[str, object]:
    """The object in `raw`. Refuses bad UTF-8, duplicate keys, NaN, deep nesting and anything that is not an object."""
    check_nesting(raw)
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RowFault("bad_utf8", f"byte {error.start} of the row is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise RowFault("bad_json", f"{error.msg.removesuffix(' at')} at character {error.pos}") from None
    if not isinstance(value, dict):
        raise RowFault("not_an_object", f"the row is a {_NAMES.get(type(value), 'value')}, not an object with columns")
    return value


def check_nesting(raw: bytes) -> None:
    """Raise `RowFault` when brackets nest deeper than `MAX_NESTING`, before the recursive parser sees them."""
    if raw.count(b"{") + raw.count(b"[") <= MAX_NESTING:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", raw)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_NESTING:
            raise RowFault("too_deep", f"the JSON is nested deeper than {MAX_NESTING} levels")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RowFault("duplicate_keys", f"the key {twice[:80]!r} is given twice")
    return value


def _constant(name: str) -> NoReturn:
    raise RowFault("nan", f"{name} is no JSON number")


_NAMES = {list: "list", str: "string", Number: "number", bool: "boolean", type(None): "null"}
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_constant)
