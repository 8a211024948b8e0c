r"""A normalised answer as tokens: commands, numbers, letters, words and brackets. Knows nothing of what they are worth."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

TEXT = "\\text:"
"""Prefix of a token that is a word or a `\\text{...}`; what follows is its content."""

_FUNCTION_NAMES = "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp max min gcd lcm det deg arg lim"
FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_PLAIN = {"pi": "\\pi", "sqrt": "\\sqrt", "infinity": "\\infty", "inf": "\\infty", "theta": "\\theta"} | {
    f: "\\" + f for f in FUNCTIONS
}
_UNIT_WORDS = """
cm mm km dm ft in inch inches feet foot yd mi mile miles meter meters metre metres kg mg lb lbs oz gram grams ml liter
liters sq square cubic unit units hr hrs hour hours min mins minute minutes sec secs second seconds day days week weeks
month months year years mph kph kmh dollar dollars usd cent cents rad radian radians deg degree degrees way ways people
"""
UNITS = frozenset(_UNIT_WORDS.split())
_WORDS = frozenset(("yes", "no", "all", "odd", "one", "two", "six", "ten"))
_TOKEN = re.compile(
    r"(?P<space> *)(?:(?P<text>\\text ?\{[^{}]*\})|(?P<command>\\[a-zA-Z]+|\\.|\\)"
    r"|(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}(?![\d.]))?)|(?P<run>[a-zA-Z]+)|(?P<other>.))",
    re.DOTALL,
)
OPENING = {"(": ")", "[": "]", "{": "}", "\\{": "\\}"}
CLOSING = frozenset(OPENING.values())


class Unreadable(Exception):
    """The text is no answer that this module can read."""


class Token(NamedTuple):
    text: str
    spaced: bool = False


def _letters(run: str, spaced: bool, first: bool) -> Iterator[Token]:
    if run in _PLAIN:
        yield Token(_PLAIN[run], spaced)
    elif (run.casefold() in _WORDS and first) or (run.casefold() in UNITS and not first) or (len(run) > 3 and (spaced or first)):
        yield Token(TEXT + run, spaced)
    else:
        yield from (Token(letter, spaced and not i) for i, letter in enumerate(run))


def tokenize(text: str) -> list[Token]:
    r"""The tokens of a normalised answer.

    >>> [t.text for t in tokenize("2x+\\frac{1}{3} miles")]
    ['2', 'x', '+', '\\frac', '{', '1', '}', '{', '3', '}', '\\text:miles']
    """
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text.strip()):
        spaced, value = bool(match["space"]), match[match.lastgroup or "other"]
        if match["text"]:
            tokens.append(Token(TEXT + value[value.index("{") + 1 : -1].strip(), spaced))
        elif match["run"]:
            tokens.extend(_letters(value, spaced, first=not tokens))
        else:
            tokens.append(Token(value, spaced))
    return tokens


def spelled(tokens: Sequence[Token]) -> str:
    """The tokens as one string, for names of things of which only the spelling is known."""
    return " ".join(t.text for t in tokens)


def split(tokens: Sequence[Token], separators: frozenset[str]) -> tuple[list[Sequence[Token]], list[str]]:
    """Cut at the separators outside of all brackets: the pieces, and the separators between them.

    Round and square brackets close each other (half-open intervals). Raises `Unreadable` where brackets do not balance.
    """
    pieces: list[Sequence[Token]] = []
    found: list[str] = []
    depth, start = 0, 0
    for at, token in enumerate(tokens):
        if token.text in OPENING:
            depth += 1
        elif token.text in CLOSING:
            depth -= 1
            if depth < 0:
                raise Unreadable("a closing bracket too many")
        elif not depth and token.text in separators:
            pieces.append(tokens[start:at])
            found.append(token.text)
            start = at + 1
    if depth:
        raise Unreadable("an opening bracket too many")
    return [*pieces, tokens[start:]], found


def enclosed(tokens: Sequence[Token]) -> bool:
    """Whether the first token opens a bracket that only the last one closes."""
    if len(tokens) < 2 or tokens[0].text not in OPENING or tokens[-1].text not in CLOSING:
        return False
    depth = 0
    for token in tokens[:-1]:
        depth += (token.text in OPENING) - (token.text in CLOSING)
        if depth == 0:
            return False
    return True
