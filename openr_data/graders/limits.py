r"""What a computer algebra system gets to see: no towers or lengths that only cost time, no units. Knows no values."""

from __future__ import annotations

import re

from openr_data.graders.normalise import LENGTH_LIMIT
from openr_data.graders.policy import GradingPolicy

_UNIT = re.compile(r"(?<=[\w)}]) ?\\text ?\{[^{}]*\}(?:\^\{?[23]\}?)?$")
NESTING_LIMIT = 40
DIGIT_LIMIT = 256
COMMAND_LIMIT = 200
EXPONENT_DIGITS = 4
"""`x^{9999}` passes, `x^{10000}` does not."""

_DIGITS = re.compile(r"\d+")
_NUMERIC_EXPONENT = re.compile(r"\^\{?[-+]?(\d+)")
_GROWING = re.compile(r"!|\\binom|\\(?:sum|prod|int|iint|lim|bigcup|bigcap)(?![a-zA-Z])")
_BIG_NUMBER = re.compile(r"\d{4}|\d\^")
_NESTED_FACTORIAL = re.compile(r"!\)*!")
_CODE = re.compile(r"__|(?<![\\a-z])(?:import|lambda|exec|eval|open|system|getattr|globals|compile|subprocess|builtins)(?![a-z])")
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


def _towers(text: str) -> bool:
    """Exponents of numbers inside exponents (9^{9^9}), and letters three deep."""
    levels: list[bool] = []
    before, at_caret = "", False
    for character in text:
        if character == "^":
            inside = sum(levels) + at_caret
            if inside > 1 or (inside and (before.isdigit() or before in ")}")):
                return True
        elif character in "({":
            levels.append(before == "^")
        elif character in ")}" and levels:
            levels.pop()
        at_caret = before == "^" and character not in "({"
        before = character
    return False


def refuse(text: str) -> str:
    r"""Why a normalised answer must not reach the worker (`limit` or `unreadable`), or nothing when it may.

    >>> refuse("9^{9^{9}}"), refuse("\\frac{1}{2}"), refuse("10 20")
    ('limit', '', 'unreadable')
    """
    if len(text) > LENGTH_LIMIT or _nesting(text) > NESTING_LIMIT or text.count("\\") > COMMAND_LIMIT:
        return "limit"
    if any(len(run) > DIGIT_LIMIT for run in _DIGITS.findall(text)) or _towers(text):
        return "limit"
    if any(len(exponent) > EXPONENT_DIGITS for exponent in _NUMERIC_EXPONENT.findall(text)):
        return "limit"
    if _NESTED_FACTORIAL.search(text) or (_GROWING.search(text) and _BIG_NUMBER.search(text)):
        return "limit"
    if _CODE.search(text) or _SIDE_BY_SIDE.search(text) or not text.isprintable():
        return "unreadable"
    return ""


def plain_formulas(answer: str, gold: str, policy: GradingPolicy) -> tuple[str, str]:
    r"""The pair without units at the end and without percent signs, which are worked into the formulas as the policy says.

    >>> plain_formulas("\\sqrt[3]{2}\\text{ feet}", "2^{1/3}", GradingPolicy())
    ('\\sqrt[3]{2}', '2^{1/3}')
    """
    first, second = (_UNIT.sub("", text) for text in (answer, gold))
    if policy.percent == "hundredth" and ("%" in first) != ("%" in second):
        first, second = (f"\\frac{{{text}}}{{100}}" if "%" in text else text for text in (first, second))
    return first.replace("%", ""), second.replace("%", "")
