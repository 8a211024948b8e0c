"""`openr_data.load` of a data set on the Hub, against the stand-in server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import READ, WRONG, HubServer, hub_server
from publishing import options, small_run, use_hub

import openr_data
from openr_data.errors import HubError, InputError, UsageError
from openr_data.pipelines.exporting.config import ExportConfig
from openr_data.pipelines.exporting.export import export
from openr_data.pipelines.publishing.hub import HubTarget
from openr_data.pipelines.publishing.publish import publish

REPO = "alice/steps"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with hub_server(tmp_path / "hub") as server:
        use_hub(monkeypatch, server)
        monkeypatch.setattr(server, "resolve", elsewhere(server.resolve))
        yield server


def elsewhere(resolve: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Large files lie on another host than the Hub's own, as they do in reality: the client takes no token there."""

    def answer(request: Any) -> Any:
        found = resolve(request)
        if "Location" in found.headers:
            found.headers["Location"] = found.headers["Location"].replace("127.0.0.1", "localhost")
        return found

    return answer


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return small_run(tmp_path / "run")


def test_a_data_set_is_loaded_at_one_commit(hub: HubServer, run: Path, tmp_path: Path) -> None:
    first = publish(run, HubTarget(REPO), options())
    data = openr_data.load(REPO)
    assert (data.info.revision, data.info.location) == (first.commit, REPO)
    assert {item.item: item for item in data} == {item.item: item for item in openr_data.load(run)}
    publish(small_run(tmp_path / "second", seed=8, items=30), HubTarget(REPO), options())
    assert len(openr_data.load(REPO)) == 30
    for revision in ("v1", first.commit):
        assert len(openr_data.load(f"datasets/{REPO}", revision=revision)) == 24
    assert len(list(data)) == 24  # what was loaded stays what it was


def test_of_one_split_only_its_files_are_fetched(hub: HubServer, run: Path) -> None:
    publish(run, HubTarget(REPO), options())
    data = openr_data.load(REPO, split="test")
    files = list(Path(data._tables.files("labeled")[0]).parents[2].rglob("*.parquet"))
    assert len(data) > 0
    assert {path.name.split("-")[0] for path in files} == {"test"}
    with pytest.raises(InputError, match="no split 'dev'; it has"):
        openr_data.load(REPO, split="dev")


def test_faults_that_pass_are_waited_for_and_others_are_told(hub: HubServer, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(run, HubTarget(REPO), options())
    monkeypatch.setattr("openr_data.hub.retry.time.sleep", lambda _: None)
    hub.fail("info", status=503)
    assert len(openr_data.load(REPO)) == 24
    with pytest.raises(HubError, match=r"no file or directory alice/nothing, and on the Hub: alice/nothing was not found"):
        openr_data.load("alice/nothing")
    with pytest.raises(HubError, match="no file or directory"):
        openr_data.load(REPO, token=False)  # it is private
    with pytest.raises(HubError) as told:
        openr_data.load(REPO, token=WRONG)
    assert WRONG not in str(told.value)
    assert len(openr_data.load(REPO, token=READ)) == 24
    with pytest.raises(UsageError, match="cannot be a revision"):
        openr_data.load(REPO, revision="a..b")


def test_a_published_export_is_read_in_its_layout(hub: HubServer, run: Path, tmp_path: Path) -> None:
    export(run, ExportConfig("scan"), tmp_path / "out")
    publish(tmp_path / "out", HubTarget(REPO), options())
    data = openr_data.load(REPO)
    assert (data.info.kind, data.info.layout, data.info.location) == ("export", "scan", REPO)
    assert data.steps().height == openr_data.load(tmp_path / "out").steps().height > 0


def test_a_data_set_of_others_is_refused(hub: HubServer) -> None:
    from huggingface_hub import HfApi

    api = HfApi(endpoint=hub.url)
    api.create_repo(REPO, repo_type="dataset")
    api.upload_file(
        path_or_fileobj=b"---\nlicense: mit\n---\n# Hello", path_in_repo="README.md", repo_id=REPO, repo_type="dataset"
    )
    hub.state.put_file("datasets", REPO, "data/train-00000-of-00001.parquet", b"large")
    hub.calls.clear()
    with pytest.raises(InputError, match="was not published by openr-data"):
        openr_data.load(REPO)
    assert not [call.path for call in hub.calls if "data/train" in call.path], "its data are not fetched to find that out"


def test_offline_the_cache_answers(hub: HubServer, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(run, HubTarget(REPO), options())
    online = openr_data.load(REPO)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    offline = openr_data.load(REPO, revision=online.info.revision)
    assert list(offline) == list(online)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set and alice/other"):
        openr_data.load("alice/other")
