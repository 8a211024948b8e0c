"""The files of an export: rows of each split as Parquet or JSON lines, in files of bounded size. Knows no layout."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from openr_data.pipelines.exporting.config import ExportFile
from openr_data.pipelines.exporting.features import RowTypes, features
from openr_data.pipelines.splits import NAMES
from openr_data.store.atomic import file_digest, storage_errors, sync_file
from openr_data.store.shards import CHUNKING

_GROUP_ROWS = 10_000
_GROUP_BYTES = 16 << 20
_LEARN_ROWS = 1000


def disk_errors(path: Path) -> AbstractContextManager[None]:
    """An `OSError` on the export becomes a `StorageError` that says what to do."""
    return storage_errors(path, "export again, or choose another directory")


class Files(ABC):
    """The files of one split, one open at a time. Each gets its name when it is known how many there are."""

    suffix = ""

    def __init__(self, folder: Path, split: str, limit: int) -> None:
        self._folder, self._split, self._limit = folder, split, limit
        self._sink: BinaryIO | None = None
        self._rows = self._arrow_bytes = 0
        self._done: list[tuple[Path, int, int]] = []

    @abstractmethod
    def add(self, table: pa.Table) -> None: ...

    @abstractmethod
    def add_rows(self, rows: Sequence[Mapping[str, Any]]) -> None: ...

    @abstractmethod
    def flush(self) -> None:
        """Write what is still held."""

    @abstractmethod
    def begin(self, sink: BinaryIO) -> None:
        """Before the first row of a file."""

    @abstractmethod
    def end(self) -> None:
        """After its last one."""

    def finish(self) -> list[ExportFile]:
        self.flush()
        self._close()
        return [self._named(index, *each) for index, each in enumerate(self._done)]

    def _close(self) -> None:
        if self._sink is None:
            return
        with disk_errors(self._path):
            self.end()
            self._sink.flush()
            self._sink.close()
        self._done.append((self._path, self._rows, self._arrow_bytes))
        self._sink, self._rows, self._arrow_bytes = None, 0, 0

    def _room(self, size: int) -> BinaryIO:
        """The open file, a new one where the old one would grow beyond the limit."""
        if self._sink is not None and self._sink.tell() + size > self._limit:
            self._close()
        if self._sink is None:
            with disk_errors(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._sink = self._path.open("wb")
                self.begin(self._sink)
        return self._sink

    @property
    def _path(self) -> Path:
        return self._folder / "data" / f"{self._split}-{len(self._done):05d}{self.suffix}"

    def _named(self, index: int, path: Path, rows: int, arrow_bytes: int) -> ExportFile:
        final = path.with_name(f"{self._split}-{index:05d}-of-{len(self._done):05d}{self.suffix}")
        with disk_errors(final):
            sync_file(path)
            path.replace(final)
            size = final.stat().st_size
        name = final.relative_to(self._folder).as_posix()
        return ExportFile(self._split, name, rows, size, arrow_bytes, file_digest(final))


class ParquetFiles(Files):
    """As the shards of a run are written (see `store.shards`), with features from which `datasets` restores the columns."""

    suffix = ".parquet"

    def __init__(self, folder: Path, split: str, limit: int, schema: pa.Schema) -> None:
        super().__init__(folder, split, limit)
        self._schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features(schema)}})})
        self._pending: list[pa.Table] = []
        self._held = self._held_bytes = 0

    def add(self, table: pa.Table) -> None:
        if table.num_rows:
            self._pending.append(table)
            self._held += table.num_rows
            self._held_bytes += table.nbytes
        if self._held >= _GROUP_ROWS or self._held_bytes >= min(_GROUP_BYTES, self._limit):
            self.flush()

    def add_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.add(pa.Table.from_pylist(list(rows), self._schema))

    def flush(self) -> None:
        if not self._held:
            return
        group = pa.concat_tables([each.cast(self._schema) for each in self._pending]).combine_chunks()
        self._pending, self._held, self._held_bytes = [], 0, 0
        self._room(group.nbytes)
        with disk_errors(self._path):
            self._parquet.write_table(group, row_group_size=group.num_rows)
        self._rows += group.num_rows
        self._arrow_bytes += group.nbytes

    def begin(self, sink: BinaryIO) -> None:
        self._parquet = pq.ParquetWriter(
            sink,
            self._schema,
            compression="zstd",
            compression_level=3,
            use_content_defined_chunking=CHUNKING,
            write_page_index=True,
            write_page_checksum=True,
        )

    def end(self) -> None:
        self._parquet.add_key_value_metadata({"content_defined_chunking": json.dumps(CHUNKING)})
        self._parquet.close()


class JsonFiles(Files):
    """One JSON object a line, in UTF-8, every character as it is."""

    suffix = ".jsonl"

    def __init__(self, folder: Path, split: str, limit: int, types: RowTypes) -> None:
        super().__init__(folder, split, limit)
        self._types, self._unlearnt = types, list[Mapping[str, Any]]()

    def add(self, table: pa.Table) -> None:
        self.add_rows(table.to_pylist())

    def add_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
            if len(self._unlearnt) >= _LEARN_ROWS or (self._sink is not None and self._sink.tell() + len(line) > self._limit):
                self.flush()
            sink = self._room(len(line))
            with disk_errors(self._path):
                sink.write(line)
            self._rows += 1
            self._unlearnt.append(row)

    def flush(self) -> None:
        if self._unlearnt:
            self._arrow_bytes += self._types.learn(self._unlearnt)
            self._unlearnt = []

    def begin(self, sink: BinaryIO) -> None:
        """Nothing stands before the first line."""

    def end(self) -> None:
        """Nor behind the last one."""


class SplitWriter:
    """The files of every split by name; a split without rows has none."""

    def __init__(self, opener: Callable[[str], Files]) -> None:
        self._opener = opener
        self._splits: dict[str, Files] = {}

    def __getitem__(self, split: str) -> Files:
        if split not in self._splits:
            self._splits[split] = self._opener(split)
        return self._splits[split]

    def finish(self) -> list[ExportFile]:
        """All files in the order of the splits. Raises `StorageError`."""
        return [file for name in NAMES if name in self._splits for file in self._splits[name].finish()]
