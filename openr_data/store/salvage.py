"""Save what is readable of a damaged journal. Knows its tables, not its meaning."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openr_data.store.atomic import partial_name, storage_errors, sync_directory
from openr_data.store.frames import checksum, unpack_completion
from openr_data.store.journal_file import COMPLETIONS, RESULTS, connect_to_write, item_checksum


def salvage_journal(path: Path) -> int:
    """Replace the journal by one that holds its sound rows; the damaged one goes to `quarantine/`. Returns the rows saved.

    The caller holds the run's lock. Rows that cannot be read, or fail their checksum, are done again by the next resume.
    """
    partial = partial_name(path)
    with storage_errors(path):
        for suffix in ("", "-wal", "-shm"):
            partial.with_name(partial.name + suffix).unlink(missing_ok=True)
        saved = _copy_sound_rows(path, partial)
        quarantine = path.parent / "quarantine"
        quarantine.mkdir(exist_ok=True)
        for suffix in ("", "-wal", "-shm"):
            source = path.with_name(path.name + suffix)
            if source.exists():
                source.replace(quarantine / source.name)
        partial.replace(path)
        sync_directory(path.parent)
    return saved


def _copy_sound_rows(source: Path, target: Path) -> int:
    writer = connect_to_write(target)
    try:
        writer.execute("BEGIN IMMEDIATE")
        rows = tokens = results = 0
        for key, value, crc in _readable(source, COMPLETIONS):
            if isinstance(key, bytes) and crc == checksum(key, value):
                rows += writer.execute("INSERT OR IGNORE INTO completions VALUES (?, ?, ?)", (key, value, crc)).rowcount
                tokens += unpack_completion(value).token_count
        for item, value, crc in _readable(source, RESULTS):
            if crc == item_checksum(item, value):
                results += writer.execute("INSERT OR IGNORE INTO results VALUES (?, ?, ?)", (item, value, crc)).rowcount
        writer.executemany("UPDATE totals SET value = ? WHERE name = ?", ((rows, "completions"), (tokens, "tokens")))
        writer.execute("COMMIT")
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return rows + results
    finally:
        writer.close()


def _readable(path: Path, query: str) -> Iterator[tuple[Any, Any, Any]]:
    """Rows from the front up to the first unreadable page, then from the back: a hole in the middle costs only itself."""
    for order in ("ASC", "DESC"):
        try:
            connection = sqlite3.connect(path, isolation_level=None)
        except sqlite3.Error:
            return
        try:
            yield from connection.execute(f"{query} NOT INDEXED ORDER BY rowid {order}")
        except sqlite3.Error:
            continue
        else:
            return
        finally:
            connection.close()
