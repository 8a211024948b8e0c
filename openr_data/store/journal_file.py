"""The journal's file: its tables, how it is opened to write and to read, and what its rows are checked by.

Knows rows as bytes and numbers, not what they hold.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from openr_data.errors import RunDirError
from openr_data.store.frames import checksum

VERSION = 1
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = OFF",
    "wal_autocheckpoint = 8192",  # keys are random: the longer the log, the more of their pages are written back only once
    "journal_size_limit = 67108864",
    "cache_size = -32768",
)

COMPLETIONS = "SELECT CAST(key AS BLOB), coalesce(CAST(value AS BLOB), x''), CAST(crc AS INTEGER) FROM completions "
RESULTS = "SELECT item, coalesce(CAST(value AS BLOB), x''), CAST(crc AS INTEGER) FROM results "
FAILURES = "SELECT item, coalesce(CAST(value AS BLOB), x''), CAST(crc AS INTEGER) FROM failures "
"""Values and checksums as bytes and numbers, also where a flipped bit has changed their type."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS completions (key BLOB PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS results (item INTEGER PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS failures (item INTEGER PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO totals VALUES ('completions', 0), ('tokens', 0);
"""


def connect_to_write(path: Path) -> sqlite3.Connection:
    """WAL with a full sync at every commit: what is committed survives the loss of power, not only of the process."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise RunDirError(f"{path} was written by another version of openr-data; use that version, or --fork it")
        connection.executescript(f"{_SCHEMA} PRAGMA user_version = {VERSION};")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path, *, briefly: bool = False) -> sqlite3.Connection:
    """Read only, also while another process writes, and also from a read-only disk.

    `briefly`: where nobody writes now, assume that nobody starts to, and leave no file beside the journal.
    """
    log = path.with_name(f"{path.name}-wal")
    queries = ["mode=ro"]
    if not _size(log):  # otherwise rows are in the log, which `immutable` does not read
        queries.insert(0 if briefly else 1, "mode=ro&immutable=1")
    for query in queries:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?{query}", uri=True, isolation_level=None, timeout=30)
        try:
            connection.execute("SELECT count(*) FROM totals").fetchone()
        except sqlite3.DatabaseError:
            connection.close()
            continue
        return connection
    raise RunDirError(f"{path} cannot be read as a journal; check the path, or run `openr-data verify`")


def _size(path: Path) -> int:
    """0 where it is not there: who writes the journal may be closing it at this moment."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def item_checksum(item: int, value: bytes) -> int:
    return checksum(item.to_bytes(8, "big"), value)
