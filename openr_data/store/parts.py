"""Reading the parts of a run: whether they belong together, and what they hold, item by item, in bounded memory.

A part is a run directory that keeps the results of some items and is never sealed. Refuses what cannot be merged exactly.
"""

from __future__ import annotations

import heapq
import resource
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from openr_data.errors import RunDirError, UsageError
from openr_data.store.journal_file import FAILURES, RESULTS, connect_to_read, connect_to_write, item_checksum
from openr_data.store.lock import DirectoryLock
from openr_data.store.opening import JOURNAL
from openr_data.store.run_record import NAME as RUN
from openr_data.store.run_record import RunRecord, differences
from openr_data.store.units import MARK, NO_MARK, SIZE, link

ARROW = "arrow"
"""Setting of a part: are the tables wanted as Arrow data sets, too?"""

_NAMED = 5
_FILES = 5
"""Open files per part."""


@dataclass(frozen=True, slots=True)
class Part:
    """An open part: locked, so that nobody writes it."""

    path: Path
    record: RunRecord
    connection: sqlite3.Connection

    def marks(self) -> Iterator[tuple[int, bytes, bool]]:
        """Number, mark and whether it finished, of every item it worked on, in order. Reads no results."""
        both = heapq.merge(self._marks("results", done=True), self._marks("failures", done=False), key=itemgetter(0))
        for _, same in groupby(both, key=itemgetter(0)):
            yield max(same, key=itemgetter(2))

    def _marks(self, table: str, *, done: bool) -> Iterator[tuple[int, bytes, bool]]:
        query = f"SELECT item, substr(CAST(value AS BLOB), 1, ?), 0 FROM {table} ORDER BY item"  # noqa: S608  (our own two names)
        return ((item, mark, done) for item, mark, _ in self._rows(query, (MARK,)))

    def results(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Number and packed rows of the finished items from `start` on, in order. Raises `RunDirError` on a damaged one."""
        for item, value, crc in self._rows(RESULTS + "WHERE item >= ? ORDER BY item", (start,)):
            if crc != item_checksum(item, value):
                raise RunDirError(
                    f"{self.path}: the rows of item {item} are damaged; run `openr-data verify {self.path} --repair`, then part "
                    f"{self.record.part} again with --resume, which makes them from its completions, and merge again"
                )
            yield item, value[MARK:]

    def result(self, item: int) -> bytes:
        return next((value for found, value in self.results(item) if found == item), b"")

    def failure(self, item: int) -> bytes:
        """The note on an item that failed, as JSON."""
        row = next(self._rows(FAILURES + "WHERE item = ?", (item,)), None)
        return b"{}" if row is None or row[2] != item_checksum(item, row[1]) else row[1][MARK:]

    def _rows(self, query: str, values: tuple[int, ...]) -> Iterator[tuple[int, bytes, int]]:
        try:
            for row in self.connection.execute(query, values):  # noqa: UP028  (`yield from` would close the cursor, too late)
                yield row
        except sqlite3.Error as fault:
            raise RunDirError(
                f"{self.path / JOURNAL} is damaged ({fault}); run `openr-data verify {self.path} --repair`, then the part again "
                "with --resume"
            ) from fault


def finished_items(path: Path) -> Iterator[int]:
    """The items that the part at `path` holds whole, in order; it may be at work."""
    if not (path / JOURNAL).is_file():
        return
    with closing(connect_to_read(path / JOURNAL)) as connection:
        for item, value, crc in connection.execute(RESULTS + "ORDER BY item"):
            if crc == item_checksum(item, value):
                yield item


@contextmanager
def open_parts(paths: Sequence[Path]) -> Iterator[list[Part]]:
    """The parts, locked until the block ends. `UsageError`, `RunDirError`: these are not parts of one run, each once."""
    if not paths:
        raise UsageError("there is nothing to merge: give the directories of the parts")
    _allow_files(_FILES * len(paths))
    with ExitStack() as stack:
        parts: list[Part] = []
        for path in paths:
            if any(path.resolve() == part.path.resolve() for part in parts):
                raise UsageError(f"{path} is given twice; every part is merged once")
            parts.append(_open(path, stack))
        _check_one_run(parts)
        yield parts


def _open(path: Path, stack: ExitStack) -> Part:
    if not (path / RUN).is_file():
        raise RunDirError(f"{path} is not a part of a run: it has no {RUN}; the worker that writes it has not begun")
    record = RunRecord.load(path)
    if not record.part:
        raise RunDirError(f"{path} is a whole run, not a part of one; only what --shard or an --executor wrote can be merged")
    stack.enter_context(DirectoryLock(path))
    connection = stack.enter_context(closing(_connect(path / JOURNAL)))
    return Part(path, RunRecord.load(path), connection)


def _connect(journal: Path) -> sqlite3.Connection:
    """A worker that was killed at its start has left no journal: its part is empty."""
    return connect_to_read(journal, briefly=True) if journal.exists() else connect_to_write(Path(":memory:"))


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, count + 256) if hard != resource.RLIM_INFINITY else count + 256
    if soft < wanted:
        with suppress(OSError, ValueError):  # what the limit then refuses to open says so itself
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _check_one_run(parts: Sequence[Part]) -> None:
    first = parts[0]
    known: dict[str, Path] = {}
    for part in parts:
        if part.record.part_id in known:
            raise UsageError(f"{part.path} is a copy of {known[part.record.part_id]}; give one of them")
        known[part.record.part_id] = part.path
        if part.record.digest != first.record.digest:
            changes = (f"{name} ({old!r} and {new!r})" for name, old, new in _changes(first, part))
            raise RunDirError(f"{first.path} and {part.path} are parts of different runs: {'; '.join(changes)}")
        _check_settings(first, part)
    counts = {part.record.items: part.path for part in reversed(parts) if part.record.items is not None}
    if len(counts) > 1:
        (one, where), (other, there), *_ = counts.items()
        raise RunDirError(f"the input has changed between the parts: it had {one} items for {where} and {other} for {there}")


def _check_settings(first: Part, part: Part) -> None:
    """What both have found out for themselves, such as a fitted model, has to be the same."""
    mine, theirs = first.record.settings, part.record.settings
    other = [name for name in sorted(mine.keys() & theirs.keys()) if mine[name] != theirs[name] and name != ARROW]
    if other:
        raise RunDirError(
            f"{first.path} and {part.path} were made under another {other[0]}: run one of them again in a new directory, with "
            "--reuse of the other"
        )


def _changes(first: Part, part: Part) -> Iterator[tuple[str, object, object]]:
    return differences(first.record.identity, part.record.identity)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the parts hold together: `items` in all, and which of them `failed`, with the note on each."""

    items: int
    failed: dict[int, bytes]


def check_parts(parts: Sequence[Part], items: int | None = None) -> Plan:
    """Is every item of the run there, once, and everywhere the same? Reads marks, and only what stands twice also in full.

    `items` is how many the run has, where the caller knows it; otherwise the parts say so. Raises `RunDirError`.
    """
    known = next((part.record.items for part in parts if part.record.items is not None), None)
    total = known if items is None else items
    if total is None:
        raise RunDirError(f"no part has come to its end: continue {parts[0].path} with --resume")
    if known is not None and known != total:
        raise RunDirError(f"the input has changed: it has {total} items now and had {known} for the parts")
    failed: dict[int, bytes] = {}
    missing, chain, due = _Missing(), _Chain(), 0
    for item, rows in groupby(_marks(parts), key=itemgetter(0)):
        held = [(part, mark, done) for _, mark, done, part in rows]
        if item >= total:
            raise RunDirError(f"{held[0][0].path} holds item {item} of a run of {total} items: the input has changed")
        if item > due:
            missing.note(due, item)
            chain.forget()
        _check_item(item, held, chain)
        if not any(done for *_, done in held):
            failed[item] = held[0][0].failure(item)
        due = item + 1
    missing.note(due, total)
    if missing.count:
        raise _incomplete(parts, missing, total)
    return Plan(total, failed)


Held = tuple[Part, bytes, bool]


def _marks(parts: Iterable[Part]) -> Iterator[tuple[int, bytes, bool, Part]]:
    def of(part: Part) -> Iterator[tuple[int, bytes, bool, Part]]:
        return ((item, mark, done, part) for item, mark, done in part.marks())

    return heapq.merge(*map(of, parts), key=itemgetter(0))


class _Missing:
    """How many items are in no part, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[int] = []

    def note(self, start: int, stop: int) -> None:
        self.count += stop - start
        self.first += range(start, min(stop, start + _NAMED - len(self.first)))


class _Chain:
    """Follows the marks in item order, across the parts: each must continue what the others saw before it."""

    def __init__(self) -> None:
        self._before: bytes | None = bytes(SIZE)
        self._agreed: dict[Path, int] = {}

    def forget(self) -> None:
        self._before = None

    def follow(self, item: int, held: Sequence[Held]) -> None:
        """Raises `RunDirError` where a part saw other items than the parts that did them."""
        for part, mark, _ in held:
            if self._before is not None and mark != NO_MARK and link(self._before, mark[:SIZE]) != mark[SIZE:]:
                since = self._agreed.get(part.path, -1) + 1
                which = f"item {item}" if since == item else f"one of the items {since} to {item}"
                raise RunDirError(
                    f"{which} is not the same for {part.path} and for the other parts: the input has changed between them; "
                    "run the parts again in a new directory"
                )
            self._agreed[part.path] = item
        mark = held[0][1]
        self._before = None if mark == NO_MARK else mark[SIZE:]


def _check_item(item: int, held: Sequence[Held], chain: _Chain) -> None:
    first, mark, _ = held[0]
    for part, other, _ in held:
        if other[:SIZE] != mark[:SIZE] and NO_MARK not in {other, mark}:
            raise RunDirError(f"item {item} is not the same in {first.path} and {part.path}: the input has changed between them")
    chain.follow(item, held)
    done = [part for part, _, finished in held if finished]
    for part in done[1:]:
        if not _same(done[0].result(item), part.result(item)):
            raise RunDirError(
                f"item {item} has other records in {done[0].path} than in {part.path}; leave out one of the two, "
                "or run one again in a new directory"
            )


def _same(left: bytes, right: bytes) -> bool:
    """Two builds of zlib may pack the same rows differently."""
    return left == right or zlib.decompress(left) == zlib.decompress(right)


def _incomplete(parts: Sequence[Part], missing: _Missing, total: int) -> RunDirError:
    named = ", ".join(map(str, missing.first)) + (", ..." if missing.count > len(missing.first) else "")
    open_parts = [part for part in parts if part.record.status != "finished"]
    remedy = (
        f"continue part {open_parts[0].record.part} in {open_parts[0].path} with --resume" if open_parts else "give every part"
    )
    return RunDirError(f"{missing.count} of {total} items are in none of the {len(parts)} parts (item {named}); {remedy}")
