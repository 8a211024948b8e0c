r"""Equality of two normalised answers by math-verify, in this process and without any time limit: only a worker imports this.

The text goes to the LaTeX grammar of latex2sympy2-extended as a whole, never to `sympify`, `parse_expr` or `eval`, and
math-verify's own extraction and its alarm-based timeouts are not used. What does not parse to its end is unparsable.
"""

from __future__ import annotations

import logging
import re
from itertools import product
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig, latex2sympy
from math_verify import verify
from math_verify.parser import should_treat_as_complex
from sympy.parsing import sympy_parser

_SPELLING = NormalizationConfig(basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none")
_NAME = re.compile(r"\\?[a-zA-Z]+(?:_\{?\w+\}?)?(?:\([a-z]\))?")
_DECIMAL = re.compile(r"\d*\.\d+|\d+\.")
_DIGITS = 50
"""Two constants that math-verify holds equal at 15 digits must agree to about this many (1/2^99 is not 1/2^98)."""

logging.getLogger("math_verify").setLevel(logging.CRITICAL)
logging.getLogger("latex2sympy2_extended").setLevel(logging.CRITICAL)


def number_or_name(text: str, *_: object, **__: object) -> Any:
    """What sympy's `parse_expr` may still do in a worker: read a number or a name, without `eval`. Raises `SyntaxError`."""
    if text.isdecimal():
        return sympy.Integer(int(text))
    if _DECIMAL.fullmatch(text):
        return sympy.Float(text)
    if text.isidentifier():
        return sympy.Symbol(text)
    raise SyntaxError("not a number")


def forbid_evaluation() -> None:
    """Take sympy's `eval` away in this process: `sympy.Number(text)` reaches it through `sympify` and `parse_expr`."""
    sympy_parser.parse_expr = number_or_name


class Unparsable(Exception):
    """The LaTeX grammar does not accept the text."""


def parse(text: str) -> Any:
    """The sympy value of one normalised answer; raises `Unparsable`."""
    try:
        value: Any = latex2sympy(
            text,
            is_real=not should_treat_as_complex(text),
            convert_degrees="\\circ" in text,
            normalization_config=_SPELLING,
        )
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        raise Unparsable(type(error).__name__) from None
    if value is None or isinstance(value, (str, bool)):
        raise Unparsable("no value")
    unit = [symbol for symbol in getattr(value, "free_symbols", ()) if symbol.name == "i"]
    return value.xreplace(dict.fromkeys(unit, sympy.I)) if unit else value


def _is_constant(value: Any) -> bool:
    return isinstance(value, sympy.Expr) and not value.free_symbols and not value.has(sympy.oo, sympy.zoo, sympy.nan)


def _agree(a: Any, b: Any) -> bool:
    """Guards against equality of tiny or huge constants by absolute rounding."""
    if not (_is_constant(a) and _is_constant(b)):
        return True
    has_float = a.has(sympy.Float) or b.has(sympy.Float)
    difference, size = abs(sympy.N(a - b, _DIGITS)), abs(sympy.N(b, _DIGITS))
    if has_float:
        return bool(difference <= sympy.Float("1e-5") * size)
    return bool(difference == 0 or difference <= size * sympy.Float(10) ** (10 - _DIGITS))


def equal(first: Any, second: Any) -> bool:
    """Equality of two parsed answers."""
    same = verify(
        first, second, float_rounding=6, numeric_precision=15, strict=True, allow_set_relation_comp=True, timeout_seconds=None
    )
    return bool(same) and _agree(first, second)


def _sides(text: str) -> tuple[str, ...]:
    """What must equal the other answer when only this one is an equation: the last side, and the first unless it is a name."""
    first, *_, last = text.split("=")
    return (last,) if _NAME.fullmatch(first) else (first, last)


def compare(answer: str, gold: str) -> str:
    """`equal`, `different`, `unparsable_gold` or `unparsable_answer`.

    The pair is put in a fixed order first, because math-verify's comparison is not symmetric.
    """
    answers: tuple[str, ...] = (answer,)
    golds: tuple[str, ...] = (gold,)
    if "=" in answer and "=" not in gold:
        answers = _sides(answer)
    elif "=" in gold and "=" not in answer:
        golds = _sides(gold)
    try:
        rights = [(text, parse(text)) for text in golds]
    except Unparsable:
        return "unparsable_gold"
    try:
        lefts = [(text, parse(text)) for text in answers]
    except Unparsable:
        return "unparsable_answer"
    ordered = (sorted(pair, key=lambda named: named[0]) for pair in product(lefts, rights))
    *others, last = [equal(a[1], b[1]) for a, b in ordered]
    if last and all(others):
        return "equal"
    side, reason = (lefts, "unparsable_answer") if len(lefts) > 1 else (rights, "unparsable_gold")
    # `a + b = 10` against 10: an equation, or what was asked for and its value
    return reason if last and getattr(side[0][1], "free_symbols", None) else "different"
