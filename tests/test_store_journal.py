"""The journal loses nothing it acknowledged: not to a kill, not to a full disk, not to a flipped bit."""

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from openr_data.errors import RunDirError, StorageError
from openr_data.store.journal import Journal, JournalTotals, ReadOnlyJournal, copy_completions
from openr_data.store.journal_file import connect_to_write
from openr_data.store.salvage import salvage_journal
from openr_data.types import Completion

T = TypeVar("T")


def sample(number: int, size: int = 20) -> Completion:
    return Completion(f"{number}:" + "x" * size, number % 7 + 1, "stop", number, number * 3)


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def with_journal(path: Path, use: Callable[[Journal], Awaitable[T]]) -> T:
    async def run() -> T:
        journal = Journal(path).open()
        try:
            return await use(journal)
        finally:
            await journal.close()

    return asyncio.run(run())


async def record(journal: Journal, numbers: range) -> None:
    await asyncio.gather(*(journal.record(key(n), sample(n)) for n in numbers))


def test_what_is_recorded_is_found_and_the_rest_is_not(tmp_path: Path) -> None:
    async def use(journal: Journal) -> dict[bytes, Completion]:
        await record(journal, range(2000))
        return await journal.lookup([key(5), key(1999), key(2000)])

    assert with_journal(tmp_path / "j", use) == {key(5): sample(5), key(1999): sample(1999)}


def test_totals_count_a_completion_once_and_survive_reopening(tmp_path: Path) -> None:
    async def use(journal: Journal) -> JournalTotals:
        await record(journal, range(50))
        return await journal.totals()

    expected = JournalTotals(50, sum(sample(n).token_count for n in range(50)))
    assert with_journal(tmp_path / "j", use) == expected
    assert with_journal(tmp_path / "j", use) == expected


def test_what_another_run_paid_for_is_kept_and_not_counted(tmp_path: Path) -> None:
    async def use(journal: Journal) -> tuple[dict[bytes, Completion], JournalTotals]:
        await journal.adopt(key(1), sample(1))
        await journal.record(key(2), sample(2))
        return await journal.lookup([key(1), key(2)]), await journal.totals()

    found, totals = with_journal(tmp_path / "j", use)
    assert found == {key(1): sample(1), key(2): sample(2)}
    assert totals == JournalTotals(1, sample(2).token_count)


def test_the_first_durable_write_of_a_key_wins(tmp_path: Path) -> None:
    async def use(journal: Journal) -> dict[bytes, Completion]:
        await journal.record(key(1), sample(1))
        await journal.record(key(1), sample(2))
        return await journal.lookup([key(1)])

    assert with_journal(tmp_path / "j", use) == {key(1): sample(1)}


def test_commits_are_synced_and_shared(tmp_path: Path) -> None:
    """Durability is SQLite's FULL sync at COMMIT; that nothing returns before its COMMIT is what is checked here."""
    commits: list[int] = []
    acknowledged: list[int] = []

    def connect(path: Path) -> sqlite3.Connection:
        connection = connect_to_write(path)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.set_trace_callback(lambda sql: commits.append(len(acknowledged)) if sql == "COMMIT" else None)
        return connection

    async def one(journal: Journal, number: int) -> None:
        before = len(commits)
        await journal.record(key(number), sample(number))
        assert len(commits) > before
        acknowledged.append(number)

    async def run() -> None:
        journal = Journal(tmp_path / "j", connect).open()
        await asyncio.gather(*(one(journal, n) for n in range(500)))
        await journal.close()

    asyncio.run(run())
    assert len(acknowledged) == 500
    assert len(commits) < 100


