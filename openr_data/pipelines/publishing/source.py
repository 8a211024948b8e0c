"""What is published: a run, staged into split files, or a folder that `openr-data export` wrote, as it is. Knows no place."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from openr_data.data_cards.card import graft_card
from openr_data.errors import InputError, RunDirError, UsageError
from openr_data.hub.files import LocalFile
from openr_data.pipelines.exporting.exported import NAME as EXPORT
from openr_data.pipelines.exporting.exported import Exported
from openr_data.pipelines.publishing.record import MANIFEST, Entry, manifest_text
from openr_data.pipelines.publishing.staging import (
    FILE_BYTES,
    README,
    CardMaker,
    Staged,
    add_card,
    finished_run,
    stage_data,
    staging_folder,
)
from openr_data.pipelines.splits import Splits
from openr_data.store.atomic import write_text
from openr_data.store.read import RunReader
from openr_data.store.run_record import NAME as RUN

_ANYWHERE = 'load_dataset("PATH"'
_SMALLEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Cut:
    """How a run is divided: into splits by question, and into files of at most `file_bytes`."""

    splits: Splits = field(default_factory=Splits)
    file_bytes: int = FILE_BYTES


class Source(Protocol):
    @property
    def rows(self) -> Mapping[str, Mapping[str, int]]: ...

    @property
    def rows_of_files(self) -> Mapping[str, int]:
        """The rows of each Parquet file."""
        ...

    def loads(self, path: str) -> bool:
        """Would loaders look for a file of this name?"""
        ...

    def pinned(self, path: str) -> bool:
        """Does the file have the same name in every version, so that a folder cannot take over another one in one step?"""
        ...

    def another(self, manifest: Mapping[str, Any]) -> str:
        """What makes the publication with this manifest another work, of which this is no new version; "" where nothing does."""
        ...

    def files(self, existing: str, location: str) -> list[LocalFile]:
        """Everything to publish, once it is known what README.md is there and what it is loaded by."""
        ...


@dataclass(frozen=True, slots=True)
class RunSource:
    run: Path
    staged: Staged
    maker: CardMaker

    @property
    def rows(self) -> Mapping[str, Mapping[str, int]]:
        return self.staged.rows

    @property
    def rows_of_files(self) -> Mapping[str, int]:
        return {entry.path: entry.rows for entry in self.staged.entries if entry.rows is not None}

    def loads(self, path: str) -> bool:
        return any(fnmatchcase(path, pattern) for pattern in self.staged.patterns)

    def pinned(self, path: str) -> bool:
        """The data lie in a folder that is named by what is in it."""
        return False

    def another(self, manifest: Mapping[str, Any]) -> str:
        return ""

    def files(self, existing: str, location: str) -> list[LocalFile]:
        add_card(self.staged, self.maker(self.run, self.staged.tables, existing, location))
        return local_files(self.staged.folder)


@dataclass(frozen=True, slots=True)
class FolderSource:
    """An exported folder. `staging` takes its card and manifest, so that nothing is written into the folder itself."""

    exported: Exported
    staging: Path
    entries: tuple[Entry, ...]

    @property
    def rows(self) -> Mapping[str, Mapping[str, int]]:
        counts: dict[str, int] = {}
        for file in self.exported.files:
            counts[file.split] = counts.get(file.split, 0) + file.rows
        return {"default": counts}

    @property
    def rows_of_files(self) -> Mapping[str, int]:
        return {file.path: file.rows for file in self.exported.files if file.path.endswith(".parquet")}

    def loads(self, path: str) -> bool:
        return any(fnmatchcase(path, f"{Path(file.path).parent.as_posix()}/*") for file in self.exported.files)

    def pinned(self, path: str) -> bool:
        return True

    def another(self, manifest: Mapping[str, Any]) -> str:
        return ""

    def files(self, existing: str, location: str) -> list[LocalFile]:
        """The folder's card keeps what people wrote into the one that is there, and says where the data are now."""
        folder = self.exported.path
        card = (folder / README).read_text(encoding="utf-8").replace(_ANYWHERE, f'load_dataset("{location}"')
        write_text(self.staging / README, graft_card(card, existing))
        write_text(self.staging / MANIFEST, manifest_text(self.entries, {"export": True}))
        return [*(LocalFile.of(entry.path, folder / entry.path) for entry in self.entries), *local_files(self.staging)]


Sources = Callable[[], AbstractContextManager[Source]]
"""Stages the source when it is entered."""


def source_of(path: Path, cut: Cut, maker: CardMaker, *, versioned: bool = False) -> Sources:
    """The run or the exported folder at `path`. Raises `RunDirError` or `InputError` where it cannot be published.

    `versioned`: the data folder of a run is named by its content.
    """
    if (path / RUN).is_file():
        reader = finished_run(path)
        return lambda: _staged(reader, cut, maker, versioned=versioned)
    if not (path / EXPORT).is_file():
        raise RunDirError(f"{path} is neither a run directory nor a folder that `openr-data export` wrote")
    exported = Exported.open(path)
    exported.check()
    if not (path / README).is_file():
        raise InputError(f"{path} has no {README}; export the run again")
    return lambda: _exported(exported)


@contextmanager
def _staged(reader: RunReader, cut: Cut, maker: CardMaker, *, versioned: bool) -> Iterator[Source]:
    with staging_folder(reader.path) as folder:
        yield RunSource(reader.path, stage_data(reader, cut.splits, folder, cut.file_bytes, versioned=versioned), maker)


@contextmanager
def _exported(exported: Exported) -> Iterator[Source]:
    written = {file.path: file for file in exported.files}
    entries = []
    for local in local_files(exported.path, skip={README, MANIFEST}):
        file = written.get(local.path)
        if file is not None and local.sha256 != file.sha256:
            raise InputError(f"{local.source} was changed since it was exported; export the run again")
        entries.append(Entry(local.path, local.size, local.sha256, file.rows if file else None))
    with tempfile.TemporaryDirectory(prefix="openr-data-publish-") as staging:
        yield FolderSource(exported, Path(staging), tuple(entries))


def local_files(folder: Path, skip: set[str] | frozenset[str] = frozenset()) -> list[LocalFile]:
    """Every file below a folder but hidden ones; links are refused."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise InputError(f"{path} is a link; only files are published")
        if path.is_file() and name not in skip and not any(part.startswith(".") for part in name.split("/")):
            found.append(LocalFile.of(name, path))
    return found


def parse_size(text: str) -> int:
    """A size in bytes.

    >>> parse_size("500MB"), parse_size("1.5 GB"), parse_size("2000000")
    (500000000, 1500000000, 2000000)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKMG]?)B?", text.strip())
    size = int(float(match[1]) * {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[match[2].replace("K", "k")]) if match else 0
    if size < _SMALLEST:
        raise UsageError(f"a file size is a number with MB or GB, of at least 1MB, such as 500MB, not '{text}'")
    return size
