"""Scores on disk: shards of whole rows in the order of the source, each there or not. Knows no model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openr_data.errors import RunDirError
from openr_data.store.atomic import partial_name, publish, read_checked_json, storage_errors, write_checked_json
from openr_data.store.run_record import differences

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "scoring.json"
VERSION = 1
_AGAIN = "run the same command again"


def schema(aggregates: Sequence[str]) -> pa.Schema:
    """One row per solution. `margins` and `probabilities` have one value per step; where the solution could not be scored they
    and the aggregates are null, and `reason` says why. `model` is the identity of the scorer.
    """
    import pyarrow as pa

    text, values = pa.string(), pa.float64()
    fixed = [
        ("problem_id", text),
        ("solution_id", text),
        ("margins", pa.list_(pa.float32())),
        ("probabilities", pa.list_(values)),
    ]
    return pa.schema([*fixed, *((name, values) for name in aggregates), ("reason", text), ("model", text)])


@dataclass(frozen=True, slots=True)
class ScoreFiles:
    """A folder of scores, or a single file that is put together from one at the end."""

    out: Path

    @property
    def single(self) -> bool:
        return self.out.suffix in {".parquet", ".arrow"}

    @property
    def folder(self) -> Path:
        return self.out.with_name(f".{self.out.name}.parts") if self.single else self.out

    @property
    def finished(self) -> bool:
        return self.out.is_file() if self.single else bool(self._record().get("complete"))

    def make(self) -> None:
        """The folder. Raises `RunDirError` where the file is there already, or the folder holds something else."""
        if self.out.exists() and (self.single or not self.out.is_dir()):
            raise RunDirError(f"{self.out} is there already; choose another file, or remove it")
        held = {each.name for each in self.folder.iterdir()} if self.folder.exists() else set()
        if NAME not in held and held - {"lock"}:
            raise RunDirError(f"{self.folder} holds something else than scores; choose another directory")
        with storage_errors(self.folder, _AGAIN):
            self.folder.mkdir(parents=True, exist_ok=True)

    def begin(self, identity: Mapping[str, Any]) -> int:
        """Rows that are there already. Raises `RunDirError` where the folder is of something else, naming what differs."""
        if not (self.folder / NAME).exists():
            write_checked_json(self.folder / NAME, {"version": VERSION, "complete": False, "identity": dict(identity)})
        self._compare(identity)
        return self._rows()

    def _record(self) -> dict[str, Any]:
        if not (self.folder / NAME).exists():
            return {}
        return read_checked_json(self.folder / NAME, "remove the folder and score again")

    def _compare(self, identity: Mapping[str, Any]) -> None:
        record = self._record()
        if record.get("version") != VERSION:
            raise RunDirError(f"{self.folder} was written by another version of openr-data; choose another directory")
        changes = [f"{name} ({old}, now {new})" for name, old, new in differences(record["identity"], dict(identity))]
        if changes:
            raise RunDirError(f"{self.folder} holds other scores: {'; '.join(changes)}; choose another directory, or remove it")

    def shards(self) -> list[Path]:
        return sorted(self.folder.glob("scores-*.parquet"))

    def _rows(self) -> int:
        """Raises `RunDirError` where one is damaged or missing in between: each name says how many rows stand before it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = 0
        for shard in self.shards():
            try:
                count = int(pq.read_metadata(shard).num_rows)
            except (OSError, pa.ArrowException) as fault:
                raise RunDirError(f"{shard} is damaged; remove it and those after it, and {_AGAIN}") from fault
            if shard != self._shard(rows):
                raise RunDirError(f"{self._shard(rows)} is missing; remove the shards after it, and {_AGAIN}")
            rows += count
        return rows

    def _shard(self, rows: int) -> Path:
        return self.folder / f"scores-{rows:010d}.parquet"

    def write(self, before: int, table: pa.Table) -> None:
        """The rows that follow the first `before`, whole or not at all."""
        import pyarrow.parquet as pq

        path = self._shard(before)
        with storage_errors(path, _AGAIN):
            pq.write_table(table, partial_name(path), compression="zstd", write_page_checksum=True)
            publish(partial_name(path), path)

    def tables(self) -> Iterator[pa.Table]:
        import pyarrow.parquet as pq

        for shard in self.shards():
            yield pq.read_table(shard, page_checksum_verification=True)

    def finish(self, fields: pa.Schema) -> None:
        """Mark the folder as complete, or put the file together and remove what it was made of."""
        if self.single:
            with storage_errors(self.out, _AGAIN):
                self._join(fields)
                self._clean()
        else:
            write_checked_json(self.folder / NAME, {**self._record(), "complete": True})

    def _join(self, fields: pa.Schema) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        partial = partial_name(self.out)
        if self.out.suffix == ".parquet":
            with pq.ParquetWriter(partial, fields, compression="zstd", write_page_checksum=True) as rows:
                for table in self.tables():
                    rows.write_table(table)
        else:
            with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, fields) as file:
                for table in self.tables():
                    file.write_table(table)
        publish(partial, self.out)

    def _clean(self) -> None:
        for path in [*self.folder.glob(".scores-*.partial"), *self.shards(), self.folder / NAME, self.folder / "lock"]:
            path.unlink(missing_ok=True)
        self.folder.rmdir()
