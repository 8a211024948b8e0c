r"""What is refused before a computer algebra system sees it: lengths, nesting and towers that only cost time. Knows no values."""

from __future__ import annotations

import re

from openr_data.graders.normalise import LENGTH_LIMIT

NESTING_LIMIT = 40
DIGIT_LIMIT = 256
COMMAND_LIMIT = 200
EXPONENT_DIGITS = 4
"""`x^{9999}` passes, `x^{10000}` does not."""

_DIGITS = re.compile(r"\d+")
_NUMERIC_EXPONENT = re.compile(r"\^\{?[-+]?(\d+)")
_BIG_ARGUMENT = re.compile(r"\d{4,}[)}]*!|!\)*!|\\binom\{?\d{4,}|\\(?:binom|frac)?\{\d{4,}\}\{\d{4,}\}!")
_SERIES = re.compile(r"\\(?:sum|prod|int|iint|lim|bigcup|bigcap)(?![a-zA-Z])")
_CODE = re.compile(
    r"__|(?<!\\)\b(?:import|lambda|exec|eval|open|system|getattr|globals|compile|subprocess|builtins)\b|['\"`;]{1}.*\("
)
_SIDE_BY_SIDE = re.compile(r"(?:^|[^_\d.])\d[\d.]* \.?\d")


def _nesting(text: str) -> int:
    depth = deepest = 0
    for character in text:
        if character in "({[":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")}]":
            depth -= 1
    return deepest


def _towers(text: str) -> int:
    """How deep exponents stand in exponents: 1 for x^{2}, 2 for x^{2^n}."""
    levels: list[bool] = []
    deepest = 0
    previous, run = "", 0
    for character in text:
        if character == "^":
            run = run + 1 if previous == "^x" else 1
            deepest = max(deepest, run + sum(levels))
        elif character in "({":
            levels.append(previous == "^")
        elif character in ")}" and levels:
            levels.pop()
        previous = "^" if character == "^" else "^x" if previous == "^" and character.isalnum() else ""
    return deepest


def refuse(text: str) -> str:
    r"""Why a normalised answer must not reach the worker (`limit` or `unreadable`), or nothing when it may.

    >>> refuse("9^{9^{9}}"), refuse("\\frac{1}{2}"), refuse("10 20")
    ('limit', '', 'unreadable')
    """
    if len(text) > LENGTH_LIMIT or _nesting(text) > NESTING_LIMIT or text.count("\\") > COMMAND_LIMIT:
        return "limit"
    if any(len(run) > DIGIT_LIMIT for run in _DIGITS.findall(text)) or _towers(text) > 1:
        return "limit"
    if any(len(exponent) > EXPONENT_DIGITS for exponent in _NUMERIC_EXPONENT.findall(text)):
        return "limit"
    if _BIG_ARGUMENT.search(text) or (_SERIES.search(text) and any(len(run) > 3 for run in _DIGITS.findall(text))):
        return "limit"
    if _CODE.search(text) or _SIDE_BY_SIDE.search(text) or not text.isprintable():
        return "unreadable"
    return ""
