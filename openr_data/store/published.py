"""Reading a published folder: the tables that its `manifest.json` names, split by split. Trusts only that; knows no run."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from openr_data.errors import InputError, RunDirError
from openr_data.store.frames import Row
from openr_data.store.manifest import NAME as MANIFEST
from openr_data.store.published_manifest import read_manifest
from openr_data.store.read import ItemRecords, join_items
from openr_data.store.run_record import NAME as RUN
from openr_data.store.schemas import SCHEMA_VERSION, TABLES
from openr_data.store.table_rows import table_rows

_FILE = re.compile(r"(?:data|data-[0-9a-f]+)/(?P<table>\w+)/(?P<split>\w+)-(?P<index>\d{5,})-of-(?P<count>\d{5,})\.parquet")
_SPLITS = ("train", "validation", "test")
_MAIN = ("labeled", "solutions")
_REMEDY = "get the data set again"


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One Parquet file of a table, as the manifest describes it."""

    path: Path
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class PublishedReader:
    """`parts`: the files of each table, the main one first, by split, in order; a table without rows in a split has none there.

    `identity` says what ran (as in a `run.json`); empty where that was not published, or is of another version than the files.
    """

    path: Path
    parts: Mapping[str, Mapping[str, tuple[PublishedFile, ...]]]
    identity: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path, split: str | None = None) -> PublishedReader:
        """All splits, or one. Raises `InputError` where this is no published data set, or has no such split; and `RunDirError`
        where a file is missing or has another size.
        """
        body = read_manifest(path)
        if body is None:
            raise InputError(f"{path} is no data set published by openr-data: it has no {MANIFEST} of one")
        if body.get("schema_version") != SCHEMA_VERSION:
            found = body.get("schema_version")
            raise InputError(f"{path} was published with data schema {found}, and this openr-data reads {SCHEMA_VERSION}")
        parts = _parts(path, body)
        if "problems" not in parts or not any(table in parts for table in _MAIN):
            raise InputError(f"{path} was published by openr-data, but holds no tables with problems and solutions")
        ordered = dict(sorted(parts.items(), key=lambda part: (part[0] not in _MAIN, list(TABLES).index(part[0]))))
        reader = cls(path, ordered, _identity(path, body))
        if split is not None:
            reader = reader.only(split)
        reader.check()
        return reader

    @property
    def splits(self) -> tuple[str, ...]:
        names = {split for files in self.parts.values() for split in files}
        return tuple(sorted(names, key=lambda name: (_SPLITS.index(name) if name in _SPLITS else len(_SPLITS), name)))

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(self.parts)

    def only(self, split: str) -> PublishedReader:
        if split not in self.splits:
            raise InputError(f"{self.path} has no split '{split}'; it has {', '.join(self.splits)}")
        parts = {table: {split: files[split]} if split in files else {} for table, files in self.parts.items()}
        return PublishedReader(self.path, parts, self.identity)

    def check(self) -> None:
        """Raises `RunDirError` where a file is not there, or not whole."""
        for table in self.parts:
            for file in self._files(table):
                if not file.path.is_file() or file.path.stat().st_size != file.bytes:
                    raise RunDirError(f"{file.path} is missing or not whole; {_REMEDY}")

    def files(self, table: str) -> list[Path]:
        """Of one split after the other."""
        return [file.path for file in self._files(table)]

    def rows(self, table: str) -> int:
        return sum(file.rows for file in self._files(table))

    def items(self, *, tables: tuple[str, ...] | None = None) -> Iterator[ItemRecords]:
        """The items of one split after the other, one at a time in memory; `tables` limits what is read beside the problems."""
        wanted = [table for table in self.parts if table != "problems" and (tables is None or table in tables)]
        for split in self.splits:
            others = {table: self._rows(table, split) for table in wanted}
            yield from join_items(self._rows("problems", split), others)

    def _files(self, table: str) -> Iterator[PublishedFile]:
        return chain.from_iterable(self.parts[table].get(split, ()) for split in self.splits)

    def _rows(self, table: str, split: str) -> Iterator[Row]:
        files = self.parts[table].get(split, ())
        return chain.from_iterable(table_rows(file.path, table, file.rows, _REMEDY) for file in files)


def _parts(path: Path, body: Mapping[str, Any]) -> dict[str, dict[str, tuple[PublishedFile, ...]]]:
    """By table and split. Only names that a publication can have are followed: the manifest is text from outside."""
    found: dict[tuple[str, str], list[tuple[int, int, PublishedFile]]] = {}
    try:
        for each in body["files"]:
            match = _FILE.fullmatch(each["path"])
            if match and match["table"] in TABLES:
                file = PublishedFile(path / each["path"], int(each["rows"]), int(each["bytes"]))
                place = (int(match["index"]), int(match["count"]), file)
                found.setdefault((match["table"], match["split"]), []).append(place)
    except (KeyError, TypeError, ValueError) as fault:
        raise RunDirError(f"{path / MANIFEST} is damaged ({type(fault).__name__}); {_REMEDY}") from fault
    parts: dict[str, dict[str, tuple[PublishedFile, ...]]] = {}
    for (table, split), files in sorted(found.items()):
        files.sort(key=lambda file: file[0])
        count = len(files)
        if [file[:2] for file in files] != [(index, count) for index in range(count)]:
            raise RunDirError(f"{path / MANIFEST} does not name every file of the table {table}, split {split}; {_REMEDY}")
        parts.setdefault(table, {})[split] = tuple(file for _, _, file in files)
    return parts


def _identity(path: Path, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A publication to a folder that is under way, or was stopped, may have replaced `run.json` already."""
    try:
        content = (path / RUN).read_bytes()
        if hashlib.sha256(content).hexdigest() not in [each["sha256"] for each in body["files"] if each["path"] == RUN]:
            return {}
        identity = json.loads(content)["identity"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return identity if isinstance(identity, dict) else {}
