"""Journals behind filters of their keys, so that a sample that nobody has paid for is not looked up on the disk.

With one rollout at a time every sample would wait for a journal's thread before the engine hears of it. The filter is a Bloom
filter (Bloom 1970): it may say yes of a key that is not there, which costs a look-up, and never no of one that is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from struct import Struct
from typing import Any, Generic, Protocol, TypeVar

from openr_data.errors import OpenRDataError
from openr_data.store.journal import Journal, ReadOnlyJournal
from openr_data.tasks import cancel
from openr_data.types import Completion

BITS = 1 << 27
"""Of the filter of a journal that grows, 16 MiB: one look-up in 200 is idle at 10 million keys, one in 3 at 50 million."""

_PER_KEY = 16
_PAGE = 2000
_PARTS = Struct("<4Q")


class KeySource(Protocol):
    """A journal that can be read. Keys are digests of 32 bytes. Raises `OpenRDataError` when it cannot go on."""

    async def lookup(self, keys: Sequence[bytes], /) -> Mapping[bytes, Completion]: ...

    async def count(self) -> int:
        """About how many keys there are, and not fewer."""
        ...

    async def keys(self, after: bytes, limit: int, /) -> Sequence[bytes]:
        """The next keys after this one, in order."""
        ...


class KeyLog(KeySource, Protocol):
    """A journal that can be written as well."""

    async def record(self, key: bytes, completion: Completion, /) -> None: ...

    async def adopt(self, key: bytes, completion: Completion, /) -> None: ...


Source = TypeVar("Source", bound=KeySource)
Log = TypeVar("Log", bound=KeyLog)


class KeyFilter:
    """Which keys there may be. `bits` is a power of two."""

    def __init__(self, bits: int = BITS) -> None:
        self._mask = bits - 1
        self._bytes = bytearray(max(1, bits >> 3))

    def add(self, key: bytes) -> None:
        for part in _PARTS.unpack(key):
            at = part & self._mask
            self._bytes[at >> 3] |= 1 << (at & 7)

    def __contains__(self, key: bytes) -> bool:
        for part in _PARTS.unpack(key):
            at = part & self._mask
            if not self._bytes[at >> 3] >> (at & 7) & 1:
                return False
        return True


class Indexed(Generic[Source]):
    """The completions of another run as they were when `index` ended; until then every key is looked up."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._filter: KeyFilter | None = None

    async def index(self) -> None:
        """Read all keys, page by page: whoever looks something up meanwhile is served in between."""
        seen = KeyFilter(_power_of_two(_PER_KEY * await self._source.count()))
        await _read_keys(self._source, seen)
        self._filter = seen

    async def lookup(self, keys: Sequence[bytes], /) -> Mapping[bytes, Completion]:
        if self._filter is not None:
            keys = [key for key in keys if key in self._filter]
        return await self._source.lookup(keys) if keys else {}


class IndexedLog(Generic[Log]):
    """The journal of this process. A key is in the filter before it is in the journal, so what is durable is always found."""

    def __init__(self, log: Log, bits: int = BITS) -> None:
        self._log = log
        self._filter = KeyFilter(bits)
        self._indexed = False

    async def index(self) -> None:
        await _read_keys(self._log, self._filter)
        self._indexed = True

    async def lookup(self, keys: Sequence[bytes], /) -> Mapping[bytes, Completion]:
        if self._indexed:
            keys = [key for key in keys if key in self._filter]
        return await self._log.lookup(keys) if keys else {}

    async def record(self, key: bytes, completion: Completion, /) -> None:
        self._filter.add(key)
        await self._log.record(key, completion)

    async def adopt(self, key: bytes, completion: Completion, /) -> None:
        self._filter.add(key)
        await self._log.adopt(key, completion)


class Journals:
    """The journal of this run and those that it reuses. Their keys are read beside the work: nobody waits for that, and what
    fails in it meets those who look something up. Belongs to the event loop that makes it.
    """

    def __init__(self, own: Journal) -> None:
        self.log = IndexedLog(own)
        self.sources: list[Indexed[ReadOnlyJournal]] = []
        self._reused: list[ReadOnlyJournal] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._start(self.log.index())

    def reuse(self, journal: ReadOnlyJournal) -> None:
        """It is closed with the others. What is written to it later is not found."""
        self._reused.append(journal)
        self.sources.append(Indexed(journal))
        self._start(self.sources[-1].index())

    async def close(self) -> None:
        """The reused ones; the run's own is its directory's."""
        await cancel(self._tasks)
        for journal in self._reused:
            await journal.close()

    def _start(self, indexing: Coroutine[Any, Any, None]) -> None:
        async def index() -> None:
            with suppress(OpenRDataError):
                await indexing

        task = asyncio.create_task(index())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _read_keys(source: KeySource, into: KeyFilter) -> None:
    page = await source.keys(b"", _PAGE)
    while page:
        for key in page:
            if len(key) == _PARTS.size:
                into.add(key)
        page = await source.keys(page[-1], _PAGE)


def _power_of_two(at_least: int) -> int:
    return min(BITS, 1 << max(3, (at_least - 1).bit_length()))
