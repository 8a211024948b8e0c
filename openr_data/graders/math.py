r"""Equality of two normalised answers by math-verify, in this process and without any time limit: only a worker imports this.

The text goes to the LaTeX grammar of latex2sympy2-extended as a whole, never to `sympify`, `parse_expr` or `eval`, and
math-verify's own extraction and its alarm-based timeouts are not used. What does not parse to its end is unparsable.
"""

from __future__ import annotations

import logging
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig, latex2sympy
from math_verify import verify
from math_verify.parser import should_treat_as_complex

_SPELLING = NormalizationConfig(basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none")
_DIGITS = 50
"""Two constants that math-verify holds equal at 15 digits must agree to about this many (1/2^99 is not 1/2^98)."""

logging.getLogger("math_verify").setLevel(logging.CRITICAL)
logging.getLogger("latex2sympy2_extended").setLevel(logging.CRITICAL)


class Unparsable(Exception):
    """The LaTeX grammar does not accept the text."""


def parse(text: str) -> Any:
    """The sympy value of one normalised answer; raises `Unparsable`."""
    try:
        value = latex2sympy(
            text, is_real=not should_treat_as_complex(text), convert_degrees=False, normalization_config=_SPELLING
        )
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        raise Unparsable(type(error).__name__) from None
    if value is None or isinstance(value, (str, bool)):
        raise Unparsable("no value")
    return value


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


def compare(answer: str, gold: str) -> str:
    """`equal`, `different`, `unparsable_gold` or `unparsable_answer`.

    The pair is put in a fixed order first, because math-verify's comparison is not symmetric.
    """
    try:
        right = parse(gold)
    except Unparsable:
        return "unparsable_gold"
    try:
        left = parse(answer)
    except Unparsable:
        return "unparsable_answer"
    first, second = (left, right) if answer <= gold else (right, left)
    return "equal" if equal(first, second) else "different"
