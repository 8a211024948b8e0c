"""What is durable is always found behind the filter, and what is not there is not looked up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.pipelines.known_keys import Indexed, IndexedLog, Journals, KeyFilter
from openr_data.store.journal import Journal, ReadOnlyJournal
from openr_data.types import Completion


def key(number: int) -> bytes:
    return sha256(str(number).encode()).digest()


def said(number: int) -> Completion:
    return Completion(str(number), 1, "stop", number, number)


class Counted:
    """A journal that notes what it is asked for."""

    def __init__(self, journal: Journal | ReadOnlyJournal) -> None:
        self._journal = journal
        self.asked: list[bytes] = []

    async def lookup(self, keys: Sequence[bytes], /) -> Mapping[bytes, Completion]:
        self.asked += keys
        return await self._journal.lookup(keys)

    async def count(self) -> int:
        return await self._journal.count()

    async def keys(self, after: bytes, limit: int, /) -> Sequence[bytes]:
        return await self._journal.keys(after, limit)

    async def record(self, key: bytes, completion: Completion, /) -> None:
        assert isinstance(self._journal, Journal)
        await self._journal.record(key, completion)

    adopt = record


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 10_000), max_size=300), st.integers(0, 14))
def test_the_filter_never_denies_a_key_however_full_it_is(numbers: set[int], size: int) -> None:
    keys = KeyFilter(1 << size)
    for number in numbers:
        keys.add(key(number))
    assert all(key(number) in keys for number in numbers)


def test_a_filter_with_room_denies_nearly_every_other_key() -> None:
    keys = KeyFilter(1 << 15)
    for number in range(2048):  # 16 bits a key: (1 - e^-4/16)^4 = .0024 of the others
        keys.add(key(number))
    assert sum(key(number) in keys for number in range(10_000, 20_000)) < 60


def test_only_keys_that_may_be_there_reach_the_journal(tmp_path: Path) -> None:
    async def run() -> None:
        journal = Journal(tmp_path / "journal.sqlite").open()
        await journal.record_many((key(number), said(number)) for number in range(5000))
        log = Counted(journal)
        indexed = IndexedLog(log)
        assert (await indexed.lookup([key(7), key(-7)])).keys() == {key(7)}
        assert log.asked == [key(7), key(-7)], "before the keys are read everything is looked up"
        await indexed.record(key(6000), said(6000))
        await indexed.index()
        log.asked.clear()
        wanted = [key(number) for number in (*range(-50, 5000, 25), 6000)]
        found = await indexed.lookup(wanted)
        assert found == {key(number): said(number) for number in (*range(0, 5000, 25), 6000)}
        assert len(log.asked) < len(found) + 3
        await indexed.record(key(6001), said(6001))
        await indexed.adopt(key(6002), said(6002))
        assert (await indexed.lookup([key(6001), key(6002)])).keys() == {key(6001), key(6002)}
        await journal.close()

    asyncio.run(run())


def test_a_run_that_goes_on_being_written_while_its_keys_are_read_loses_none_of_its_own(tmp_path: Path) -> None:
    async def run() -> None:
        journal = Journal(tmp_path / "journal.sqlite").open()
        await journal.record_many((key(number), said(number)) for number in range(0, 9000, 2))
        indexed = IndexedLog(journal)
        reading = asyncio.create_task(indexed.index())
        for number in range(1, 600, 2):
            await indexed.record(key(number), said(number))
        await reading
        assert len(await indexed.lookup([key(number) for number in range(600)])) == 600
        await journal.close()

    asyncio.run(run())


def test_another_run_answers_what_it_held_when_its_keys_were_read(tmp_path: Path) -> None:
    async def run() -> None:
        journal = Journal(tmp_path / "journal.sqlite").open()
        await journal.record_many((key(number), said(number)) for number in range(100))
        other = ReadOnlyJournal(tmp_path / "journal.sqlite")
        source = Counted(other)
        indexed = Indexed(source)
        await indexed.index()
        assert await indexed.lookup([key(3), key(500)]) == {key(3): said(3)}
        assert await indexed.lookup([key(501)]) == {}
        await other.close()
        await journal.close()

    asyncio.run(run())


def test_journals_that_are_closed_while_their_keys_are_read_leave_nothing_behind(tmp_path: Path) -> None:
    async def run() -> list[object]:
        reported: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        journal = Journal(tmp_path / "journal.sqlite").open()
        await journal.record_many((key(number), said(number)) for number in range(9000))
        journals = Journals(journal)
        journals.reuse(ReadOnlyJournal(tmp_path / "journal.sqlite"))
        await asyncio.sleep(0)
        await journals.close()
        await journal.close()
        return reported

    assert asyncio.run(run()) == []
