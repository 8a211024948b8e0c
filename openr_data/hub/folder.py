"""A folder that fsspec can write: of this machine, of an object store, in memory. Knows files, not what they mean.

One file appears whole or not at all where the store puts objects whole, and on this machine by a rename. More than one file does
not: whoever publishes writes under new names first, and changes the file that names them last.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from openr_data.errors import HubError, OpenRDataError, UsageError
from openr_data.hub.files import LocalFile
from openr_data.hub.secrets import cleared

T = TypeVar("T")
_BLOCK = 1 << 20


class Folder:
    """`url` is a path or an address such as `s3://bucket/folder`. Every error is one sentence without secrets."""

    def __init__(self, url: str) -> None:
        self.name = cleared(url)
        self._fs, self._root = self._opened(url)
        self._local = "file" in ([self._fs.protocol] if isinstance(self._fs.protocol, str) else self._fs.protocol)
        if self._local:
            self._root = os.path.realpath(self._root)  # `new/../folder` is not there before `new` is made, but would be after

    def _opened(self, url: str) -> tuple[Any, str]:
        import fsspec  # type: ignore[import-untyped]

        try:
            fs, root = fsspec.core.url_to_fs(url)
        except ImportError as fault:
            raise UsageError(f"{self.name} needs another package ({cleared(str(fault))})") from None
        except ValueError as fault:
            raise UsageError(f"{self.name} is not an address that fsspec knows ({cleared(str(fault))})") from None
        return fs, str(root).rstrip("/") or "/"

    def sizes(self) -> dict[str, int]:
        """Every file that is not hidden, by its path below the folder; empty where there is no such folder."""

        def found() -> dict[str, int]:
            self._fs.invalidate_cache()
            if not self._fs.exists(self._root):
                return {}
            if self._fs.isfile(self._root):
                raise UsageError(f"{self.name} is a file; give a folder")
            files = self._fs.find(self._root, detail=True)
            return {self._relative(path): int(info["size"]) for path, info in files.items()}

        return self._ask("listed", found)

    def read(self, path: str, start: int | None = None, stop: int | None = None) -> bytes:
        return bytes(self._ask("read", lambda: self._fs.cat_file(self._path(path), start=start, end=stop)))

    def sha256(self, path: str) -> str:
        """Of the bytes as they are there, in bounded memory."""

        def digest() -> str:
            found = hashlib.sha256()
            with self._fs.open(self._path(path), "rb") as file:
                while block := file.read(_BLOCK):
                    found.update(block)
            return found.hexdigest()

        return self._ask("read", digest)

    def put(self, file: LocalFile) -> None:
        """Write a file and read it back. Raises `HubError` where other bytes are there."""

        def put() -> None:
            self._fs.makedirs(self._parent(file.path), exist_ok=True)
            self._fs.put_file(str(file.source), self._path(file.path))
            if self._local:
                _sync(Path(self._path(file.path)))

        self._ask("written", put)
        if self.sha256(file.path) != file.sha256:
            raise HubError(f"{file.path} does not read back from {self.name} as it was written; run the same command again")

    def replace(self, file: LocalFile) -> None:
        """Write a small file in one step: readers see the old one or the new one."""
        content = file.source.read_bytes()
        self._ask("written", lambda: self._replace(file.path, content))

    def _replace(self, path: str, content: bytes) -> None:
        self._fs.makedirs(self._parent(path), exist_ok=True)
        if not self._local:
            self._fs.pipe_file(self._path(path), content)
            return
        place = Path(self._path(path))
        partial = place.with_name(f".{place.name}.partial")
        partial.write_bytes(content)
        _sync(partial)
        partial.replace(place)
        _sync(place.parent)

    def delete(self, paths: Iterable[str]) -> None:
        """Remove files, and on this machine the folders that are empty then."""
        for path in paths:
            self._ask("deleted", partial(self._delete, path))

    def _delete(self, path: str) -> None:
        if self._fs.exists(self._path(path)):
            self._fs.rm_file(self._path(path))
        if self._local:
            for parent in Path(path).parents[:-1]:
                folder = Path(self._path(parent.as_posix()))
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()

    def _path(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"

    def _parent(self, path: str) -> str:
        return self._path(path).rsplit("/", 1)[0]

    def _relative(self, path: str) -> str:
        return path.removeprefix(self._root.rstrip("/")).lstrip("/")

    def _ask(self, done: str, question: Callable[[], T]) -> T:
        """Only code of fsspec and its drivers runs here, and it raises what their libraries raise."""
        try:
            return question()
        except OpenRDataError:
            raise
        except Exception as fault:
            said = cleared(str(fault))
            what = f"{type(fault).__name__}{': ' + said if said else ''}"
        raise HubError(f"{self.name} cannot be {done} ({what}); check the address and the permissions")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
