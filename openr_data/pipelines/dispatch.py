"""Hands the items of a run to workers that come and go, each with few items ahead, and takes none for done that is not durable.

Knows no Ray and no engine: a worker is something that answers turns. What a lost worker had not finished is given to others.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from openr_data.errors import EngineError, TooManyFailures
from openr_data.pipelines.part_worker import Answer, Unit

RETRY = 0.2
"""Seconds between two questions to a worker that is away."""


class Away(Exception):
    """The worker does not answer now; it may come back."""


class Gone(Exception):
    """The worker does not come back by itself; the text says why."""


class Hand(Protocol):
    """A worker, seen from here. It works on the part at `part`."""

    @property
    def name(self) -> str: ...

    @property
    def part(self) -> Path: ...

    async def turn(self, units: Sequence[Unit], reuse: Sequence[str], /) -> Answer:
        """See `PartWorker.turn`. Raises `Away`, `Gone`."""
        ...

    async def revive(self) -> None:
        """A new process on the same part."""
        ...

    async def dismiss(self) -> None:
        """End it now, for good."""
        ...

    async def close(self, items: int | None, /) -> None:
        """See `PartWorker.close`."""
        ...


@dataclass(eq=False)
class _Member:
    """A worker and what it holds. `fruitful`: it has finished something since it was last started anew."""

    hand: Hand
    life: str = ""
    room: int = 0
    unfinished: dict[int, Unit] = field(default_factory=dict)
    again: bool = False
    fruitful: bool = False
    lost: bool = False
    away_since: float | None = None
    warned: bool = False
    told: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    earlier: Counter[str] = field(default_factory=Counter)

    @property
    def has_room(self) -> bool:
        return not self.lost and self.away_since is None and len(self.unfinished) < self.room


class Dispatcher:
    """`units` are the items that are owed. `patience`: seconds a worker may be away while others have nothing to do.

    `first_alone`: what all have to know before their first item one of them finds out, and the others read it in its part.
    `done` and `failed` count, `counts` sums what the workers generated; memory is bounded by the items that are handed out.
    """

    def __init__(
        self,
        units: Iterator[Unit],
        hands: Sequence[Hand],
        *,
        stop: asyncio.Event,
        max_failures: int,
        patience: float,
        warn: Callable[[str], None] = lambda _: None,
        first_alone: bool = False,
    ) -> None:
        self._first = asyncio.Lock() if first_alone else None
        self._units = units
        self._returned: deque[Unit] = deque()
        self._exhausted = False
        self._members = [_Member(hand) for hand in hands]
        self._orphans: list[str] = []
        self._stop, self._max_failures, self._patience, self._warn = stop, max_failures, patience, warn
        self._ended = asyncio.Event()
        self.done = 0
        self.failed = 0
        self.last_failure = ""
        self._last_fault: Exception | None = None

    @property
    def counts(self) -> Counter[str]:
        amounts: Counter[str] = Counter()
        for member in self._members:
            amounts.update(member.earlier)
            amounts.update(member.counts)
        return amounts

    @property
    def present(self) -> list[Hand]:
        """The workers that answer."""
        return [member.hand for member in self._members if member.life and not member.lost and member.away_since is None]

    async def run(self) -> None:
        """Until every item is done or failed, or, once `stop` is set, until what is in flight has ended."""
        ended = asyncio.create_task(self._ended.wait())
        stopped = asyncio.create_task(self._end_early())
        followers = {asyncio.create_task(self._follow(member)) for member in self._members}
        try:
            while not ended.done():
                done, _ = await asyncio.wait({ended, *followers}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                followers -= done
                if not followers and not ended.done():
                    raise self._last_fault or EngineError("every worker was lost")
        finally:
            for task in (ended, stopped, *followers):
                task.cancel()
            await asyncio.gather(ended, stopped, *followers, return_exceptions=True)

    async def _end_early(self) -> None:
        """Also where no worker has answered yet."""
        await self._stop.wait()
        self._look()

    async def _follow(self, member: _Member) -> None:
        """Turn after turn with one worker, until it is lost."""
        if self._first is not None:
            await self._prepare(member, self._first)
        while not member.lost:
            await self._turn(member)

    async def _prepare(self, member: _Member, alone: asyncio.Lock) -> None:
        """Until it is ready for items; the next one begins after that. A lost one leaves what it has paid for to the next."""
        async with alone:
            while self._first is not None and not member.lost:
                await self._turn(member)
                if member.room:
                    self._first = None
                    self._orphans.append(str(member.hand.part))
                    member.told = len(self._orphans)

    async def _turn(self, member: _Member) -> None:
        everything = member.again
        units, reuse = self._give(member)
        try:
            answer = await member.hand.turn(units, reuse)
        except Away:
            await self._wait_for(member)
        except Gone as gone:
            await self._mourn(member, EngineError(f"{member.hand.name} was lost and did not come back: {gone}"))
        else:
            await self._take(member, answer, everything=everything)
        self._look()

    def _give(self, member: _Member) -> tuple[list[Unit], list[str]]:
        """What it is to do now, and the parts to reuse: what is new, or everything to one that may know nothing."""
        new = []
        while len(member.unfinished) < member.room and (unit := self._next()) is not None:
            member.unfinished[unit.number] = unit
            new.append(unit)
        told, member.told = 0 if member.again else member.told, len(self._orphans)
        units = list(member.unfinished.values()) if member.again else new
        member.again = False
        return units, self._orphans[told:]

    def _next(self) -> Unit | None:
        if self._stop.is_set():
            return None
        if self._returned:
            return self._returned.popleft()
        unit = next(self._units, None)
        self._exhausted = unit is None
        return unit

    async def _take(self, member: _Member, answer: Answer, *, everything: bool) -> None:
        if answer.life != member.life:
            member.earlier.update(member.counts)
            member.again = bool(member.life) and not everything
            member.life = answer.life
        member.away_since, member.warned = None, False
        member.room, member.counts = answer.room, answer.counts
        for number in answer.done:
            if member.unfinished.pop(number, None):
                self.done += 1
                member.fruitful = True
        for number, reason in answer.failed:
            if member.unfinished.pop(number, None):
                self._fail(reason)
        for warning in answer.warnings:
            self._warn(f"{member.hand.name}: {warning}")
        if answer.fault is not None:
            if not answer.fault.local:
                raise answer.fault.error()
            await self._mourn(member, answer.fault.error())

    def _fail(self, reason: str) -> None:
        self.failed += 1
        self.last_failure = reason
        if self.failed > self._max_failures:
            raise TooManyFailures(f"{self.failed} problems failed, the last one so: {reason}; --resume tries them again")

    async def _mourn(self, member: _Member, fault: Exception) -> None:
        """Its process cannot go on. Start it anew, if the last one was of use; otherwise its items are for the others."""
        self._last_fault = fault
        if member.fruitful:
            member.fruitful, member.again, member.room = False, True, 0
            await member.hand.revive()
        else:
            await self._lose(member)
            self._warn(f"{member.hand.name} is given up, its problems go to the other workers: {fault}")

    async def _lose(self, member: _Member) -> None:
        member.lost = True
        await member.hand.dismiss()
        self._orphans.append(str(member.hand.part))
        self._returned.extend(member.unfinished.values())
        member.unfinished.clear()

    async def _wait_for(self, member: _Member) -> None:
        member.again = True
        member.away_since = member.away_since or time.monotonic()
        if time.monotonic() - member.away_since > self._patience:
            if self._others_wait(member):
                self._last_fault = EngineError(f"{member.hand.name} was lost and did not come back")
                await self._lose(member)
                self._warn(f"{member.hand.name} did not come back, its problems go to the other workers")
            elif not member.warned:
                member.warned = True
                self._warn(f"{member.hand.name} is away; its problems wait until it is back or another worker has nothing to do")
        await asyncio.sleep(RETRY)

    def _others_wait(self, member: _Member) -> bool:
        others = [other for other in self._members if other is not member]
        if self._first is not None:
            return any(not other.lost for other in others)
        return self._exhausted and not self._returned and any(other.has_room for other in others)

    def _look(self) -> None:
        """Has the end come?"""
        holding = any(member.unfinished for member in self._members if member.away_since is None or not self._stop.is_set())
        if holding:
            return
        if self._stop.is_set() or self._no_more():
            self._ended.set()

    def _no_more(self) -> bool:
        if self._returned:
            return False
        unit = next(self._units, None)
        if unit is None:
            self._exhausted = True
            return True
        self._returned.append(unit)
        return False
