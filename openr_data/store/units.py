"""Marks of work units: which item this is, and which items stood before it. Knows digests, not items."""

from __future__ import annotations

from hashlib import blake2b

SIZE = 16
MARK = 2 * SIZE
"""Bytes of a mark: the item's own digest, then the digest of all items up to it."""

NO_MARK = bytes(MARK)


class UnitChain:
    """Gives every item of an input its mark, in order; memory does not grow with the items.

    Parts that saw the same input give the same marks, so a merge that sees only the marks of finished items still notices an
    item that was changed, added or left out anywhere before one of them.

    >>> chain, other = UnitChain(), UnitChain()
    >>> marks = [chain.mark(b"a"), chain.mark(b"b")]
    >>> other.mark(b"x") == marks[0], other.mark(b"b") == marks[1], other.mark(b"b")[:16] == marks[1][:16]
    (False, False, True)
    """

    def __init__(self) -> None:
        self._before = bytes(SIZE)

    def mark(self, content: bytes) -> bytes:
        """The mark of the next item; `content` is everything that the work on it depends on."""
        unit = blake2b(content, digest_size=SIZE).digest()
        self._before = link(self._before, unit)
        return unit + self._before


def link(before: bytes, unit: bytes) -> bytes:
    """The digest of all items up to and with `unit`, from that of the items before it."""
    return blake2b(before + unit, digest_size=SIZE).digest()
