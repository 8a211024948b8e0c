"""JSON values as text that may stand inside an HTML element: compressed, then spelt in base64. Knows no page and no records.

Base64 has neither `<` nor `&`, nor line separators, so no text of a model can end the element that holds it.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable

_BLOCK = 1 << 19


def pack(value: object) -> str:
    """The same value gives the same text: no time of day is in it.

    >>> "<" in pack({"text": "</script><!--"})
    False
    """
    return pack_json(compact(value))


def pack_json(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode("utf-8", "backslashreplace"), 6, mtime=0)).decode("ascii")


def unpack(text: str) -> object:
    """What a browser does with a block.

    >>> unpack(pack([1.5, None, "x"]))
    [1.5, None, 'x']
    """
    return json.loads(gzip.decompress(base64.b64decode(text, validate=True)))


def compact(value: object) -> str:
    """JSON without spaces. Raises `ValueError` on a number that JSON does not have."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class Blocks:
    """Gathers values into packed lists of about half a megabyte of JSON, each handed to `write` as soon as it is full."""

    def __init__(self, write: Callable[[str], object], size: int = _BLOCK) -> None:
        self._write, self._size = write, size
        self._values: list[str] = []
        self._held = 0
        self.count = 0

    def add(self, value: object) -> tuple[int, int]:
        """Where the value will stand: the number of its block, and its place in it."""
        text = compact(value)
        if self._values and self._held + len(text) > self._size:
            self.flush()
        self._values.append(text)
        self._held += len(text)
        return self.count, len(self._values) - 1

    def flush(self) -> None:
        if self._values:
            self._write(pack_json(f"[{','.join(self._values)}]"))
            self.count += 1
            self._values, self._held = [], 0
