"""SQLite on a thread of its own, with group commit. Knows connections and transactions, not what is stored."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
Call = Callable[[sqlite3.Connection], T]

_BATCH = 1024
"""Requests per transaction: enough to share one sync of the disk."""

_TURN = 64
"""Answers per turn of the event loop: each wakes a task, and what else the loop has to do comes in between."""


@dataclass(slots=True)
class _Request:
    call: Call[Any]
    writes: bool
    future: asyncio.Future[Any]
    result: Any = None
    fault: BaseException | None = None


class SqliteThread:
    """Runs calls on one connection, in the order they were asked for; whatever queued up during a commit shares the next.

    A `write` returns only after its transaction is durable. After the first failed transaction nothing is written and
    nothing is acknowledged any more: every later call raises the same error, made by `explain` from SQLite's.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        *,
        explain: Callable[[sqlite3.Error], Exception],
        before_commit: Callable[[sqlite3.Connection], None] = lambda _: None,
    ) -> None:
        self._connect, self._explain, self._before_commit = connect, explain, before_commit
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._broken: Exception | None = None
        self._closed = True
        self._thread = threading.Thread(target=self._run, name="openr-data journal", daemon=True)
        self._opened: Future[None] = Future()

    def start(self) -> None:
        """Start the thread and open the connection on it; raises what opening raised."""
        self._thread.start()
        try:
            self._opened.result()
        except BaseException:
            self._closed = True
            raise
        self._closed = False

    async def read(self, call: Call[T]) -> T:
        return await self._ask(call, writes=False)

    async def write(self, call: Call[T]) -> T:
        """Cancelling the wait does not undo the write."""
        return await self._ask(call, writes=True)

    def _ask(self, call: Call[T], *, writes: bool) -> asyncio.Future[T]:
        if self._closed:
            raise RuntimeError("the journal is not open")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Request(call, writes, future))
        return future

    async def close(self) -> None:
        """Finish what is queued and close the connection. Idempotent."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            connection = self._connect()
        except BaseException as fault:
            self._opened.set_exception(fault)
            return
        self._opened.set_result(None)
        try:
            while batch := self._next_batch():
                self._serve(connection, batch)
        finally:
            connection.close()

    def _next_batch(self) -> list[_Request]:
        """Everything that is queued now, at least one request; empty at the end."""
        batch: list[_Request] = []
        while len(batch) < _BATCH:
            try:
                request = self._queue.get(block=not batch)
            except queue.Empty:
                break
            if request is None:
                if batch:
                    self._queue.put(None)
                break
            batch.append(request)
        return batch

    def _serve(self, connection: sqlite3.Connection, batch: list[_Request]) -> None:
        """Reads first: they need not wait for the disk, and what was acknowledged before them is already committed."""
        reads = [request for request in batch if not request.writes]
        writes = [request for request in batch if request.writes]
        for request in reads:
            self._answer(connection, request)
        _deliver(reads)
        if writes:
            self._commit(connection, writes)
            _deliver(writes)

    def _answer(self, connection: sqlite3.Connection, request: _Request) -> None:
        if self._broken is not None:
            request.fault = self._broken
            return
        try:
            request.result = request.call(connection)
        except sqlite3.Error as fault:
            request.fault = self._explain(fault)
            request.fault.__cause__ = fault
        except Exception as fault:
            request.fault = fault

    def _commit(self, connection: sqlite3.Connection, writes: list[_Request]) -> None:
        try:
            if self._broken is None:
                connection.execute("BEGIN IMMEDIATE")
                for request in writes:
                    request.result = request.call(connection)
                self._before_commit(connection)
                connection.execute("COMMIT")
        except Exception as fault:
            self._broken = self._explain(fault) if isinstance(fault, sqlite3.Error) else fault
            if self._broken is not fault:
                self._broken.__cause__ = fault
            _roll_back(connection)
        for request in writes:
            request.fault = self._broken


def _roll_back(connection: sqlite3.Connection) -> None:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        return  # the disk fails: the next opening of the file rolls back


def _deliver(requests: list[_Request]) -> None:
    """Wake each event loop once for all its answers."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Request]] = {}
    for request in requests:
        by_loop.setdefault(request.future.get_loop(), []).append(request)
    for loop, answered in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, loop, answered)
        except RuntimeError:  # the loop is closed: nobody waits any more
            continue


def _resolve(loop: asyncio.AbstractEventLoop, requests: list[_Request]) -> None:
    if len(requests) > _TURN:
        loop.call_soon(_resolve, loop, requests[_TURN:])
    for request in requests[:_TURN]:
        if request.future.done():  # cancelled by its caller
            continue
        if request.fault is not None:
            request.future.set_exception(request.fault)
        else:
            request.future.set_result(request.result)
