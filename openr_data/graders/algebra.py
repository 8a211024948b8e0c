r"""Exact arithmetic on final answers: quotients of polynomials over Q with square roots, i, pi and letters. Knows no LaTeX.

A monomial is (radicand, power of i, ((name, exponent), ...)) with a squarefree radicand. Square roots of distinct squarefree
numbers are linearly independent over Q(i)(names), so a polynomial is zero exactly when it has no terms, and two quotients are
equal exactly when they are equal crosswise. Whatever does not fit, or grows beyond `TERM_LIMIT`, raises `Undecidable`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd, isqrt, pi, sqrt

TERM_LIMIT = 150
BIT_LIMIT = 4400
"""Bound on the size of coefficients: every operation stays in microseconds."""

Monomial = tuple[int, int, tuple[tuple[str, int], ...]]
Terms = dict[Monomial, Fraction]
_ONE: Monomial = (1, 0, ())


class Undecidable(Exception):
    """Outside of what this module can represent or afford."""


def _times(a: Monomial, b: Monomial) -> tuple[Fraction, Monomial]:
    common = gcd(a[0], b[0])
    imaginary = a[1] + b[1]
    names = dict(a[2])
    for name, exponent in b[2]:
        names[name] = names.get(name, 0) + exponent
    powers = tuple(sorted((n, e) for n, e in names.items() if e))
    sign = -1 if imaginary == 2 else 1
    return Fraction(common * sign), (a[0] * b[0] // (common * common), imaginary % 2, powers)


def _bounded(terms: Terms) -> Terms:
    if len(terms) > TERM_LIMIT:
        raise Undecidable("too many terms")
    for value in terms.values():
        if value.numerator.bit_length() + value.denominator.bit_length() > BIT_LIMIT:
            raise Undecidable("too large a number")
    return terms


def _sum(a: Terms, b: Terms) -> Terms:
    total = dict(a)
    for monomial, value in b.items():
        total[monomial] = total.get(monomial, Fraction(0)) + value
    return _bounded({m: v for m, v in total.items() if v})


def _product(a: Terms, b: Terms) -> Terms:
    if len(a) * len(b) > 4 * TERM_LIMIT:
        raise Undecidable("too many terms")
    total: Terms = {}
    for m, v in a.items():
        for n, w in b.items():
            factor, monomial = _times(m, n)
            total[monomial] = total.get(monomial, Fraction(0)) + factor * v * w
    return _bounded({m: v for m, v in total.items() if v})


def _inverse(terms: Terms) -> Terms:
    """The inverse of a single term; roots and i move to the numerator."""
    (((radicand, imaginary, powers), value),) = terms.items()
    sign = -1 if imaginary else 1
    return {(radicand, imaginary, tuple((n, -e) for n, e in powers)): sign / (value * radicand)}


@dataclass(frozen=True, slots=True)
class Quotient:
    """`numerator / denominator`; build it with `constant`, `name`, the operators and `root`, never by hand."""

    numerator: Terms
    denominator: Terms

    def __add__(self, other: Quotient) -> Quotient:
        if self.denominator == other.denominator:
            return _reduced(_sum(self.numerator, other.numerator), self.denominator)
        return _reduced(
            _sum(_product(self.numerator, other.denominator), _product(other.numerator, self.denominator)),
            _product(self.denominator, other.denominator),
        )

    def __neg__(self) -> Quotient:
        return Quotient({m: -v for m, v in self.numerator.items()}, self.denominator)

    def __sub__(self, other: Quotient) -> Quotient:
        return self + -other

    def __mul__(self, other: Quotient) -> Quotient:
        return _reduced(_product(self.numerator, other.numerator), _product(self.denominator, other.denominator))

    def __truediv__(self, other: Quotient) -> Quotient:
        if not other.numerator:
            raise Undecidable("division by zero")
        return _reduced(_product(self.numerator, other.denominator), _product(self.denominator, other.numerator))

    def power(self, exponent: int) -> Quotient:
        if abs(exponent) > 10_000:
            raise Undecidable("too large an exponent")
        base = self if exponent >= 0 else constant(1) / self
        if not base.numerator:
            if exponent <= 0:
                raise Undecidable("zero to a power that is not positive")
            return base
        result = constant(1)
        for bit in f"{abs(exponent):b}":
            result = result * result
            if bit == "1":
                result = result * base
        return result

    def equals(self, other: Quotient) -> bool:
        if self.denominator == other.denominator:
            return self.numerator == other.numerator
        return _product(self.numerator, other.denominator) == _product(other.numerator, self.denominator)

    @property
    def rational(self) -> Fraction | None:
        """The value when it is a rational number."""
        if self.denominator != {_ONE: Fraction(1)} or not self.numerator.keys() <= {_ONE}:
            return None
        return self.numerator.get(_ONE, Fraction(0))

    @property
    def names(self) -> frozenset[str]:
        """Every letter and opaque expression in it; `pi` is a number and not among them."""
        monomials = (*self.numerator, *self.denominator)
        return frozenset(n for _, _, powers in monomials for n, _ in powers if n != "pi")

    @property
    def degree(self) -> int:
        """Total degree in its names of a polynomial; -1 where it is a proper quotient."""
        degrees = [sum(e for n, e in powers if n != "pi") for _, _, powers in self.numerator]
        proper = self.denominator != {_ONE: Fraction(1)} or any(e < 0 for _, _, powers in self.numerator for _, e in powers)
        return -1 if proper else max(degrees, default=0)

    def coefficient(self, letter: str) -> Quotient:
        """What stands before a letter in a linear polynomial."""
        terms: Terms = {
            (radicand, imaginary, ()): v
            for (radicand, imaginary, powers), v in self.numerator.items()
            if powers == ((letter, 1),)
        }
        return Quotient(terms, {_ONE: Fraction(1)})

    def approximate(self) -> complex | None:
        """The value as a float, `None` where it has names or does not fit."""
        if self.names:
            return None
        try:
            return _approximate(self.numerator) / _approximate(self.denominator)
        except (OverflowError, ZeroDivisionError):
            return None


def _approximate(terms: Terms) -> complex:
    total = 0j
    for (radicand, imaginary, powers), value in terms.items():
        total += float(value) * sqrt(radicand) * 1j**imaginary * pi ** sum(e for _, e in powers)
    return total


def _reduced(numerator: Terms, denominator: Terms) -> Quotient:
    if len(denominator) == 1 and denominator != {_ONE: Fraction(1)}:
        numerator, denominator = _product(numerator, _inverse(denominator)), {_ONE: Fraction(1)}
    return Quotient(numerator, denominator if numerator else {_ONE: Fraction(1)})


def constant(value: Fraction | int) -> Quotient:
    return Quotient(_bounded({_ONE: Fraction(value)}) if value else {}, {_ONE: Fraction(1)})


def name(text: str) -> Quotient:
    """A letter, or any expression of which nothing is known but its spelling. `i` is the imaginary unit, `pi` the number."""
    monomial: Monomial = (1, 1, ()) if text == "i" else (1, 0, ((text, 1),))
    return Quotient({monomial: Fraction(1)}, {_ONE: Fraction(1)})


def _squarefree(n: int) -> tuple[int, int]:
    """(s, r) with n = s*s*r and r squarefree; trial division up to the cube root, then one square test."""
    square, rest, factor = 1, 1, 2
    while factor * factor * factor <= n:
        power = 0
        while n % factor == 0:
            n //= factor
            power += 1
        square *= factor ** (power // 2)
        rest *= factor ** (power % 2)
        factor += 1
    side = isqrt(n)
    return (square * side, rest) if side * side == n else (square, rest * n)


def root(value: Quotient) -> Quotient:
    """The square root of a rational number (times i where it is negative)."""
    rational = value.rational
    if rational is None:
        raise Undecidable("the root of something that is no rational number")
    radicand = abs(rational.numerator) * rational.denominator
    if radicand > 10**9:
        raise Undecidable("too large a radicand")
    if not radicand:
        return value
    square, rest = _squarefree(radicand)
    monomial: Monomial = (rest, 1 if rational < 0 else 0, ())
    return Quotient({monomial: Fraction(square, rational.denominator)}, {_ONE: Fraction(1)})
