"""What a part of a run is to do (a share of the items), and what tells one item from another. Opens nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from openr_data.errors import UsageError
from openr_data.store.units import NO_MARK, UnitChain
from openr_data.types import Problem

_SHARE = re.compile(r"(\d{1,9})/(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Share:
    """Share `index` of `count`, from 1 on: the items whose number leaves `index - 1` when divided by `count`.

    >>> share = Share.parse("2/3")
    >>> [item for item in range(8) if item in share], share.size(8), str(share)
    ([1, 4, 7], 3, '2/3')
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Share:
        found = _SHARE.fullmatch(text)
        share = cls(*map(int, found.groups())) if found else None
        if share is None or not 1 <= share.index <= share.count:
            raise UsageError(f"--shard is i/n with 1 <= i <= n, such as 1/4, not '{text}'")
        return share

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number % self.count == self.index - 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def size(self, items: int) -> int:
        """How many of `items` items are in it."""
        return (items + self.count - self.index) // self.count


class Marks:
    """Numbers items and marks them, one after the other, as they stand in the input. A whole run needs no marks."""

    def __init__(self, *, wanted: bool) -> None:
        self._chain = UnitChain() if wanted else None
        self.count = 0

    def next(self, item: object) -> tuple[int, bytes]:
        """The number of the next item of the input, and its mark."""
        number, self.count = self.count, self.count + 1
        return number, NO_MARK if self._chain is None else self._chain.mark(content(item))


def content(item: object) -> bytes:
    """Everything that the work on an item depends on: its problem, and the solutions that stand with it.

    >>> content(Problem("1", "2+2", "4")) == content(Problem("1", "2+", "24"))
    False
    """
    return b"".join(len(data).to_bytes(8, "big") + data for data in (t.encode("utf-8", "surrogatepass") for t in _texts(item)))


def _texts(item: object) -> Iterator[str]:
    problem = getattr(item, "problem", item)
    if not isinstance(problem, Problem):
        yield repr(item)
        return
    yield from (problem.id, problem.question, problem.answer)
    for solution in getattr(item, "solutions", ()):
        yield solution.id
        yield str(len(solution.steps))
        yield from solution.steps
