"""What is published loads with the unmodified `datasets` library, in a process of its own, as the rows of the run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hub_server import hub_server
from publish_crashes import client_environment
from publishing import options, small_run, use_hub

from openr_data.pipelines.publishing.folder import FolderTarget
from openr_data.pipelines.publishing.hub import HubTarget
from openr_data.pipelines.publishing.publish import publish
from openr_data.store.read import RunReader

pytestmark = pytest.mark.slow
LOADER = Path(__file__).parent / "hub_loader.py"
TABLES = ("labeled", "problems", "nodes", "rollouts")
Loaded = dict[str, dict[str, list[dict[str, Any]]]]


def load(name: str, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(LOADER), name, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def rows_of(run: Path) -> dict[str, list[dict[str, Any]]]:
    """As JSON gives them back."""
    return {table: json.loads(json.dumps(list(RunReader.open(run).rows(table)))) for table in TABLES}


def joined(loaded: Loaded) -> dict[str, list[dict[str, Any]]]:
    """The rows of all splits of a table; each split is in the order of the run."""
    return {
        table: sorted((row for rows in splits.values() for row in rows), key=lambda row: row["item"])
        for table, splits in loaded.items()
    }


@pytest.mark.parametrize("way", ["lfs", "xet"])
def test_a_repository_loads_as_the_run_in_every_version(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, grown = small_run(tmp_path / "run"), small_run(tmp_path / "grown", 60)
    with hub_server(tmp_path / "hub") as hub:
        use_hub(monkeypatch, hub, xet=way == "xet")
        first = publish(run, HubTarget("alice/steps"), options())
        second = publish(grown, HubTarget("alice/steps"), options())
        environment = client_environment(hub.url, tmp_path / "home")
        for revision, source, published in ((["v1"], run, first), ([], grown, second)):
            done = load("alice/steps", environment, *revision)
            assert done.returncode == 0, done.stderr[-2000:]
            loaded: Loaded = json.loads(done.stdout)
            assert joined({table: loaded[table] for table in TABLES}) == rows_of(source)
            assert loaded["default"] == loaded["labeled"], "the main table loads by itself"
            assert {table: {split: len(rows) for split, rows in loaded[table].items()} for table in TABLES} == published.rows


def test_a_folder_loads_as_the_run_and_a_missing_shard_is_noticed(tmp_path: Path) -> None:
    run, out = small_run(tmp_path / "run"), tmp_path / "out"
    publish(run, FolderTarget(str(out)), options())
    environment = {**client_environment("http://127.0.0.1:9", tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    done = load(str(out), environment)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = json.loads(done.stdout)
    assert joined({table: loaded[table] for table in TABLES}) == rows_of(run)
    next(out.glob("data-*/labeled/train-*")).unlink()
    again = load(str(out), {**environment, "HF_HOME": str(tmp_path / "other")})
    assert again.returncode != 0
    assert "Error" in again.stderr
