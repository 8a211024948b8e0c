"""Lessons from a fixed list: everything once, in an order drawn anew for each time round, and what the list holds."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from random import Random


def turns(size: int, start: int, count: int, seed: int) -> list[int]:
    """`count` places from the `start`-th on, of endless turns through all `size` places.

    >>> sorted(turns(3, 0, 3, seed=1)), len(turns(3, 2, 5, seed=1))
    ([0, 1, 2], 5)
    """
    found: list[int] = []
    while len(found) < count:
        turn, at = divmod(start + len(found), size)
        found += Random(f"{seed}/{turn}").sample(range(size), size)[at : at + count - len(found)]
    return found


def digest_of(every: Iterable[object]) -> str:
    """Of plain values, in their order."""
    total = blake2b(digest_size=16)
    for each in every:
        total.update(repr(each).encode() + b"\n")
    return total.hexdigest()
