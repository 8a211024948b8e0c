r"""What a normalised answer says: a number, a word, a list, an interval, a matrix, a relation. Knows no equality."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from openr_data.graders.algebra import Quotient, Undecidable
from openr_data.graders.expression import OPAQUE, read_expression
from openr_data.graders.tokens import CLOSING, OPENING, TEXT, Token, Unreadable, enclosed, spelled, split, tokenize

__all__ = [
    "Base",
    "Group",
    "Matrix",
    "Named",
    "Number",
    "Ratio",
    "Relation",
    "Undecidable",
    "Union",
    "Unreadable",
    "Value",
    "Word",
    "read",
]


@dataclass(frozen=True, slots=True)
class Number:
    """`decimal`: the literal, when the whole answer is one decimal number. `percent`: a percent sign followed."""

    value: Quotient
    decimal: str = ""
    percent: bool = False

    @property
    def opaque(self) -> bool:
        return any(n.startswith(OPAQUE) for n in self.value.names)


@dataclass(frozen=True, slots=True)
class Base:
    digits: str
    base: str


@dataclass(frozen=True, slots=True)
class Word:
    """Folded to lower case, without articles and punctuation."""

    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """`kind` is `list` (bare), `set`, or the two brackets, such as `()` and `[)`."""

    kind: str
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class Union:
    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Named:
    r"""`name = value` or `name \in value`."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Relation:
    """`sides[0] operators[0] sides[1] ...`"""

    operators: tuple[str, ...]
    sides: tuple[Value, ...]


Value = Number | Base | Word | Group | Matrix | Union | Ratio | Named | Relation

_COMPARISONS = frozenset(("=", "<", ">", "\\leq", "\\geq", "\\neq", "\\approx"))
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve"
_NUMBER_WORDS = _NUMBERS.split()
_THOUSANDS = re.compile(r"([-+]?\d{1,3}(?:,\d{3})+)(?![\d,])")
_DECIMAL = re.compile(r"[-+]?(?:\d+\.\d+|\.\d+)")
_LABEL = re.compile(
    r"(?:[a-zA-Z]|\\theta|\\alpha|\\beta)(?:_\w+|\(\w\)|\^-1\(\w\))?|\([a-z](?:,[a-z]){1,3}\)"
    r"|(?:m?\\angle|\\overline|\\text:)[\w ]+"
)
_REPEATING = re.compile(r"(\d{0,9})\.(\d{0,9})\\overline ?\{(\d{1,9})\}")
_ITEM_LIMIT = 36
_ARTICLES = frozenset(("the", "a", "an"))


