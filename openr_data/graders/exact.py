r"""The fast path: right, wrong or undecided from strings and exact arithmetic alone. Knows no sympy and starts no process.

`right` and `wrong` are proofs under the policy (see `algebra`); everything else is undecided and goes to math-verify.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Literal

from openr_data.graders.algebra import Quotient, Undecidable, constant, name
from openr_data.graders.normalise import LENGTH_LIMIT
from openr_data.graders.policy import GradingPolicy
from openr_data.graders.reading import Base, Group, Matrix, Named, Number, Ratio, Relation, Union, Unreadable, Value, Word, read

Same = bool | None
"""Equal, different, or not decided."""

Decision = Literal["exact", "equal", "different", "ambiguous", "undecided"]
"""`ambiguous`: words or conditions that may or may not say the same; no computer algebra can tell either."""

_WORDS = re.compile(r"\\[a-zA-Z]+|\{[^{}\\]*[a-zA-Z]{2}[^{}\\]*\}")
_SMALL_UNIT = re.compile(r"(.*[\d})]) [mgshlLm](?:\^(?:[23]|\{[23]\}))?")
_BARE_CHOICE = re.compile(r"(?:\\text ?\{)?\(?([A-H])\)?\}?")
_EXPLAINED_CHOICE = re.compile(r"(?:\\text ?\{)?\(?([A-H])\)(\})?[ :~]*([^\s}),;].*)")
_THOUSANDS_SHAPE = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+")


def _all(parts: Sequence[Same]) -> Same:
    if any(p is False for p in parts):
        return False
    return True if all(parts) else None


class Equality:
    """Three-valued equality of values under a policy; symmetric, and true of a value with itself."""

    def __init__(self, policy: GradingPolicy) -> None:
        self.policy = policy

    def __call__(self, a: Value, b: Value) -> Same:
        if isinstance(a, Named) or isinstance(b, Named):
            return self._named(a, b)
        a, b = _unwrapped(a), _unwrapped(b)
        if type(a) is type(b):
            return _COMPARISONS[type(a)](self, a, b)
        return self._mixed(a, b)

    def _named(self, a: Value, b: Value) -> Same:
        if isinstance(a, Named) and isinstance(b, Named):
            same = self(a.value, b.value)
            if a.name == b.name:
                return same
            return False if same is False or len(a.name) == len(b.name) == 1 else None
        if isinstance(a, Relation) or isinstance(b, Relation):
            return None
        return self(a.value if isinstance(a, Named) else a, b.value if isinstance(b, Named) else b)

    def numbers(self, a: Number, b: Number) -> Same:
        if a.value.equals(b.value) and (a.percent == b.percent or self.policy.percent != "hundredth"):
            return True
        if a.percent != b.percent and self.policy.percent != "same" and self._hundredth(a, b):
            return True
        if a.percent == b.percent and (self._rounds(a, b) or self._rounds(b, a)):
            return True
        return None if a.opaque or b.opaque else False

    def _hundredth(self, a: Number, b: Number) -> bool:
        percent, plain = (a, b) if a.percent else (b, a)
        return (percent.value / constant(100)).equals(plain.value)

    def _rounds(self, decimal: Number, exact: Number) -> bool:
        """Whether the decimal is the other number, rounded or cut off, with enough digits."""
        digits = decimal.decimal.lstrip("+-").replace(".", "").lstrip("0")
        if exact.decimal or len(digits) < self.policy.decimal_digits or _terminates(exact.value):
            return False
        value = exact.value.approximate()
        if value is None or abs(value.imag) > 1e-12:
            return False
        unit = Fraction(1, 10 ** len(decimal.decimal.partition(".")[2]))
        shown = Fraction(decimal.decimal)
        beyond = (Fraction(value.real) - shown) * (1 if shown > 0 else -1) / unit
        return Fraction(-500_001, 1_000_000) < beyond < Fraction(1_000_001, 1_000_000)

    def bases(self, a: Base, b: Base) -> Same:
        return (a.digits.lstrip("0"), a.base.lower()) == (b.digits.lstrip("0"), b.base.lower())

    def words(self, a: Word, b: Word) -> Same:
        if a.text == b.text:
            return True
        first, second = set(a.text.split()), set(b.text.split())
        rearranged = sorted(a.text) == sorted(b.text) and len(a.text) > 1
        return None if first & second or rearranged else False

    def groups(self, a: Group, b: Group) -> Same:
        if len(a.items) != len(b.items):
            return False if "set" not in (a.kind, b.kind) else None
        unordered = {a.kind, b.kind} <= {"list", "set"}
        if unordered:
            return self._unordered(a.items, b.items)
        same = self._ordered(a.items, b.items)
        if a.kind == b.kind:
            return same
        if {a.kind, b.kind} == {"list", "()"}:
            return True if same else (False if self._unordered(a.items, b.items) is False else None)
        return None if {a.kind, b.kind} & {"list", "set"} and self._unordered(a.items, b.items) is not False else False

    def _ordered(self, a: Sequence[Value], b: Sequence[Value]) -> Same:
        return _all([self(x, y) for x, y in zip(a, b, strict=True)])

    def _unordered(self, a: Sequence[Value], b: Sequence[Value]) -> Same:
        """Whether the items pair up. Equality is nearly transitive, so taking the first match is enough."""
        rest, doubtful = list(b), False
        for item in a:
            answers = [self(item, other) for other in rest]
            if True in answers:
                del rest[answers.index(True)]
            elif None in answers:
                doubtful = True
            else:
                return False
        return None if doubtful else True

    def matrices(self, a: Matrix, b: Matrix) -> Same:
        if (len(a.rows), len(a.rows[0])) != (len(b.rows), len(b.rows[0])):
            return None if 1 in (len(a.rows), len(b.rows)) else False
        return _all([self._ordered(x, y) for x, y in zip(a.rows, b.rows, strict=True)])

    def unions(self, a: Union, b: Union) -> Same:
        return True if len(a.parts) == len(b.parts) and self._unordered(a.parts, b.parts) else None

    def ratios(self, a: Ratio, b: Ratio) -> Same:
        if len(a.items) != len(b.items):
            return False
        same = self._ordered(a.items, b.items)
        return True if same else None

    def relations(self, a: Relation, b: Relation) -> Same:
        if a.operators == b.operators and len(a.sides) == len(b.sides) and self._ordered(a.sides, b.sides):
            return True
        left, right = _equation(a), _equation(b)
        if left is None or right is None:
            return None
        if not left.names or not right.names:  # equations between numbers claim something; they are no lines or curves
            return False if len(a.sides) == len(b.sides) and self._ordered(a.sides, b.sides) is False else None
        if left.degree == right.degree == 1:
            return _proportional(left, right, min(left.names))
        return True if left.equals(right) or left.equals(-right) else None

    def _mixed(self, a: Value, b: Value) -> Same:
        kinds = {type(a): a, type(b): b}
        word, number = kinds.get(Word), kinds.get(Number)
        if isinstance(word, Word):
            return _word_against(word, number if isinstance(number, Number) else None)
        vector, point = kinds.get(Matrix), kinds.get(Group)
        if isinstance(vector, Matrix) and isinstance(point, Group) and point.kind == "()" and len(vector.rows[0]) == 1:
            cells = [row[0] for row in vector.rows]
            return self._ordered(cells, point.items) if len(cells) == len(point.items) else False
        base = kinds.get(Base)
        if isinstance(base, Base) and isinstance(number, Number):
            return self._base_against(base, number)
        return False if number is not None and kinds.keys() <= {Number, Group} and not _doubtful(number) else None

    def _base_against(self, base: Base, number: Number) -> Same:
        value = number.value.rational
        if value is None:
            return None
        return value == int(base.digits) and self.policy.bases == "optional"


_COMPARISONS: dict[type, Callable[..., Same]] = {
    Number: Equality.numbers,
    Base: Equality.bases,
    Word: Equality.words,
    Group: Equality.groups,
    Matrix: Equality.matrices,
    Union: Equality.unions,
    Ratio: Equality.ratios,
    Relation: Equality.relations,
}


def _unwrapped(value: Value) -> Value:
    """A set or list of one element counts as that element."""
    while isinstance(value, Group) and len(value.items) == 1 and value.kind in ("set", "list"):
        value = value.items[0]
    return value


def _terminates(value: Quotient) -> bool:
    rational = value.rational
    if rational is None:
        return False
    denominator = rational.denominator
    while denominator % 10 == 0:
        denominator //= 10
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return denominator == 1


def _doubtful(number: Value) -> bool:
    """Numbers that may stand for a set: the empty set, and anything of which only the spelling is known."""
    return not isinstance(number, Number) or number.opaque or any(n.startswith("\\") for n in number.value.names)


def _equation(relation: Relation) -> Quotient | None:
    sides = [s.value for s in relation.sides if isinstance(s, Number)]
    if relation.operators != ("=",) or len(sides) != 2:
        return None
    return sides[0] - sides[1]


def _proportional(left: Quotient, right: Quotient, letter: str) -> bool:
    """Whether two linear equations with zero on one side say the same; `letter` is one of the letters of the first."""
    first, second = left.coefficient(letter), right.coefficient(letter)
    return bool(second.numerator) and (left * second).equals(right * first)


def _word_against(word: Word, number: Number | None) -> Same:
    if number is not None and len(word.text) == 1 and number.value.names == {word.text}:
        return number.value.equals(name(word.text))
    if any(c.isdigit() for c in word.text) or number is None or _doubtful(number):
        return None
    letters = "".join(sorted(n for n in number.value.names))
    return None if letters and set(letters) <= set(word.text) and len(word.text) > 1 else False


def _mixes_case(text: str) -> bool:
    letters = {c for c in _WORDS.sub("", text) if c.isalpha()}
    return any(c.lower() in letters for c in letters if c.isupper())


def _readings(text: str, fold: bool) -> list[Value]:
    values = [read(text, fold=fold)]
    if _THOUSANDS_SHAPE.fullmatch(text):
        values.append(read(text, fold=fold, thousands=False))
    return values


def _without_small_unit(text: str, other: str) -> str:
    """`5 m` against a number without letters is five metres."""
    match = _SMALL_UNIT.fullmatch(text)
    return match.group(1) if match and not any(c.isalpha() for c in _WORDS.sub("", other)) else text


def _beyond_algebra(value: Value) -> bool:
    """Words, and conditions joined by "or"."""
    return isinstance(value, Word) or (
        isinstance(value, Group) and any(isinstance(item, Word | Relation) for item in value.items)
    )


def _choices(text: str, other: str, policy: GradingPolicy) -> Decision | None:
    """`(C) 15` against the bare choice `(C)`: the letters decide; against `15`, the values. Nothing for other forms."""
    bare, explained = _BARE_CHOICE.fullmatch(other), _EXPLAINED_CHOICE.match(text)
    if not explained:
        return None
    letter, closed, value = explained.groups()
    if bare:
        return ("equal" if bare.group(1) == letter else "different") if "(" in other else None
    if letter in other or _EXPLAINED_CHOICE.match(other):
        return None
    decision = decide(value if closed or "\\text" not in text[:5] else value.removesuffix("}"), other, policy)
    return "ambiguous" if decision == "undecided" else "equal" if decision == "exact" else decision


def _other_half_of_day(text: str, other: str) -> bool:
    """Whether one says a.m. and the other p.m.; units are otherwise dropped."""
    return {text[-9:], other[-9:]} == {"\\text{am}", "\\text{pm}"}


def decide(answer: str, gold: str, policy: GradingPolicy) -> Decision:
    r"""Compare two normalised answers. Symmetric; deterministic; linear in the length but for bounded algebra.

    >>> decide("0.5", "\\frac{1}{2}", GradingPolicy()), decide("32349", "32, 349", GradingPolicy())
    ('equal', 'different')
    """
    if not answer or not gold or max(len(answer), len(gold)) > LENGTH_LIMIT:
        return "undecided"
    if answer == gold:
        return "exact"
    if _other_half_of_day(answer, gold):
        return "different"
    choice = _choices(answer, gold, policy) or _choices(gold, answer, policy)
    if choice:
        return choice
    fold = not (_mixes_case(answer) or _mixes_case(gold))
    try:
        lefts = _readings(_without_small_unit(answer, gold), fold)
        rights = _readings(_without_small_unit(gold, answer), fold)
        same = [Equality(policy)(a, b) for a in lefts for b in rights]
    except (Unreadable, Undecidable, RecursionError, ArithmeticError, ValueError):
        return "undecided"
    if True in same:
        return "equal"
    if None not in same:
        return "different"
    return "ambiguous" if any(map(_beyond_algebra, (*lefts, *rights))) else "undecided"
