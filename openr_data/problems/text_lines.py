"""Bounded lines of text files: UTF-16 is refused, and no line takes more memory than the limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from openr_data.errors import InputError
from openr_data.problems.rows import MAX_LINE

BOM = b"\xef\xbb\xbf"
_UTF16 = {b"\xff\xfe", b"\xfe\xff", b"{\0", b"[\0", b"\0{", b"\0["}


def refuse_utf16(stream: BinaryIO, name: str) -> None:
    """Raise `InputError` when the file begins like UTF-16 or UTF-32, with or without a byte order mark; else rewind it."""
    if stream.read(2) in _UTF16:
        raise InputError(
            f"{name} is UTF-16 or UTF-32 text; convert it to UTF-8 first, for example with: iconv -f UTF-16 -t UTF-8"
        )
    stream.seek(0)


def bounded_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """Lines with their 1-based number. The third item is 0, or how many double quotes a line longer than `MAX_LINE` has, plus 1.

    Only the beginning of a longer line is given.
    """
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(BOM)
        cut = 0 if len(line) <= MAX_LINE or line.endswith(b"\n") else 1 + line.count(b'"') + _skip_line(stream)
        yield number, line, cut


def _skip_line(stream: BinaryIO) -> int:
    quotes = 0
    while rest := stream.readline(MAX_LINE):
        quotes += rest.count(b'"')
        if rest.endswith(b"\n"):
            break
    return quotes