class _Read:
    """Carries `fold` through the recursion."""

    def __init__(self, fold: bool) -> None:
        self.fold = fold

    def any(self, tokens: Sequence[Token], depth: int = 0) -> Value:
        if not tokens or depth > 8:
            raise Unreadable("nothing there, or too much")
        pieces, _ = split(tokens, frozenset((",", ";")))
        if len(pieces) > 1:
            return self.group(pieces, "list", depth)
        if sum(t.text == "\\pm" for t in tokens) == 1:
            return self.group([tokens], "list", depth)
        pieces, operators = split(tokens, _COMPARISONS | {"\\in"})
        if operators:
            return self.relation(pieces, operators, depth)
        pieces, _ = split(tokens, frozenset(("\\cup",)))
        if len(pieces) > 1:
            return Union(tuple(self.any(p, depth + 1) for p in pieces))
        pieces, _ = split(tokens, frozenset((":",)))
        if len(pieces) > 1:
            return Ratio(tuple(self.number(p) for p in pieces))
        return self.one(tokens, depth)

    def group(self, pieces: Sequence[Sequence[Token]], kind: str, depth: int) -> Group:
        items: list[Value] = []
        for piece in pieces:
            for tokens in _both_signs(piece):
                items.append(self.any(tokens, depth + 1))
                if len(items) > _ITEM_LIMIT:
                    raise Undecidable("too long a list")
        return Group(kind, tuple(items))

    def relation(self, pieces: Sequence[Sequence[Token]], operators: list[str], depth: int) -> Value:
        if operators[0] == "\\approx":
            return self.any(pieces[0] or pieces[1], depth + 1)
        label = _label(pieces[0])
        if label and set(operators) <= {"=", "\\in"}:
            last = self.any(pieces[-1], depth + 1)
            return (
                Named(label.lower() if self.fold else label, last) if len(pieces) == 2 else self.chain(label, pieces, last, depth)
            )
        return Relation(tuple(operators), tuple(self.any(p, depth + 1) for p in pieces))

    def chain(self, label: str, pieces: Sequence[Sequence[Token]], last: Value, depth: int) -> Value:
        for piece in pieces[1:-1]:
            middle = self.any(piece, depth + 1)
            if not (isinstance(middle, Number) and isinstance(last, Number) and middle.value.equals(last.value)):
                raise Undecidable("a chain of equations that do not agree")
        return Named(label.lower() if self.fold else label, last)

    def one(self, tokens: Sequence[Token], depth: int) -> Value:
        if tokens[0].text == "\\begin":
            return self.matrix(tokens, depth)
        if all(t.text.startswith(TEXT) or t.text in "()" for t in tokens):
            return self.word([t.text.removeprefix(TEXT) for t in tokens if t.text not in "()"], depth)
        if enclosed(tokens):
            return self.brackets(tokens, depth)
        return self.number(tokens)

    def brackets(self, tokens: Sequence[Token], depth: int) -> Value:
        opening, closing, inner = tokens[0].text, tokens[-1].text, tokens[1:-1]
        pieces, _ = split(inner, frozenset((",", ";")))
        if opening == "\\{":
            return self.group(pieces, "set", depth)
        if len(pieces) > 1 and opening in "([":
            return self.group(pieces, opening + closing, depth)
        if OPENING[opening] != closing:
            raise Unreadable("brackets that do not match")
        return self.any(inner, depth + 1) if opening in "({" else self.group(pieces, "[]", depth)

    def word(self, parts: Sequence[str], depth: int) -> Value:
        text = " ".join(" ".join(parts).split())
        if not any(c.isalpha() for c in text):
            return self.any(tokenize(text), depth + 1)
        if " " not in text and any(c.isdigit() for c in text):
            with suppress(Unreadable, Undecidable):
                return self.number(tokenize(text))
        if "," in text:
            return Group("list", tuple(self.word([p], depth + 1) for p in text.split(",") if p.strip()))
        folded = text.casefold().strip("()[] .").split()
        words = [w.rstrip("s") if len(w) > 3 else w for w in folded if w not in _ARTICLES] or folded
        if len(words) == 1 and words[0] in _NUMBER_WORDS:
            return self.number([Token(str(_NUMBER_WORDS.index(words[0])))])
        return Word(" ".join(words))

    def matrix(self, tokens: Sequence[Token], depth: int) -> Matrix:
        texts = [t.text for t in tokens]
        width = texts.index("}") + 1
        if spelled(tokens[1:width]) != spelled(tokens[-width + 1 :]) or texts[-width] != "\\end" or "\\end" in texts[1:-width]:
            raise Unreadable("more than one matrix")
        rows, _ = split(tokens[width:-width], frozenset(("\\\\",)))
        cells = [split(row, frozenset("&"))[0] for row in rows if row]
        if sum(map(len, cells)) > _ITEM_LIMIT or len({len(row) for row in cells}) != 1:
            raise Undecidable("a large or ragged matrix")
        return Matrix(tuple(tuple(self.any(cell, depth + 1) for cell in row) for row in cells))

    def number(self, tokens: Sequence[Token]) -> Number | Base:
        if not tokens:
            raise Unreadable("nothing there")
        signs = 1 if tokens[0].text == "-" else 0
        if len(tokens) > signs + 2 and tokens[signs].text.isdigit() and tokens[signs + 1].text == "_":
            return _based("-" * signs + tokens[signs].text, tokens[signs + 2 :])
        value, rest = read_expression(tokens, fold=self.fold)
        literal = "".join(t.text for t in tokens[: len(tokens) - len(rest)])
        percent = [t.text for t in rest[:1]] == ["%"]
        unit = rest[percent:]
        if unit and not _is_unit(unit):
            raise Unreadable("something follows the formula")
        return Number(value, literal if _DECIMAL.fullmatch(literal) else "", percent)


def _based(digits: str, tokens: Sequence[Token]) -> Base:
    base = "".join(t.text for t in tokens if t.text not in "{}").removeprefix(TEXT)
    if not base.isalnum() or len(base) > 5:
        raise Unreadable("no base")
    return Base(digits, base)


def _repeating(match: re.Match[str]) -> str:
    r"""0.1\overline{6} as a fraction."""
    whole, fixed, period = match.groups()
    scale = 10 ** len(fixed)
    nines = scale * (10 ** len(period) - 1)
    return f"(({int(whole + fixed or 0)}/{scale})+({int(period)}/{nines}))"


def _both_signs(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    signs = [i for i, t in enumerate(tokens) if t.text == "\\pm"]
    if len(signs) != 1:
        return [tokens]
    return [[*tokens[: signs[0]], Token(sign), *tokens[signs[0] + 1 :]] for sign in "+-"]


def _label(tokens: Sequence[Token]) -> str:
    r"""The name left of `=`: a letter or one with an index, `f(x)`, its inverse, `(x,y)`, `\angle ABC`, words; or nothing."""
    text = "".join(t.text for t in tokens if t.text not in ("{", "}"))
    return text if _LABEL.fullmatch(text) else ""


def _is_unit(tokens: Sequence[Token]) -> bool:
    """Words, with a power or a slash among them at most."""
    return tokens[0].text.startswith(TEXT) and all(
        t.text.startswith(TEXT) or t.text in ("^", "{", "}", "2", "3", "/", ".", "(", ")") for t in tokens
    )


def read(text: str, *, fold: bool = True, thousands: bool = True) -> Value:
    r"""The value of a normalised answer. Raises `Unreadable` or `Undecidable`.

    `thousands`: whether a bare `1,234` is a number (else a list). `fold`: letters are compared without case.

    >>> read("(3,\\infty)").kind, read("1,234").decimal, read("\\text{Evelyn}")
    ('()', '', Word(text='evelyn'))
    """
    grouped = _THOUSANDS.match(text) if thousands else None
    if grouped:
        text = grouped.group(1).replace(",", "") + text[grouped.end() :]
    tokens = tokenize(_REPEATING.sub(_repeating, text))
    if any(t.text in CLOSING for t in tokens[:1]):
        raise Unreadable("starts with a closing bracket")
    return _Read(fold).any(tokens)
