"""A finished run as a folder that can be published: its tables in split files, with what says what they are. Knows no Hub.

The folder is a function of the run, the splits and the sizes alone, so that publishing again finds nothing new.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from openr_data.data_cards.card import CardSplit, CardTable
from openr_data.errors import RunDirError
from openr_data.pipelines.publishing.record import MANIFEST, RUN, Entry, manifest_text, run_text
from openr_data.pipelines.splits import NAMES, Splits
from openr_data.store.atomic import digest, file_digest, write_text
from openr_data.store.lock import DirectoryLock
from openr_data.store.read import RunReader
from openr_data.store.schemas import TABLES, card_features

if TYPE_CHECKING:
    from openr_data.store.split_files import SplitFile

README = "README.md"
LICENSE = "LICENSE"
FILE_BYTES = 500_000_000
"""The largest file that the `datasets` library writes itself."""
_FOLDER = ".publish"


@dataclass(frozen=True, slots=True)
class Card:
    """A README.md with the bytes of its figures by path, such as `figures/values.png`."""

    text: str
    figures: Mapping[str, bytes]


CardMaker = Callable[[Path, Sequence[CardTable], str, str], Card]
"""The card of a run with these tables, given the text that is there and the name it is loaded by."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A folder to publish. `entries` are its files but the card and the manifest; `facts` stand in the manifest beside them."""

    folder: Path
    tables: tuple[CardTable, ...]
    entries: tuple[Entry, ...]
    facts: Mapping[str, object]

    @property
    def rows(self) -> dict[str, dict[str, int]]:
        return {table.name: {part.name: part.rows for part in table.splits} for table in self.tables}

    @property
    def patterns(self) -> tuple[str, ...]:
        """Which files loaders look for."""
        return tuple(part.path for table in self.tables for part in table.splits)


def finished_run(path: Path) -> RunReader:
    """The run at `path`. Raises `RunDirError` where it is not finished, or has nothing to publish."""
    reader = RunReader.open(path)
    if reader.record.status != "finished" or not reader.complete:
        raise RunDirError(f"{path} is not finished ({reader.record.status}); continue it with --resume, then publish it")
    main = reader.manifest.tables[0]
    if not reader.size(main).rows:
        raise RunDirError(f"{path} has no row in its table '{main}', so there is nothing to publish")
    return reader


@contextmanager
def staging_folder(run: Path) -> Iterator[Path]:
    """An empty folder for one publication at a time: in the run, whose disk holds as much already, or else the system's."""
    folder = run / _FOLDER
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        with tempfile.TemporaryDirectory(prefix="openr-data-publish-") as name:
            yield Path(name)
        return
    with DirectoryLock(folder):
        try:
            _empty(folder)
            (folder / "files").mkdir()
            yield folder / "files"
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def stage_data(reader: RunReader, splits: Splits, folder: Path, file_bytes: int, *, versioned: bool = False) -> Staged:
    """Write the tables, `run.json` and the licence. `versioned`: the folder of the data is named by what is in it."""
    from openr_data.store.split_files import split_items, write_splits

    written = write_splits(reader, split_items(reader, NAMES, splits.of), folder / "data", file_bytes)
    data = "data"
    if versioned:
        data = f"data-{digest([each.sha256 for each in written])[:12]}"
        (folder / "data").rename(folder / data)
    entries = [Entry(_moved(each.path, data), each.bytes, each.sha256, each.rows) for each in written]
    write_text(folder / RUN, run_text(reader.record))
    entries.append(entry_of(folder, RUN))
    if (reader.path / LICENSE).is_file():
        shutil.copyfile(reader.path / LICENSE, folder / LICENSE)
        entries.append(entry_of(folder, LICENSE))
    facts = {"run": reader.record.digest, "splits": dict(zip(NAMES, splits.shares, strict=True))}
    tables = tuple(_table(reader, name, written, data) for name in reader.manifest.tables)
    return Staged(folder, tables, tuple(entries), facts)


def add_card(staged: Staged, card: Card) -> None:
    """Write the card with its figures, and the manifest of everything but the card."""
    write_text(staged.folder / README, card.text)
    entries = list(staged.entries)
    for name, content in sorted(card.figures.items()):
        path = staged.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        entries.append(entry_of(staged.folder, name))
    write_text(staged.folder / MANIFEST, manifest_text(entries, staged.facts))


def entry_of(folder: Path, name: str, rows: int | None = None) -> Entry:
    return Entry(name, (folder / name).stat().st_size, file_digest(folder / name), rows)


def _table(reader: RunReader, name: str, written: Sequence[SplitFile], data: str) -> CardTable:
    mine = [each for each in written if each.table == name]
    parts = [_part(name, split, [each for each in mine if each.split == split], data) for split in NAMES]
    parts = [part for part in parts if part.rows]
    spec, size = TABLES[name], reader.size(name)
    if sum(part.rows for part in parts) != size.rows:
        raise RunDirError(f"{reader.path} changed while it was read ({name}); publish it when nothing writes to it")
    total = sum(part.bytes for part in parts), sum(part.arrow_bytes for part in parts)
    return CardTable(name, spec.doc, card_features(spec), size.rows, *total, splits=parts)


def _part(table: str, split: str, files: Sequence[SplitFile], data: str) -> CardSplit:
    sums = [sum(getattr(each, name) for each in files) for name in ("rows", "bytes", "arrow_bytes")]
    return CardSplit(split, f"{data}/{table}/{split}-*.parquet", *sums)


def _moved(path: str, data: str) -> str:
    return f"{data}/{path.split('/', 1)[1]}"


def _empty(folder: Path) -> None:
    """What a publication that was killed has left."""
    for each in folder.iterdir():
        if each.name == "lock":
            continue
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
