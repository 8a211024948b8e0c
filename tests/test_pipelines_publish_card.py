"""A real labelled run with its real card on the stand-in Hub: nothing of this machine goes along, and the card stays the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hub_server import HubServer, hub_server
from publishing import use_hub
from test_pipelines_stage import SAMPLING, labels

from openr_data.data_cards.metadata import read_head, split_card
from openr_data.engines import EngineSpec
from openr_data.pipelines.config import GenerateConfig, RunOptions
from openr_data.pipelines.generate import generate
from openr_data.pipelines.label import label
from openr_data.pipelines.publishing.hub import HubTarget
from openr_data.pipelines.publishing.publish import PublishOptions, publish
from openr_data.pipelines.publishing.record import run_text
from openr_data.pipelines.publishing.source import Cut
from openr_data.pipelines.splits import Splits
from openr_data.problems import ProblemSource
from openr_data.store.run_record import RunRecord

REPO = "alice/steps"
KIND = "datasets"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("a-folder-of-this-machine")
    source = ProblemSource("builtin", count=6, difficulty=3)
    generate(GenerateConfig(source, EngineSpec("builtin"), SAMPLING, solutions=3, shard_size=3), RunOptions(base / "solutions"))
    labelled = replace(labels(base / "solutions", rollouts=2, filter_rollouts=4), engine=EngineSpec("builtin"), shard_size=2)
    label(labelled, RunOptions(base / "run"))
    return base / "run"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server(tmp_path / "hub") as server:
        use_hub(monkeypatch, server)
        yield server


def test_the_card_of_a_run_goes_with_it_and_is_made_the_same_again(run: Path, hub: HubServer) -> None:
    chosen = PublishOptions(Cut(Splits(0.5, 0.25, 0.25)))
    published = publish(run, HubTarget(REPO), chosen)
    card = hub.state.read(KIND, REPO, "README.md").decode()
    head = read_head(split_card(card)[0])
    told = {info["config_name"]: {s["name"]: s["num_examples"] for s in info["splits"]} for info in head["dataset_info"]}
    assert told == {table: rows for table, rows in published.rows.items() if rows}
    assert f'load_dataset("{REPO}"' in card
    tree = hub.state.tree(KIND, REPO)
    shown = {line.split("](")[1].split(")")[0] for line in card.splitlines() if line.startswith("![")}
    assert shown
    assert shown <= set(tree)
    assert publish(run, HubTarget(REPO), chosen).status == "unchanged"
    hub.state.put_file(KIND, REPO, "README.md", (card + "\n## Ours\n\nRead our paper first.\n").encode())
    assert publish(run, HubTarget(REPO), chosen).status == "unchanged"
    publish(run, HubTarget(REPO), PublishOptions())
    assert hub.state.read(KIND, REPO, "README.md").decode().endswith("\n## Ours\n\nRead our paper first.\n")


def test_nothing_of_this_machine_is_published(run: Path, hub: HubServer) -> None:
    publish(run, HubTarget(REPO), PublishOptions())
    for path in hub.state.tree(KIND, REPO):
        content = hub.state.read(KIND, REPO, path)
        assert b"a-folder-of-this-machine" not in content
        assert str(Path.home()).encode() not in content or str(Path.home()) == "/root"


def test_what_a_record_holds_beside_the_run_is_left_out(run: Path) -> None:
    record = RunRecord.load(run)
    record.identity["config"]["run"]["source"]["location"] = "/home/ann/secret project/problems.jsonl"
    record.identity["config"]["run"]["engine"]["model"] = "C:\\models\\mine"
    record.identity["config"]["run"]["engine"] |= {"base_url": ["http://gpu7:8000/v1"], "hf_token": "hf_abcdefghijkl"}
    record.identity["inputs"] = {"../data/deep/problems.jsonl": "00"}
    record.settings |= {"prepared": "/scratch/pilot", "api_key": "k"}
    text = run_text(record)
    body = json.loads(text)
    assert body["identity"]["config"]["run"]["source"]["location"] == "problems.jsonl"
    assert body["identity"]["config"]["run"]["engine"]["model"] == "mine"
    assert body["identity"]["inputs"] == {"problems.jsonl": "00"}
    assert body["digest"] == record.digest
    for word in ("ann", "gpu7", "hf_abc", "scratch", "api_key", "attempts", "journal"):
        assert word not in text.replace("Shannon", "")
