"""Takes the cells of a row apart: checked texts, ids, and the remaining columns as metadata. Reads no files."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping

from openr_data.problems.answers import cell_text
from openr_data.problems.reject import RowFault
from openr_data.problems.rows import MAX_LINE, MAX_TEXT, Number, parse_object

MAX_ID = 512
MAX_METADATA = 8 << 10
"""Characters of one metadata value; a longer one is left out."""
_MAX_COLUMNS = 64
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def checked_text(text: str, what: str, limit: int = MAX_TEXT) -> str:
    """The text unchanged. Refuses more than `limit` UTF-8 bytes, lone surrogates and control characters (white space is none)."""
    if len(text) > limit:
        raise RowFault("too_long", f"the {what} is longer than {limit} bytes")
    if not text.isascii():
        if _SURROGATE.search(text):
            raise RowFault("lone_surrogate", f"the {what} holds half of a surrogate pair")
        if len(text.encode()) > limit:
            raise RowFault("too_long", f"the {what} is longer than {limit} bytes")
    if not text.isprintable() and (found := _CONTROL.search(text)):
        raise RowFault("control_characters", f"the {what} holds the control character U+{ord(found.group()):04X}")
    return text


def question_text(value: object) -> str:
    if value is None or (isinstance(value, str) and not isinstance(value, Number) and not value.strip()):
        raise RowFault("no_question", "the question is missing or blank")
    if not isinstance(value, str) or isinstance(value, Number):
        raise RowFault("wrong_type", f"the question must be text, not {type_name(value)}")
    return checked_text(value, "question")


def id_text(value: object) -> str:
    """The id as text; "" when the row has none. A float such as 7.0, a gap's effect on a column of integers, counts as 7."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = cell_text(value) or ""
    return checked_text(text.strip(), "id", MAX_ID)


def short_text(value: object) -> str:
    """A short label such as a level or a source; "" for anything that is none."""
    try:
        return id_text(value)
    except RowFault:
        return ""


def metadata_of(row: Mapping[str, object], used: Collection[str]) -> dict[str, str]:
    """The other columns that hold scalars, lists of scalars, or (in a column `metadata`) a mapping of them, as text.

    Long values, nested values, nulls and text that would be refused elsewhere are left out: metadata never costs a row.
    """
    found: dict[str, str] = {}
    for name, value in row.items():
        if name in used:
            continue
        nested = _mapping(value) if name == "metadata" else None
        for key, cell in nested.items() if nested is not None else ((name, value),):
            text = _metadata_text(cell)
            if text is not None and len(found) < _MAX_COLUMNS and _is_clean(key):
                found.setdefault(key, text)
    return found


def type_name(value: object) -> str:
    return "a number" if isinstance(value, Number) else f"a value of type {type(value).__name__}"


def _mapping(value: object) -> dict[str, object] | None:
    """An object, its JSON text (as this project writes it), or the list of pairs that an Arrow map column gives."""
    if isinstance(value, str) and value.startswith("{") and len(value) <= MAX_LINE:
        try:
            return parse_object(value.encode("utf-8", "surrogatepass"))
        except RowFault:
            return None
    if isinstance(value, Mapping):
        return {key: cell for key, cell in value.items() if isinstance(key, str)}
    if isinstance(value, list) and all(isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in value):
        return dict(value)
    return None


def _metadata_text(value: object) -> str | None:
    if isinstance(value, list):
        items = [_json_scalar(item) for item in value]
        text = f"[{','.join(item for item in items if item is not None)}]" if None not in items else None
    elif isinstance(value, str):
        text = str(value)
    else:
        text = None if value is None else _json_scalar(value)
    return text if text is not None and _is_clean(text, MAX_METADATA) else None


def _json_scalar(value: object) -> str | None:
    """JSON text of a scalar, `None` of anything else; a number keeps the digits it was written with."""
    if isinstance(value, Number):
        return str(value)
    if value is None or isinstance(value, (bool, str, int)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else None
    return None


def _is_clean(text: str, limit: int = MAX_ID) -> bool:
    try:
        checked_text(text, "value", limit)
    except RowFault:
        return False
    return True
