"""Which items are finished. Memory is bounded by the shards that are still open, not by the items."""

from __future__ import annotations

from collections.abc import Iterable


class Progress:
    """Items of sealed shards are known by their shard; only open shards keep a set of items.

    >>> progress = Progress(2, sealed=[(0, 2)])
    >>> 1 in progress, 2 in progress, progress.add(3), progress.add(2), progress.count
    (True, False, False, True, 4)
    """

    def __init__(self, shard_items: int, *, sealed: Iterable[tuple[int, int]] = ()) -> None:
        self.shard_items = shard_items
        self._sealed = {start // shard_items: stop for start, stop in sealed}
        self._open: dict[int, set[int]] = {}

    def __contains__(self, item: int) -> bool:
        shard = item // self.shard_items
        return item < self._sealed.get(shard, 0) or item in self._open.get(shard, ())

    @property
    def count(self) -> int:
        sealed = sum(stop - shard * self.shard_items for shard, stop in self._sealed.items())
        return sealed + sum(len(items) for items in self._open.values())

    def add(self, item: int) -> bool:
        """Note a finished item; true when its shard is now complete."""
        items = self._open.setdefault(item // self.shard_items, set())
        items.add(item)
        return len(items) == self.shard_items

    def range(self, shard: int) -> tuple[int, int]:
        return shard * self.shard_items, (shard + 1) * self.shard_items

    def missing(self, shard: int, stop: int) -> list[int]:
        """The unfinished items of an open shard below `stop`."""
        start, end = self.range(shard)
        return [item for item in range(start, min(end, stop)) if item not in self]

    def sealed(self, shard: int, stop: int) -> None:
        self._sealed[shard] = stop
        self._open.pop(shard, None)

    def unsealed(self, items: int) -> list[int]:
        """The shards of a run of `items` items that are not sealed yet."""
        return [shard for shard in range(-(-items // self.shard_items)) if shard not in self._sealed]

    def complete(self) -> list[int]:
        """Open shards in which every item is finished."""
        return sorted(shard for shard, items in self._open.items() if len(items) == self.shard_items)
