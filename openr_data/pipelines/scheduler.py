"""Who is next at the engine, and when another question is opened. Knows numbers and orders, no prompts and no engine.

Sequences wait here and not in the engine: an engine serves first come first served, and the last questions of a run would then
wait behind everything that was asked before them. Older questions go first, so that they end and their memory is free; within a
question the deeper prefixes, for which its search waits; and the samples of one prefix together, so that its cache is warm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import NamedTuple

AHEAD = 1.25
"""Sequences handed to the engine per slot: what waits inside bridges the turns of the event loop that a new one takes to come."""

OPEN = 4
"""Questions open at most, per slot: with one sequence each they fill the engine and the queue before it, and half are at rest."""

FEWEST = 64
"""Questions that may be open however few slots there are."""


class Order(NamedTuple):
    """Less is served first: an older item, then a deeper prefix, then the earlier call, then the lower sample index."""

    item: int
    shallowness: int
    call: int
    sample: int


class Scheduler:
    """The places in an engine of `slots()` sequences, given in order. What a caller was given it gives back by `release`."""

    def __init__(self, slots: Callable[[], int]) -> None:
        self.slots = slots
        self.running = 0
        self.on_ask: Callable[[int], None] = lambda _: None
        self.on_grant: Callable[[], None] = lambda: None
        self._queue: list[tuple[Order, int, asyncio.Future[None]]] = []
        self._waiting = 0
        self._arrivals = count()

    @property
    def places(self) -> int:
        return max(1, int(AHEAD * self.slots()))

    @property
    def waiting(self) -> int:
        return self._waiting

    async def acquire(self, order: Order) -> None:
        """Wait for a place. Cancelling the wait leaves the queue; a place that was given meanwhile goes to the next."""
        self.on_ask(order.item)
        if not self._waiting and self.running < self.places:
            self.running += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._queue, (order, next(self._arrivals), place))
        self._waiting += 1
        self._give()  # there may be more places than at the last release
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                self._leave()
            else:
                self.release()
            raise

    def release(self) -> None:
        self.running -= 1
        self._give()
        self.on_grant()

    def _give(self) -> None:
        while self._queue and self.running < self.places:
            _, _, place = heappop(self._queue)
            if not place.done():  # otherwise its caller was cancelled, and is counted by `_leave`
                self.running += 1
                self._waiting -= 1
                place.set_result(None)

    def _leave(self) -> None:
        """Who has left stays in the heap until they are the half of it."""
        self._waiting -= 1
        if 2 * self._waiting < len(self._queue):
            self._queue = [entry for entry in self._queue if not entry[2].done()]
            heapify(self._queue)
        self.on_grant()


class Gate:
    """Opens another item while fewer sequences wait than the engine has slots; at most `most` (0: as OPEN says) are open.

    An item that was opened and has not asked yet counts as one that waits; asking one of the `others`, the engines beside the
    first, is asking, too. Where no item is open there is always room.
    """

    def __init__(self, scheduler: Scheduler, most: int = 0, others: Iterable[Scheduler] = ()) -> None:
        self._scheduler = scheduler
        self._most = most
        self._open: set[int] = set()
        self._silent: set[int] = set()
        self._room = asyncio.Event()
        for each in (scheduler, *others):
            each.on_ask = self._asked
        scheduler.on_grant = self._look

    @property
    def open(self) -> int:
        return len(self._open)

    @property
    def has_room(self) -> bool:
        slots = self._scheduler.slots()
        most = self._most or max(FEWEST, OPEN * slots)
        return not self._open or (self.open < most and self._scheduler.waiting + len(self._silent) < slots)

    async def room(self) -> None:
        """Returns when another item would help."""
        while not self.has_room:
            self._room.clear()
            await self._room.wait()

    def opened(self, item: int) -> None:
        if item not in self._open:
            self._open.add(item)
            self._silent.add(item)

    def closed(self, item: int) -> None:
        self._open.discard(item)
        self._silent.discard(item)
        self._look()

    def _asked(self, item: int) -> None:
        if item in self._silent:
            self._silent.discard(item)
            self._look()

    def _look(self) -> None:
        if not self._room.is_set() and self.has_room:
            self._room.set()
