r"""One number or formula, from tokens to an exact quotient. Knows no lists, no relations and no policy.

What is known only by its spelling (a sine, a logarithm, a cube root, `2^n`) becomes a name that starts with `?`: two such
formulas can be shown equal here, never different.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import factorial

from openr_data.graders.algebra import Quotient, Undecidable, constant, name, root
from openr_data.graders.tokens import FUNCTIONS, TEXT, Token, Unreadable, spelled

OPAQUE = "?"
_GREEK_NAMES = """
alpha beta gamma delta epsilon varepsilon zeta eta theta lambda mu nu xi rho sigma tau phi varphi chi psi omega Delta
Gamma Theta Lambda Sigma Phi Psi Omega infty emptyset
"""
_GREEK = frozenset(_GREEK_NAMES.split())
_DEPTH_LIMIT = 40
_WORK_LIMIT = 4000
_END = Token("")
_STARTS_FACTOR = frozenset(("(", "{", "[", "\\frac", "\\sqrt", "\\pi", "\\binom")) | {"\\" + g for g in _GREEK}


def _exact(digits: str) -> Fraction:
    if len(digits) > 300:
        raise Undecidable("too many digits")
    try:
        return Fraction(digits)
    except ValueError:
        raise Unreadable("no number") from None


class _Reader:
    def __init__(self, tokens: Sequence[Token], fold: bool) -> None:
        self.tokens = list(tokens)
        self.at = 0
        self.depth = 0
        self.work = 0
        self.fold = fold

    @property
    def next(self) -> Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else _END

    def take(self) -> str:
        text = self.next.text
        if not text:
            raise Unreadable("the formula stops too early")
        self.at += 1
        return text

    def expect(self, text: str) -> None:
        if self.take() != text:
            raise Unreadable(f"expected {text}")

    def sum(self) -> Quotient:
        self.depth += 1
        if self.depth > _DEPTH_LIMIT:
            raise Undecidable("nested too deeply")
        sign = self.sign()
        total = self.product() if sign > 0 else -self.product()
        while self.next.text in ("+", "-"):
            negative = self.take() == "-"
            term = self.product()
            self.spend(total, term)
            total = total - term if negative else total + term
        self.depth -= 1
        return total

    def sign(self) -> int:
        if self.next.text in ("+", "-"):
            return -1 if self.take() == "-" else 1
        return 1

    def product(self) -> Quotient:
        total = self.factor()
        divided = False
        while True:
            text = self.next.text
            if text in ("*", "/"):
                self.at += 1
                sign = self.sign()
                factor = self.factor() if sign > 0 else -self.factor()
                self.spend(total, factor)
                total = total * factor if text == "*" else total / factor
                divided = text == "/"
            elif text in _STARTS_FACTOR or (len(text) == 1 and text.isalpha()):
                if divided:
                    raise Undecidable("1/2x means two things")
                total = self.times(total, self.factor())
            elif text[1:] in FUNCTIONS and text[0] == "\\":
                total = self.times(total, self.function())
            else:
                return total

    def factor(self) -> Quotient:
        start = self.at
        base = self.primary()
        if self.next.text == "!":
            self.at += 1
            base = self.factorial(base)
        if self.next.text == "^":
            self.at += 1
            exponent = self.exponent()
            if self.next.text in ("^", "!"):
                raise Undecidable("a tower of exponents")
            base = self.power(base, exponent, start)
        return base

    def times(self, a: Quotient, b: Quotient) -> Quotient:
        self.spend(a, b)
        return a * b

    def spend(self, a: Quotient, b: Quotient) -> None:
        """Bounds the whole formula's work, so that no answer holds up its caller."""
        self.work += len(a.numerator) * len(b.numerator) + len(a.denominator) * len(b.denominator)
        if self.work > _WORK_LIMIT:
            raise Undecidable("too much arithmetic")

    def factorial(self, base: Quotient) -> Quotient:
        n = base.rational
        if n is None or n.denominator != 1 or not 0 <= n <= 100 or self.next.text == "!":
            raise Undecidable("a large factorial")
        return constant(factorial(int(n)))

    def exponent(self) -> Quotient:
        if self.next.text in ("+", "-"):
            return self.primary() if self.sign() > 0 else -self.primary()
        return self.primary()

    def power(self, base: Quotient, exponent: Quotient, start: int) -> Quotient:
        value = exponent.rational
        if value is not None and value.denominator == 1:
            self.work += len(base.numerator) ** 2
            return base.power(int(value))
        if value == Fraction(1, 2) and base.rational is not None:
            return root(base)
        return name(OPAQUE + spelled(self.tokens[start : self.at]))

    def primary(self) -> Quotient:
        text = self.take()
        if text[0].isdigit() or text[0] == ".":
            return self.number(text)
        if len(text) == 1 and text.isalpha():
            return self.letter(text.lower() if self.fold else text)
        if text in ("(", "["):
            inner = self.sum()
            self.expect(")" if text == "(" else "]")
            return inner
        if text == "{":
            inner = self.sum()
            self.expect("}")
            return inner
        return self.command(text)

    def number(self, digits: str) -> Quotient:
        value = constant(_exact(digits))
        if digits.isdigit() and self.next.text == "\\frac":
            return self.mixed(value)
        if digits.isdigit() and self.next.spaced and self.next.text.isdigit():
            return value + self.plain_fraction()
        return value

    def mixed(self, whole: Quotient) -> Quotient:
        r"""A whole number right before a numeric fraction is added to it: 1\frac{4}{5} is 9/5."""
        fraction = self.primary()
        return whole + fraction if fraction.rational is not None else whole * fraction

    def plain_fraction(self) -> Quotient:
        top = constant(_exact(self.take()))
        self.expect("/")
        bottom = self.take()
        if not bottom.isdigit():
            raise Unreadable("two numbers side by side")
        return top / constant(_exact(bottom))

    def letter(self, letter: str) -> Quotient:
        if self.next.text == "_":
            self.at += 1
            start = self.at
            self.argument()
            return name(f"{letter}_{spelled([t for t in self.tokens[start : self.at] if t.text not in '{}'])}")
        return name(letter)

    def command(self, text: str) -> Quotient:
        if text == "\\frac":
            return self.argument() / self.argument()
        if text == "\\sqrt":
            return self.root()
        if text == "\\pi":
            return name("pi")
        if text[0] == "\\" and text[1:] in _GREEK:
            return self.letter(text)
        if text[0] == "\\" and text[1:] in FUNCTIONS:
            self.at -= 1
            return self.function()
        raise Unreadable(f"no meaning for {text}")

    def argument(self) -> Quotient:
        r"""One argument as LaTeX reads it: a group, or a single character (`\frac12` is one half)."""
        text = self.next.text
        if text[:1].isdigit() and len(text) > 1:
            if not text.isdigit():
                raise Unreadable("a decimal without braces")
            self.tokens[self.at] = Token(text[1:])
            return constant(int(text[0]))
        if text in ("-", "+", "") or text in FUNCTIONS:
            raise Unreadable("an argument is missing")
        if text[0].isdigit():
            return constant(int(self.take()))
        return self.primary()

    def root(self) -> Quotient:
        start = self.at - 1
        if self.next.text == "[":
            self.take()
            self.sum()
            self.expect("]")
            self.argument()
            return name(OPAQUE + spelled(self.tokens[start : self.at]))
        if self.next.text.isdigit() and len(self.next.text) > 1:
            raise Undecidable("\\sqrt12 means two things")
        inner = self.argument()
        return root(inner) if inner.rational is not None else name(OPAQUE + spelled(self.tokens[start : self.at]))

    def function(self) -> Quotient:
        """A function and everything multiplied after it, by its spelling."""
        start, depth = self.at, 0
        while self.next.text and (depth or self.next.text not in ("+", "-", ")", "]", "}", "/")):
            text = self.take()
            if text.startswith(TEXT):
                raise Unreadable("a word inside a formula")
            depth += (text in "([{") - (text in ")]}")
        if self.at == start + 1:
            raise Unreadable("a function without an argument")
        return name(OPAQUE + spelled(self.tokens[start : self.at]))


def read_expression(tokens: Sequence[Token], *, fold: bool) -> tuple[Quotient, list[Token]]:
    """The value at the start of the tokens, and the tokens left over (units, a percent sign, or nothing).

    `fold`: letters are compared without case. Raises `Unreadable` or `Undecidable`.
    """
    reader = _Reader(tokens, fold)
    value = reader.sum()
    return value, reader.tokens[reader.at :]
