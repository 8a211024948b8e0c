"""One process per run directory: an advisory lock that dies with its process. Knows nothing of runs."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from openr_data.errors import RunDirError


class InUse(RunDirError):
    """Another process holds the directory; it may let go of it."""


_held: set[DirectoryLock] = set()


class DirectoryLock:
    """`with DirectoryLock(path):` holds `path/lock`; a second holder is refused with `RunDirError`, naming the first.

    The kernel drops the lock when the process ends, however it ends; forked workers do not keep it alive.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._handle = -1

    def acquire(self) -> None:
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as fault:
            raise RunDirError(f"{self._path} cannot be opened ({fault.strerror}); choose a directory you may write to") from fault
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            raise InUse(
                f"{self._path.parent} is in use by process {owner}; wait for it to end, or choose another directory"
            ) from None
        except OSError as fault:
            os.close(handle)
            raise RunDirError(f"{self._path} cannot be locked ({fault.strerror}); use a local file system") from fault
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        self._handle = handle
        _held.add(self)

    def release(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
            _held.discard(self)

    def __enter__(self) -> DirectoryLock:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def _drop_inherited() -> None:
    """A forked child shares the open file; as long as it kept it open, the lock would outlive a killed parent."""
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_drop_inherited)
