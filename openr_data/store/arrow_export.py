"""The sealed shards as data sets for `datasets.load_from_disk`, in bounded memory. Knows Parquet and Arrow streams."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from openr_data.store.atomic import digest, partial_name, storage_errors, sync_directory, sync_file
from openr_data.store.manifest import Manifest
from openr_data.store.schemas import TABLES, arrow_schema, features


def write_arrow(run: Path, manifest: Manifest) -> None:
    """`arrow/<table>/` for every table: one Arrow stream per shard, and the two JSON files of a saved data set."""
    target = run / "arrow"
    partial = partial_name(target)
    with storage_errors(target):
        shutil.rmtree(partial, ignore_errors=True)
        for table in manifest.tables:
            _write_table(run, manifest, table, partial / table)
        sync_directory(partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        sync_directory(run)


def _write_table(run: Path, manifest: Manifest, table: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    files = manifest.files(table)
    names = [f"data-{index:05d}-of-{len(files):05d}.arrow" for index in range(len(files))]
    for file, name in zip(files, names, strict=True):
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, arrow_schema(table)) as stream:
            for batch in pq.ParquetFile(run / file.path, page_checksum_verification=True).iter_batches(1000):
                stream.write_batch(batch.cast(arrow_schema(table)))
    state: dict[str, object] = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": digest([file.sha256 for file in files])[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": "train",
    }
    info = {"citation": "", "description": TABLES[table].doc, "features": features(TABLES[table]), "homepage": "", "license": ""}
    for name, body in (("state.json", state), ("dataset_info.json", info)):
        (folder / name).write_text(json.dumps(body, indent=2, sort_keys=True), encoding="utf-8")
    for path in folder.iterdir():
        sync_file(path)
    sync_directory(folder)
