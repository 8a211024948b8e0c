"""How a completion and an item's rows are packed into journal values. Knows bytes, not databases."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from math import isnan, nan
from typing import Any

from openr_data.types import Completion, FinishReason

Row = dict[str, Any]
"""One record of a table: plain JSON values under the names of its columns."""

_HEAD = struct.Struct("<BIqqd")
_REASONS: tuple[FinishReason, ...] = ("stop", "length", "error")
_ENDED = (None, False, True)


def checksum(key: bytes, value: bytes) -> int:
    """CRC-32 over a row's key and value: a flipped bit, or a value under another key, is noticed."""
    return zlib.crc32(value, zlib.crc32(key))


def pack_completion(completion: Completion) -> bytes:
    """29 bytes of numbers, then the text. A lone surrogate survives.

    The first byte holds the finish reason in its two low bits and `ended` in the two above: 0 in a journal written before it.

    >>> unpack_completion(pack_completion(Completion("x", 1, "stop", 0, 7)))
    Completion(text='x', token_count=1, finish_reason='stop', index=0, seed=7, logprob=None, ended=None)
    """
    head = _HEAD.pack(
        _REASONS.index(completion.finish_reason) | _ENDED.index(completion.ended) << 2,
        completion.token_count,
        completion.index,
        completion.seed,
        nan if completion.logprob is None else completion.logprob,
    )
    return head + completion.text.encode("utf-8", "surrogatepass")


def unpack_completion(value: bytes) -> Completion:
    code, tokens, index, seed, logprob = _HEAD.unpack_from(value)
    text = value[_HEAD.size :].decode("utf-8", "surrogatepass")
    likely = None if isnan(logprob) else logprob
    return Completion(text, tokens, _REASONS[code & 3], index, seed, likely, _ENDED[code >> 2])


def pack_tables(tables: Mapping[str, Sequence[Row]]) -> bytes:
    """An item's rows as compressed lines of JSON, one row a line: other threads get their turn between the rows."""
    lines = [json.dumps([name, row], separators=(",", ":"), ensure_ascii=False) for name, rows in tables.items() for row in rows]
    return zlib.compress("\n".join(lines).encode(), 1)


def unpack_tables(value: bytes) -> Iterator[tuple[str, Row, int]]:
    """Table name, row and its size in characters, in the order they were packed."""
    text = zlib.decompress(value).decode()
    for line in text.split("\n") if text else ():
        name, row = json.loads(line)
        yield name, row, len(line)
