"""Durable files: written whole, synced, renamed into place. Knows bytes and JSON, not what they mean."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openr_data.errors import RunDirError, StorageError

_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG}


@contextmanager
def storage_errors(path: Path, again: str = "run again with --resume") -> Iterator[None]:
    """Turn an `OSError` on `path` (a full disk, a read-only one) into a `StorageError` that says what to do.

    `again`: how the command goes on once there is room.
    """
    try:
        yield
    except OSError as fault:
        reason = fault.strerror or str(fault)
        remedy = "choose a directory you may write to" if fault.errno in _FORBIDDEN else f"free the disk and {again}"
        raise StorageError(f"{path} could not be written ({reason}); {remedy}") from fault


def canonical(value: object) -> bytes:
    """One spelling per JSON value: sorted keys, no spaces, UTF-8.

    >>> canonical({"b": [1.0], "a": None})
    b'{"a":null,"b":[1.0]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex, in bounded memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_directory(path: Path) -> None:
    """A rename is durable only after its directory is."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def publish(partial: Path, path: Path) -> None:
    """Make the finished file `partial` stand at `path`, durably; both are in one directory."""
    sync_file(partial)
    partial.replace(path)
    sync_directory(path.parent)


def partial_name(path: Path) -> Path:
    """Where a file is written before it is whole."""
    return path.with_name(f".{path.name}.partial")


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` atomically. Raises `StorageError`."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """As `write_text`."""
    partial = partial_name(path)
    with storage_errors(path):
        partial.write_bytes(content)
        publish(partial, path)


def write_checked_json(path: Path, body: Mapping[str, Any]) -> None:
    """Write a JSON object that carries its own checksum, so that any later change of it is noticed."""
    record = {"checksum": digest(body), **body}
    write_text(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def read_checked_json(path: Path, remedy: str = "restore it from a copy") -> dict[str, Any]:
    """Read what `write_checked_json` wrote. Raises `RunDirError` where it is missing, torn or changed."""
    try:
        record = json.loads(path.read_bytes())
        checksum = record.pop("checksum")
    except FileNotFoundError:
        raise RunDirError(f"{path} is missing; {remedy}") from None
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as fault:
        raise RunDirError(f"{path} is damaged ({type(fault).__name__}); {remedy}") from fault
    except OSError as fault:
        raise RunDirError(f"{path} cannot be read ({fault.strerror})") from fault
    if checksum != digest(record):
        raise RunDirError(f"{path} is damaged: its checksum does not match its content; {remedy}")
    return dict(record)
