"""A run directory is a data set: `datasets` opens it as it lies, with its features, and notices what is missing."""

import asyncio
import json
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from store_runs import IDENTITY, card, item_tables

from openr_data.store.run_dir import open_run
from openr_data.store.schemas import TABLES, features

ITEMS = 10


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("datasets") / "run"

    async def write() -> None:
        async with open_run(path, IDENTITY) as run:
            for item in range(ITEMS):
                await run.finish_item(item, item_tables(item))
            await run.write_card(card(await run.complete(ITEMS)))
            await run.write_arrow()
            await run.close("finished")

    asyncio.run(write())
    return path


@pytest.fixture(scope="module")
def datasets() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        import datasets as library

        patch.setattr("datasets.config.HF_HUB_OFFLINE", True)
        library.disable_progress_bars()
        yield library
        library.enable_progress_bars()


def stored(table: str) -> list[dict[str, Any]]:
    """The rows of a table as they must come back; `mc` is kept in 32 bits."""
    rows = [{"item": item, **row} for item in range(ITEMS) for row in item_tables(item)[table]]
    for row in rows:
        if "mc" in row:
            row["mc"] = [None if value is None else struct.unpack("f", struct.pack("f", value))[0] for value in row["mc"]]
    return rows


def test_the_directory_opens_as_it_is_with_the_main_table_first(run: Path, tmp_path: Path, datasets: Any) -> None:
    loaded = datasets.load_dataset(str(run), cache_dir=str(tmp_path))
    assert list(loaded) == ["train"]
    labeled = loaded["train"]
    assert list(labeled) == stored("labeled")
    assert labeled.features.to_dict() == features(TABLES["labeled"])


@pytest.mark.parametrize("table", ["problems", "nodes", "rollouts"])
def test_every_table_opens_by_its_name(run: Path, tmp_path: Path, datasets: Any, table: str) -> None:
    rows = datasets.load_dataset(str(run), table, split="train", cache_dir=str(tmp_path))
    assert rows.num_rows == sum(len(item_tables(item)[table]) for item in range(ITEMS))
    assert rows.features.to_dict() == features(TABLES[table])
    assert rows["item"][:] == sorted(rows["item"][:])


def test_a_missing_shard_is_noticed(run: Path, tmp_path: Path, datasets: Any) -> None:
    broken = Path(shutil.copytree(run, tmp_path / "run"))
    (broken / "data/rollouts/train-00001.parquet").unlink()
    with pytest.raises(datasets.exceptions.DatasetsError, match="num_examples"):
        datasets.load_dataset(str(broken), "rollouts", cache_dir=str(tmp_path / "cache"))


def test_a_table_without_any_row_does_not_keep_the_others_from_loading(tmp_path: Path, datasets: Any) -> None:
    async def skipped_only() -> None:
        async with open_run(tmp_path / "skipped", IDENTITY) as run:
            await run.finish_item(0, item_tables(2))
            await run.write_card(card(await run.complete(1)))
            await run.close("finished")

    asyncio.run(skipped_only())
    problems = datasets.load_dataset(str(tmp_path / "skipped"), "problems", split="train", cache_dir=str(tmp_path / "cache"))
    assert problems["skipped"][:] == ["too easy"]
    with pytest.raises(ValueError, match="BuilderConfig 'nodes' not found"):  # it has no rows, so the card does not offer it
        datasets.load_dataset(str(tmp_path / "skipped"), "nodes", cache_dir=str(tmp_path / "cache"))


def test_the_same_tables_load_from_disk(run: Path, datasets: Any) -> None:
    for table in IDENTITY.tables:
        saved = datasets.load_from_disk(str(run / "arrow" / table))
        assert list(saved) == stored(table)
        assert saved.features.to_dict() == features(TABLES[table])


def test_a_footer_alone_restores_the_features(run: Path, tmp_path: Path, datasets: Any) -> None:
    file = run / "data/labeled/train-00000.parquet"
    alone = datasets.Dataset.from_parquet(str(file), cache_dir=str(tmp_path))
    assert alone.features.to_dict() == features(TABLES["labeled"])


def test_files_are_written_as_the_datasets_library_writes_them(run: Path) -> None:
    from pyarrow.parquet import ParquetFile

    metadata = ParquetFile(run / "data/rollouts/train-00000.parquet").metadata
    assert json.loads(metadata.metadata[b"content_defined_chunking"]) == {
        "min_chunk_size": 262144,
        "max_chunk_size": 1048576,
        "norm_level": 0,
    }
    assert metadata.row_group(0).column(3).compression == "ZSTD"
    assert metadata.row_group(0).column(0).has_offset_index