def test_results_come_back_in_order_and_page_by_page(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        for item in (3, 1, 2, 9):
            await journal.put_result(item, bytes([item]) * 100)
        assert [item for item, _ in await journal.results(0, 9)] == [1, 2, 3]
        assert [item for item, _ in await journal.results(0, 9, limit_bytes=150)] == [1, 2]
        assert [item for item, _ in await journal.results(0, 9, limit_bytes=1)] == [1]
        await journal.clear_results(0, 3)
        assert [item async for item in journal.check_results()] == [3, 9]

    with_journal(tmp_path / "j", use)


def corrupt(path: Path, query: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(query)
    connection.commit()
    connection.close()


def test_a_damaged_completion_is_owed_again_and_can_be_recorded_again(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with_journal(path, lambda journal: record(journal, range(3)))
    corrupt(path, "UPDATE completions SET value = substr(value, 1, 30) || x'21' WHERE rowid = 2")

    async def use(journal: Journal) -> None:
        assert set(await journal.lookup([key(n) for n in range(3)])) == {key(0), key(2)}
        assert journal.damaged == 1
        await journal.record(key(1), sample(1))
        assert await journal.lookup([key(1)]) == {key(1): sample(1)}

    with_journal(path, use)


def test_a_value_under_another_key_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with_journal(path, lambda journal: record(journal, range(2)))
    corrupt(path, "UPDATE completions SET value = (SELECT value FROM completions WHERE rowid = 1) WHERE rowid = 2")
    assert with_journal(path, lambda journal: journal.lookup([key(0), key(1)])) == {key(0): sample(0)}


async def _checked(journal: Journal) -> list[int]:
    return [item async for item in journal.check_results()]


def test_a_damaged_result_is_owed_again(tmp_path: Path) -> None:
    path = tmp_path / "j"

    async def put(journal: Journal) -> None:
        await journal.put_result(0, b"zero")
        await journal.put_result(1, b"one")

    with_journal(path, put)
    corrupt(path, "UPDATE results SET value = x'00' WHERE item = 0")
    assert with_journal(path, _checked) == [1]
    assert with_journal(path, _checked) == [1]


def test_nothing_is_acknowledged_after_the_disk_is_full(tmp_path: Path) -> None:
    def tiny(path: Path) -> sqlite3.Connection:
        connection = connect_to_write(path)
        connection.execute("PRAGMA max_page_count = 40").fetchall()
        return connection

    acknowledged: list[int] = []

    async def run() -> list[str]:
        journal = Journal(tmp_path / "j", tiny).open()
        refusals: list[str] = []
        for number in range(200):
            try:
                await journal.record(key(number), sample(number, size=3000))
            except StorageError as fault:
                refusals.append(str(fault))
            else:
                assert not refusals
                acknowledged.append(number)
        await journal.close()
        return refusals

    refusals = asyncio.run(run())
    assert len(refusals) == 200 - len(acknowledged)
    assert all("free the disk and run again with --resume" in each for each in refusals)
    assert 5 < len(acknowledged) < 100
    found = with_journal(tmp_path / "j", lambda journal: journal.lookup([key(n) for n in range(200)]))
    assert set(found) == {key(n) for n in acknowledged}


FILE_LIMIT = """
import asyncio, resource, sys
from pathlib import Path
from openr_data.errors import StorageError
from openr_data.store.journal import Journal
from openr_data.types import Completion
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
async def main():
    journal = Journal(Path(sys.argv[1])).open()
    for n in range(500):
        try:
            await journal.record(n.to_bytes(32, "big"), Completion("x" * 2000, 1, "stop", n, n))
        except StorageError:
            break
        print(n, flush=True)
asyncio.run(main())
"""


def test_a_write_that_the_system_refuses_is_not_acknowledged(tmp_path: Path) -> None:
    """The kernel refuses to let the file grow, as it does on a quota or a full disk."""
    done = subprocess.run(
        [sys.executable, "-c", FILE_LIMIT, str(tmp_path / "j")], check=False, capture_output=True, text=True, timeout=60
    )
    acknowledged = [int(line) for line in done.stdout.split()]
    assert done.returncode == 0, done.stderr
    assert 5 < len(acknowledged) < 200
    found = with_journal(tmp_path / "j", lambda journal: journal.lookup([key(n) for n in acknowledged]))
    assert len(found) == len(acknowledged)


def test_a_lookup_that_is_cancelled_leaves_the_journal_working(tmp_path: Path) -> None:
    async def use(journal: Journal) -> dict[bytes, Completion]:
        task = asyncio.create_task(journal.record(key(1), sample(1)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await journal.record(key(2), sample(2))
        return await journal.lookup([key(1), key(2)])

    assert with_journal(tmp_path / "j", use) == {key(1): sample(1), key(2): sample(2)}


def test_another_run_reads_completions_while_they_are_written(tmp_path: Path) -> None:
    async def use(journal: Journal) -> None:
        await record(journal, range(10))
        other = ReadOnlyJournal(tmp_path / "j")
        assert await other.lookup([key(3), key(11)]) == {key(3): sample(3)}
        await journal.record(key(11), sample(11))
        assert await other.lookup([key(11)]) == {key(11): sample(11)}
        assert (await other.totals()).completions == 11
        await other.close()

    with_journal(tmp_path / "j", use)


def test_a_copy_holds_the_completions_and_leaves_results_and_damage_behind(tmp_path: Path) -> None:
    async def fill(journal: Journal) -> None:
        await record(journal, range(10))
        await journal.put_result(0, b"x")

    with_journal(tmp_path / "j", fill)
    corrupt(tmp_path / "j", "UPDATE completions SET crc = crc + 1 WHERE rowid = 4")
    totals = copy_completions(tmp_path / "j", tmp_path / "k")
    assert totals.completions == 9

    async def check(journal: Journal) -> None:
        assert await journal.totals() == totals
        assert len(await journal.lookup([key(n) for n in range(10)])) == 9
        assert [item async for item in journal.check_results()] == []

    with_journal(tmp_path / "k", check)


def test_a_file_that_is_no_journal_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(os.urandom(9000))
    with pytest.raises(StorageError, match="damaged"):
        Journal(tmp_path / "j").open()
    with pytest.raises(RunDirError, match="cannot be read as a journal"):
        ReadOnlyJournal(tmp_path / "j")
    with pytest.raises(RunDirError, match="no journal at"):
        ReadOnlyJournal(tmp_path / "missing")


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    with_journal(tmp_path / "j", lambda journal: record(journal, range(1)))
    corrupt(tmp_path / "j", "PRAGMA user_version = 99")
    with pytest.raises(RunDirError, match="another version"):
        Journal(tmp_path / "j").open()


def test_what_is_readable_of_a_torn_journal_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with_journal(path, lambda journal: record(journal, range(3000)))
    pages = bytearray(path.read_bytes())
    middle = len(pages) // 4096 // 2 * 4096
    pages[middle : middle + 4096] = os.urandom(4096)
    path.write_bytes(pages)
    saved = salvage_journal(path)
    assert (tmp_path / "quarantine" / "journal.sqlite").exists()
    found = with_journal(path, lambda journal: journal.lookup([key(n) for n in range(3000)]))
    assert len(found) == saved > 1000
    assert all(found[key(n)] == sample(n) for n in range(3000) if key(n) in found)


WRITER = """
import asyncio, sys
from pathlib import Path
from openr_data.store.journal import Journal
from openr_data.types import Completion
async def main(path, start):
    journal = Journal(Path(path)).open()
    async def worker(first):
        for n in range(first, 10**9, 8):
            await journal.record(n.to_bytes(32, "big"), Completion(f"{n}:" + "x" * (n % 50 * 100), 1, "stop", n, n))
            sys.stdout.write(f"{n}\\n"); sys.stdout.flush()
    await asyncio.gather(*(worker(start + w) for w in range(8)))
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.mark.slow
def test_kill_9_at_random_moments_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    rng = random.Random(7)
    acknowledged: set[int] = set()
    for kill in range(15):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "j"), str(kill * 1_000_000)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline()]
            lines += [child.stdout.readline() for _ in range(rng.randrange(400))]
            child.kill()
            lines += child.stdout.read().splitlines(keepends=True)
        acknowledged |= {int(line) for line in lines if line.endswith("\n")}
    assert len(acknowledged) > 500

    async def check(journal: Journal) -> None:
        for number in sorted(acknowledged):
            assert await journal.lookup([key(number)]), number
        assert journal.damaged == 0
        assert (await journal.totals()).completions >= len(acknowledged)

    with_journal(tmp_path / "j", check)
