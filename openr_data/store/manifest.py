"""The manifest: which shard files make up a run's data, with sizes and checksums. Readers trust only what it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from openr_data.errors import RunDirError
from openr_data.store.atomic import read_checked_json, write_checked_json

NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class ShardFile:
    """One Parquet file. `path` is relative to the run; `arrow_bytes` is the size of its rows in memory."""

    path: str
    rows: int
    bytes: int
    arrow_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Shard:
    """The records of the items `[start, stop)`, one file per table; `failed` are items among them that have no records."""

    index: int
    start: int
    stop: int
    files: Mapping[str, ShardFile]
    failed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TableSize:
    """Totals of one table over all shards."""

    rows: int
    bytes: int
    arrow_bytes: int
    shards: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """All sealed shards of the run with configuration `digest`, by index."""

    digest: str
    tables: tuple[str, ...]
    shards: Mapping[int, Shard] = field(default_factory=dict)

    def adding(self, shard: Shard) -> Manifest:
        return replace(self, shards=dict(sorted({**self.shards, shard.index: shard}.items())))

    def without(self, indices: set[int]) -> Manifest:
        return replace(self, shards={index: shard for index, shard in self.shards.items() if index not in indices})

    def files(self, table: str) -> list[ShardFile]:
        """The files of a table, in item order."""
        return [shard.files[table] for shard in self.shards.values()]

    def size(self, table: str) -> TableSize:
        files = self.files(table)
        totals = {name: sum(getattr(file, name) for file in files) for name in ("rows", "bytes", "arrow_bytes")}
        return TableSize(**totals, shards=len(files))

    def save(self, directory: Path) -> None:
        body = {"digest": self.digest, "tables": list(self.tables), "shards": [asdict(s) for s in self.shards.values()]}
        write_checked_json(directory / NAME, body)

    @classmethod
    def load(cls, directory: Path) -> Manifest:
        """Raises `RunDirError` where the file is missing, damaged, or not a manifest."""
        body = read_checked_json(directory / NAME, f"run `openr-data verify {directory} --repair`")
        try:
            shards = [_read_shard(each) for each in body["shards"]]
            return cls(body["digest"], tuple(body["tables"]), {shard.index: shard for shard in shards})
        except (KeyError, TypeError) as fault:
            raise RunDirError(f"{directory / NAME} is not a manifest of this version of openr-data") from fault


def _read_shard(body: dict[str, Any]) -> Shard:
    files = {table: ShardFile(**file) for table, file in body["files"].items()}
    return Shard(body["index"], body["start"], body["stop"], files, tuple(body["failed"]))
