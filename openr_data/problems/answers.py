r"""Reads a reference answer out of a data set's cell: plain text, a number, `#### N`, or the last \boxed{} of a solution.

Reference answers only: what a model wrote is the business of `graders`.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

from openr_data.problems.reject import RowFault
from openr_data.problems.rows import Number

_HASHES = re.compile(r"^[ \t]*####(.*)$", re.MULTILINE)
_THOUSANDS = re.compile(r"[-+]?\$?[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_MAX_EXPONENT = 100


def read_answer(value: object, *, solution: bool = False) -> str:
    r"""The reference answer in `value`; with `solution`, a text without `####` or a box holds none. Raises `RowFault`.

    >>> read_answer("She pays 2 * 600 = 1200.\n#### 1,200"), read_answer(r"so $x = \boxed{\frac{1}{2}}$")
    ('1200', '\\frac{1}{2}')
    """
    text = cell_text(value)
    if text is None or not text.strip():
        raise RowFault("no_answer", "the reference answer is missing or blank")
    found = answer_in_solution(text)
    if found is None:
        found = "" if solution else text.strip()
    if not found:
        raise RowFault("no_answer", "the text holds no final answer (#### or \\boxed{})")
    return found


def cell_text(value: object) -> str | None:
    """A string as it is and a number as its exact decimal text; `None` stays. Refuses NaN, booleans and everything else.

    >>> cell_text(0.1 + 0.2), cell_text(72)
    ('0.30000000000000004', '72')
    """
    if isinstance(value, Number):
        return _decimal_text(str(value))
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise RowFault("nan", f"the value is {value}, not a number")
        return _decimal_text(str(value))
    raise RowFault("wrong_type", f"a value of type {type(value).__name__} cannot be used; text or a number is needed")


def answer_in_solution(text: str) -> str | None:
    """What follows the last `####` line, else what the last box holds; `None` when the text has neither."""
    hashes = _HASHES.findall(text) if "####" in text else []
    if hashes:
        last: str = hashes[-1].strip()
        return last.replace(",", "") if _THOUSANDS.fullmatch(last) else last
    return last_boxed(text)


def last_boxed(text: str) -> str | None:
    r"""The content of the last `\boxed{...}` with balanced braces, or of `\boxed x`; `None` when there is none.

    >>> last_boxed(r"\boxed{1} and \boxed{\left\{2\right\}}"), last_boxed(r"$\boxed 5$")
    ('\\left\\{2\\right\\}', '5')
    """
    if "\\" not in text:
        return None
    for match in reversed(list(_BOXED.finditer(text))):
        start = match.end()
        content = _balanced(text, start) if text.startswith("{", start) else re.split(r"[\s$]", text[start:], maxsplit=1)[0]
        if content is not None:
            return content.strip()
    return None


def _balanced(text: str, start: int) -> str | None:
    depth = 0
    for match in _BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth == 0 and match.group() == "}":
            return text[start + 1 : match.start()]
    return None


def _decimal_text(text: str) -> str:
    if "e" not in text and "E" not in text:
        return text
    number = Decimal(text)
    return format(number, "f") if abs(number.adjusted()) <= _MAX_EXPONENT else text
