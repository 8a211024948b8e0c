"""The rollout journal: every finished completion, durable before it is acknowledged; and the rows of items not yet in a shard.

A part's journal also keeps the items that failed: the part may be merged when the process that met the failure is long gone.

Knows keys and values; what a key is made of, and what becomes of a completion, is decided by its callers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from openr_data.errors import RunDirError, StorageError
from openr_data.store.frames import checksum, pack_completion, unpack_completion
from openr_data.store.journal_file import COMPLETIONS, RESULTS, connect_to_read, connect_to_write, item_checksum
from openr_data.store.sqlite_thread import SqliteThread
from openr_data.types import Completion

_PAGE_ITEMS = 1000
Connect = Callable[[Path], sqlite3.Connection]


@dataclass(frozen=True, slots=True)
class JournalTotals:
    """What was paid for: completions, and the tokens generated for them. Adopted completions are not among them."""

    completions: int
    tokens: int


class Journal:
    """`await record(...)` returns when the completion is on the disk; `await lookup(...)` finds it again.

    The first durable write of a key wins. A row whose checksum fails counts as never written (`damaged` counts those).
    Raises `StorageError`; after one, nothing is acknowledged any more. Memory does not grow with the number of rows.
    """

    def __init__(self, path: Path, connect: Connect = connect_to_write) -> None:
        self.path = path
        self.damaged = 0
        self._new = [0, 0]
        self._thread = SqliteThread(lambda: connect(path), explain=self._explain, before_commit=self._add_totals)

    def open(self) -> Journal:
        try:
            self._thread.start()
        except sqlite3.Error as fault:
            raise self._explain(fault) from fault
        return self

    async def close(self) -> None:
        await self._thread.close()

    async def record(self, key: bytes, completion: Completion) -> None:
        await self.record_many(((key, completion),))

    async def record_many(self, records: Iterable[tuple[bytes, Completion]]) -> None:
        """Durable when it returns, all of them or none."""
        rows = [(key, pack_completion(completion), completion.token_count) for key, completion in records]
        await self._thread.write(lambda connection: self._insert(connection, rows))

    async def adopt(self, key: bytes, completion: Completion) -> None:
        """Keep a completion of another run, as durably; it counts as none that this run has paid for."""
        rows = [(key, pack_completion(completion), completion.token_count)]
        await self._thread.write(lambda connection: self._insert(connection, rows, paid=False))

    async def lookup(self, keys: Sequence[bytes]) -> dict[bytes, Completion]:
        """The completions that are there; a missing key is simply absent."""
        found, damaged = await self._thread.read(lambda connection: _find(connection, keys))
        if damaged:
            self.damaged += len(damaged)
            await self._thread.write(lambda connection: _forget(connection, damaged))
        return found

    async def totals(self) -> JournalTotals:
        return await self._thread.read(_totals)

    async def count(self) -> int:
        """About how many completions there are, and not fewer."""
        return await self._thread.read(_count)

    async def keys(self, after: bytes, limit: int) -> list[bytes]:
        """The next keys after this one, in order; the empty key comes before all."""
        return await self._thread.read(lambda connection: _keys(connection, after, limit))

    async def put_result(self, item: int, value: bytes) -> None:
        """Keep a finished item's packed rows until its shard is sealed. A second result of an item is a bug."""
        row = (item, value, item_checksum(item, value))
        await self._thread.write(lambda connection: connection.execute("INSERT INTO results VALUES (?, ?, ?)", row).rowcount)

    async def put_failure(self, item: int, value: bytes) -> None:
        """Keep what is known of an item that failed, in place of what was known before."""
        row = (item, value, item_checksum(item, value))
        query = "INSERT OR REPLACE INTO failures VALUES (?, ?, ?)"
        await self._thread.write(lambda connection: connection.execute(query, row).rowcount)

    async def results(self, start: int, stop: int, *, limit_bytes: int = 4 << 20) -> list[tuple[int, bytes]]:
        """Packed rows of the items in `[start, stop)`, in order, up to about `limit_bytes` (but at least one, if any)."""
        return await self._thread.read(lambda connection: self._page(connection, start, stop, limit_bytes))

    async def clear_results(self, start: int, stop: int) -> None:
        query = "DELETE FROM results WHERE item >= ? AND item < ?"
        await self._thread.write(lambda connection: connection.execute(query, (start, stop)).rowcount)

    async def check_results(self) -> AsyncIterator[int]:
        """The items that have a result, in order; damaged results are dropped on the way (those items are owed again)."""
        after: int | None = -1
        while after is not None:
            good, bad, after = await self._thread.read(partial(_scan_results, after=after))
            for item in bad:
                await self.clear_results(item, item + 1)
            for item in good:
                yield item

    def _insert(self, connection: sqlite3.Connection, rows: Sequence[tuple[bytes, bytes, int]], *, paid: bool = True) -> None:
        for key, value, tokens in rows:
            cursor = connection.execute(
                "INSERT INTO completions VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (key, value, checksum(key, value))
            )
            if paid:
                self._new[0] += cursor.rowcount
                self._new[1] += tokens * cursor.rowcount

    def _add_totals(self, connection: sqlite3.Connection) -> None:
        if self._new[0]:
            change = (("completions", self._new[0]), ("tokens", self._new[1]))
            connection.executemany("UPDATE totals SET value = value + ?2 WHERE name = ?1", change)
            self._new = [0, 0]

    def _page(self, connection: sqlite3.Connection, start: int, stop: int, limit: int) -> list[tuple[int, bytes]]:
        page: list[tuple[int, bytes]] = []
        query = RESULTS + "WHERE item >= ? AND item < ? ORDER BY item"
        for item, value, crc in connection.execute(query, (start, stop)):
            if crc != item_checksum(item, value):
                raise StorageError(f"{self.path}: the rows of item {item} are damaged; run again with --resume to redo them")
            page.append((item, value))
            limit -= len(value)
            if limit <= 0:
                break
        return page

    def _explain(self, fault: sqlite3.Error) -> StorageError:
        if not isinstance(fault, sqlite3.OperationalError):
            return StorageError(f"{self.path} is damaged ({fault}); run `openr-data verify --repair`, then --resume")
        return StorageError(f"{self.path} refused data ({fault}); free the disk and run again with --resume")


