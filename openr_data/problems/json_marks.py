"""Finds the outer structure of a JSON document without parsing it, in memory that does not grow with the document."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from openr_data.problems.text_lines import BOM

_CHUNK = 1 << 16
_STRUCTURE = re.compile(rb'["\[\]{},]')
_STRING_BODY = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_AFTER_STRING = {b'"': 1, b"\\": 2, b"": 0}


class Mark(NamedTuple):
    """A structural byte; `depth` counts the brackets that are open after it."""

    byte: int
    offset: int
    depth: int


def json_marks(stream: BinaryIO, start: int) -> Iterator[Mark]:
    """The brackets and commas at the two outermost levels of the value at `start`, up to its end or the end of the file.

    Works on bytes: every structural character of JSON is ASCII, so text that is not UTF-8 cannot disturb it. The position of
    `stream` belongs to this function until it ends; `read_at`, `next_byte` and `newlines` leave it alone.
    """
    stream.seek(start)
    depth = 0
    for byte, offset in _structural_bytes(stream, start):
        depth += (byte in b"[{") - (byte in b"]}")
        if depth <= 1 or (depth == 2 and byte in b"[{"):
            yield Mark(byte, offset, depth)
            if depth <= 0:
                return


def _structural_bytes(stream: BinaryIO, base: int) -> Iterator[tuple[int, int]]:
    """Every bracket and comma outside of strings, with its offset in the file."""
    inside, at = False, 0
    while chunk := stream.read(_CHUNK):
        while at < len(chunk):
            if inside:
                match = _STRING_BODY.match(chunk, at)
                at = match.end() if match else at
                stop = chunk[at : at + 1]  # a backslash stands here only at the end of the chunk: what it escapes opens the next
                inside = stop != b'"'
                at += _AFTER_STRING[stop]
                continue
            hit = _STRUCTURE.search(chunk, at)
            if hit is None:
                at = len(chunk)
                break
            at = hit.end()
            byte = chunk[hit.start()]
            inside = byte == ord('"')
            if not inside:
                yield byte, base + hit.start()
        at -= len(chunk)
        base += len(chunk)


def first_byte(stream: BinaryIO) -> tuple[int, bytes]:
    """Offset and value of the first byte that is neither byte order mark nor whitespace; empty for a blank file."""
    at = len(BOM) if read_at(stream, 0, len(BOM)) == BOM else 0
    return next_byte(stream, at)


def next_byte(stream: BinaryIO, offset: int) -> tuple[int, bytes]:
    """Offset and value of the first byte at or after `offset` that is not whitespace; empty at the end of the file."""
    size = 256
    while block := read_at(stream, offset, offset + size):
        if rest := block.lstrip():
            return offset + len(block) - len(rest), rest[:1]
        offset += len(block)
        size = _CHUNK
    return offset, b""


def read_at(stream: BinaryIO, begin: int, end: int) -> bytes:
    return os.pread(stream.fileno(), max(0, end - begin), begin)


def newlines(stream: BinaryIO, begin: int, end: int) -> int:
    """How many lines end between two offsets."""
    return sum(read_at(stream, at, min(at + _CHUNK, end)).count(b"\n") for at in range(begin, end, _CHUNK))
