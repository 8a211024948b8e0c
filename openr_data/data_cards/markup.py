"""Markdown that says what it is given and nothing else: values become text, never markup. Knows no card.

Every value is escaped: a question, a model name or a reason can neither end a table, a block or the metadata nor become a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_\[\]#|<>~&$@]|:(?=//)|(?<=www)\.)")
_START = re.compile(r"^(\d*)([-+.)](?=\s|$)|-(?=-+\s*$)|=(?==*\s*$))")
_BROKEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]+")
_CODE = re.compile(r"`([A-Za-z0-9_ ./,:=+*()-]{1,60})`")
_MARK = re.compile(r"<!(?=--\s*openr-data)")
_LONGEST = 300
_LONGEST_PROSE = 2000


def one_line(value: object, longest: int = _LONGEST) -> str:
    """Without line breaks, control characters and changes of direction: a line of dashes in a value would end the metadata."""
    text = _BROKEN.sub(" ", str(value)).encode("utf-8", "replace").decode().strip()
    return text if len(text) <= longest else text[: longest - 1] + "…"


def inline(value: object) -> str:
    r"""A value as one line of plain text in Markdown: nothing in it is markup, not even in a table or a list.

    >>> print(inline("a|b\n# <x>"))
    a\|b \# \<x\>
    >>> print(inline("1. x"), inline("- x"))
    1\. x \- x
    """
    return _unmarked(_SPECIAL.sub(r"\\\1", one_line(value)))


def prose(sentence: str) -> str:
    r"""A sentence of ours: escaped like a value, but a name between backticks is shown as code.

    >>> print(prose("`mc` is <hits>"))
    `mc` is \<hits\>
    """
    parts = _CODE.split(one_line(sentence, _LONGEST_PROSE))
    spelt = [f"`{part}`" if place % 2 else _SPECIAL.sub(r"\\\1", part) for place, part in enumerate(parts)]
    return _unmarked("".join(spelt))


def number(value: float | int, digits: int = 0) -> str:
    """A count with separators, or a measurement with so many digits after the point."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def share(part: float, whole: float) -> str:
    """A share of a count in percent; empty where there is nothing to divide by.

    >>> share(1, 8), share(1, 0)
    ('12.5 %', '')
    """
    return f"{100 * part / whole:.1f} %" if whole else ""


def fenced(text: str, language: str = "text") -> str:
    """A block of verbatim text: its fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Cells that are `Shown` stand as they are; all others are escaped."""
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(cell if isinstance(cell, Shown) else inline(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def bullets(sentences: Iterable[str]) -> str:
    return "".join(f"- {prose(sentence)}\n" for sentence in sentences if sentence)


class Shown(str):
    """Markdown that is ours and already safe."""

    __slots__ = ()


def defused(text: str) -> str:
    """Text in which nothing reads as a mark of a block."""
    return _MARK.sub("< !", text)


def _unmarked(text: str) -> str:
    """So that the line does not begin a list, a rule or an underlined heading."""
    return _START.sub(r"\1\\\2", text)