class ReadOnlyJournal:
    """The completions of another run, for reuse. Never writes, so it also reads a run that is going on."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise RunDirError(f"there is no journal at {path}")
        self._thread = SqliteThread(lambda: connect_to_read(path), explain=lambda fault: RunDirError(f"{path}: {fault}"))
        self._thread.start()

    async def lookup(self, keys: Sequence[bytes]) -> dict[bytes, Completion]:
        return (await self._thread.read(lambda connection: _find(connection, keys)))[0]

    async def totals(self) -> JournalTotals:
        return await self._thread.read(_totals)

    async def count(self) -> int:
        """About how many completions there are, and not fewer."""
        return await self._thread.read(_count)

    async def keys(self, after: bytes, limit: int) -> list[bytes]:
        """The next keys after this one, in order; the empty key comes before all."""
        return await self._thread.read(lambda connection: _keys(connection, after, limit))

    async def close(self) -> None:
        await self._thread.close()


def copy_completions(source: Path, target: Path) -> JournalTotals:
    """Write the completions of the journal `source` (not its results) as a new journal `target`; damaged rows stay behind."""
    reader = connect_to_read(source, briefly=True)
    try:
        writer = connect_to_write(target)
        try:
            writer.execute("BEGIN IMMEDIATE")
            tokens = rows = 0
            for key, value, crc in reader.execute(COMPLETIONS):
                if crc == checksum(key, value):
                    rows += writer.execute("INSERT OR IGNORE INTO completions VALUES (?, ?, ?)", (key, value, crc)).rowcount
                    tokens += unpack_completion(value).token_count
            writer.executemany("UPDATE totals SET value = ? WHERE name = ?", ((rows, "completions"), (tokens, "tokens")))
            writer.execute("COMMIT")
            writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return JournalTotals(rows, tokens)
        finally:
            writer.close()
    finally:
        reader.close()


def _find(connection: sqlite3.Connection, keys: Sequence[bytes]) -> tuple[dict[bytes, Completion], list[bytes]]:
    found: dict[bytes, Completion] = {}
    damaged: list[bytes] = []
    for key in keys:
        row = connection.execute(COMPLETIONS + "WHERE key = ?", (key,)).fetchone()
        if row is None:
            continue
        _, value, crc = row
        if crc == checksum(key, value):
            found[key] = unpack_completion(value)
        else:
            damaged.append(key)
    return found, damaged


def _count(connection: sqlite3.Connection) -> int:
    (last,) = connection.execute("SELECT coalesce(max(rowid), 0) FROM completions").fetchone()
    return int(last)


def _keys(connection: sqlite3.Connection, after: bytes, limit: int) -> list[bytes]:
    query = "SELECT key FROM completions WHERE key > ? ORDER BY key LIMIT ?"
    return [key for (key,) in connection.execute(query, (after, limit))]


def _forget(connection: sqlite3.Connection, keys: Sequence[bytes]) -> None:
    connection.executemany("DELETE FROM completions WHERE key = ?", ((key,) for key in keys))


def _totals(connection: sqlite3.Connection) -> JournalTotals:
    values = dict(connection.execute("SELECT name, value FROM totals"))
    return JournalTotals(values["completions"], values["tokens"])


def _scan_results(connection: sqlite3.Connection, after: int) -> tuple[list[int], list[int], int | None]:
    """Good and damaged results of the next items after `after`, and the last of them; `None` at the end."""
    good: list[int] = []
    bad: list[int] = []
    item = None
    for item, value, crc in connection.execute(RESULTS + "WHERE item > ? ORDER BY item LIMIT ?", (after, _PAGE_ITEMS)):
        (good if crc == item_checksum(item, value) else bad).append(item)
    return good, bad, item
