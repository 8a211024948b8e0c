"""What is published: a run, staged into split files, or a folder that `openr-data export` wrote, as it is. Knows no place."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from openr_data.data_cards.card import graft_card
from openr_data.errors import InputError, RunDirError, UsageError
from openr_data.hub.files import LocalFile
from openr_data.pipelines.publishing.record import MANIFEST, Entry, manifest_text
from openr_data.pipelines.publishing.staging import (
    FILE_BYTES,
    README,
    CardMaker,
    Staged,
    add_card,
    entry_of,
    finished_run,
    stage_data,
    staging_folder,
)
from openr_data.pipelines.splits import Splits
from openr_data.store.atomic import write_text
from openr_data.store.read import RunReader
from openr_data.store.run_record import NAME as RUN

EXPORT = "export.json"
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

    @property
    def patterns(self) -> Sequence[str]:
        """Which files loaders look for."""
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

    @property
    def patterns(self) -> Sequence[str]:
        return self.staged.patterns

    def files(self, existing: str, location: str) -> list[LocalFile]:
        add_card(self.staged, self.maker(self.run, self.staged.tables, existing, location))
        return _local_files(self.staged.folder)


@dataclass(frozen=True, slots=True)
class FolderSource:
    """An exported folder. `staging` takes its card and manifest, so that nothing is written into the folder itself."""

    folder: Path
    staging: Path
    entries: tuple[Entry, ...]

    @property
    def rows(self) -> Mapping[str, Mapping[str, int]]:
        counts: dict[str, dict[str, int]] = {}
        for path, rows in self.rows_of_files.items():
            place, split = Path(path), Path(path).name.split("-")[0]
            table = counts.setdefault("default" if place.parent.name == "data" else place.parent.name, {})
            table[split] = table.get(split, 0) + rows
        return counts

    @property
    def rows_of_files(self) -> Mapping[str, int]:
        return {entry.path: entry.rows for entry in self.entries if entry.rows is not None}

    @property
    def patterns(self) -> Sequence[str]:
        return sorted({f"{Path(path).parent.as_posix()}/*" for path in self.rows_of_files})

    def files(self, existing: str, location: str) -> list[LocalFile]:
        """The folder's card keeps what people wrote into the one that is there, and says where the data are now."""
        card = (self.folder / README).read_text(encoding="utf-8").replace(_ANYWHERE, f'load_dataset("{location}"')
        write_text(self.staging / README, graft_card(card, existing))
        write_text(self.staging / MANIFEST, manifest_text(self.entries, {"export": True}))
        return [*(LocalFile.of(entry.path, self.folder / entry.path) for entry in self.entries), *_local_files(self.staging)]


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
    _check_export(path)
    return lambda: _exported(path)


@contextmanager
def _staged(reader: RunReader, cut: Cut, maker: CardMaker, *, versioned: bool) -> Iterator[Source]:
    with staging_folder(reader.path) as folder:
        yield RunSource(reader.path, stage_data(reader, cut.splits, folder, cut.file_bytes, versioned=versioned), maker)


def _check_export(path: Path) -> None:
    try:
        json.loads((path / EXPORT).read_bytes())
    except ValueError:
        raise InputError(f"{path / EXPORT} is damaged; export the run again") from None
    if not (path / README).is_file():
        raise InputError(f"{path} has no {README}; export the run again")


@contextmanager
def _exported(path: Path) -> Iterator[Source]:
    names = [file.path for file in _local_files(path, skip={README, MANIFEST})]
    entries = tuple(entry_of(path, name, _rows(path / name)) for name in names)
    with tempfile.TemporaryDirectory(prefix="openr-data-publish-") as staging:
        yield FolderSource(path, Path(staging), entries)


def _rows(path: Path) -> int | None:
    if path.suffix != ".parquet":
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, ValueError, pa.ArrowException):
        raise InputError(f"{path} is not a Parquet file; export the run again") from None


def _local_files(folder: Path, skip: set[str] | frozenset[str] = frozenset()) -> list[LocalFile]:
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
