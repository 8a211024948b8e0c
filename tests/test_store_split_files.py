"""A run's tables written again by split: every row once, in its order, in files of a bounded size, always the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from publishing import small_run

from openr_data.errors import RunDirError
from openr_data.store.read import RunReader
from openr_data.store.schemas import TABLES, features
from openr_data.store.split_files import ItemSplits, SplitFile, split_items, write_splits

NAMES = ("train", "test")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("run") / "run", 40)


def by_length(question: str) -> str:
    return "test" if "3" in question else "train"


def written(run: Path, folder: Path, file_bytes: int = 10**9) -> list[SplitFile]:
    reader = RunReader.open(run)
    return write_splits(reader, split_items(reader, NAMES, by_length), folder, file_bytes)


def test_every_row_stands_once_in_the_split_of_its_item_in_order(run: Path, tmp_path: Path) -> None:
    files = written(run, tmp_path / "data")
    reader = RunReader.open(run)
    items = {row["item"]: by_length(row["question"]) for row in reader.rows("problems")}
    assert set(items.values()) == set(NAMES)
    for table in reader.manifest.tables:
        for split in NAMES:
            mine = [file for file in files if (file.table, file.split) == (table, split)]
            rows = [row for file in mine for row in pq.read_table(tmp_path / file.path).to_pylist()]
            assert rows == [row for row in reader.rows(table) if items[row["item"]] == split]
            assert [file.rows for file in mine] == [len(rows)]


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    assert written(run, tmp_path / "one" / "data") == written(run, tmp_path / "two" / "data")


def test_files_keep_to_their_size_and_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openr_data.store.split_files._GROUP_ROWS", 50)
    files = written(small_run(tmp_path / "run", 60), tmp_path / "data", 40_000)
    rollouts = [file for file in files if (file.table, file.split) == ("rollouts", "train")]
    count = len(rollouts)
    assert count > 1
    assert [Path(file.path).name for file in rollouts] == [f"train-{n:05d}-of-{count:05d}.parquet" for n in range(count)]
    assert all(file.bytes <= 40_000 for file in rollouts)
    assert sorted(path.name for path in (tmp_path / "data" / "rollouts").iterdir()) == sorted(
        Path(file.path).name for file in files if file.table == "rollouts"
    ), "nothing else is left"


def test_files_are_written_as_the_datasets_library_writes_them(run: Path, tmp_path: Path) -> None:
    for file in written(run, tmp_path / "data"):
        parquet = pq.ParquetFile(tmp_path / file.path)
        column = parquet.metadata.row_group(0).column(0)
        assert column.compression == "ZSTD"
        assert column.has_offset_index
        assert column.has_column_index
        assert json.loads(parquet.schema_arrow.metadata[b"huggingface"])["info"]["features"] == features(TABLES[file.table])
        assert json.loads(parquet.metadata.metadata[b"content_defined_chunking"])["max_chunk_size"] == 1 << 20


def test_a_split_without_items_leaves_no_file(run: Path, tmp_path: Path) -> None:
    reader = RunReader.open(run)
    files = write_splits(reader, split_items(reader, ("train", "never"), lambda _: "train"), tmp_path / "data", 10**9)
    assert {file.split for file in files} == {"train"}


def test_a_damaged_shard_is_refused(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", 8)
    shard = next((run / "data" / "rollouts").glob("*.parquet"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 0xFF
    shard.write_bytes(content)
    with pytest.raises(RunDirError, match="is damaged or missing"):
        written(run, tmp_path / "data")
    assert not list((tmp_path / "data" / "rollouts").glob("*")), "no half file is left"


def test_splits_are_one_byte_an_item(run: Path) -> None:
    splits: ItemSplits = split_items(RunReader.open(run), NAMES, by_length)
    assert len(splits.codes) == 40
    assert splits.names[splits.codes[13]] == "test"
