"""Which items are finished: one bit per item of an open shard, nothing per item of a sealed one."""

from __future__ import annotations

from collections.abc import Iterable


class Progress:
    """Items of sealed shards are known by their shard; an open shard keeps a bitmap, so a million items take about 0.3 MB.

    >>> progress = Progress(2, sealed=[(0, 2)])
    >>> 1 in progress, 2 in progress, progress.add(3), progress.add(2), progress.count
    (True, False, False, True, 4)
    """

    def __init__(self, shard_items: int, *, sealed: Iterable[tuple[int, int]] = ()) -> None:
        self.shard_items = shard_items
        self._sealed = {start // shard_items: stop for start, stop in sealed}
        self._open: dict[int, _Bits] = {}
        self.count = sum(stop - shard * shard_items for shard, stop in self._sealed.items())

    def __contains__(self, item: int) -> bool:
        shard, place = divmod(item, self.shard_items)
        return item < self._sealed.get(shard, 0) or (shard in self._open and self._open[shard].has(place))

    def add(self, item: int) -> bool:
        """Note a finished item of an open shard; true when its shard is now complete."""
        shard, place = divmod(item, self.shard_items)
        bits = self._open.setdefault(shard, _Bits())
        self.count += bits.set(place)
        return bits.count == self.shard_items

    def range(self, shard: int) -> tuple[int, int]:
        return shard * self.shard_items, (shard + 1) * self.shard_items

    def missing(self, shard: int, stop: int) -> list[int]:
        """The unfinished items of an open shard below `stop`."""
        start, end = self.range(shard)
        return [item for item in range(start, min(end, stop)) if item not in self]

    def sealed(self, shard: int, stop: int) -> None:
        bits = self._open.pop(shard, _Bits())
        self.count += stop - shard * self.shard_items - bits.count
        self._sealed[shard] = stop

    def unsealed(self, items: int) -> list[int]:
        """The shards of a run of `items` items that are not sealed yet."""
        return [shard for shard in range(-(-items // self.shard_items)) if shard not in self._sealed]

    def complete(self) -> list[int]:
        """Open shards in which every item is finished."""
        return sorted(shard for shard, bits in self._open.items() if bits.count == self.shard_items)


class _Bits:
    """A set of small numbers; grows with the largest of them."""

    __slots__ = ("_bytes", "count")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.count = 0

    def has(self, place: int) -> bool:
        index = place >> 3
        return index < len(self._bytes) and bool(self._bytes[index] >> (place & 7) & 1)

    def set(self, place: int) -> bool:
        """True where it was not there before."""
        if self.has(place):
            return False
        index = place >> 3
        if index >= len(self._bytes):
            self._bytes.extend(bytes(index + 1 - len(self._bytes)))
        self._bytes[index] |= 1 << (place & 7)
        self.count += 1
        return True
