"""Faults at every call, kills and conflicts: readers see one version or the other, and the same command continues."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import SIGNATURE, WRITE, HubServer, hub_server
from prm_folders import add_records, tiny_prm
from prm_publishing import KIND, REPO, Stop, options, published_once, versions
from publishing import use_hub

from openr_data.errors import HubError
from openr_data.hub.repository import Repository
from openr_data.hub.retry import Patience
from openr_data.pipelines.prm.publishing import publish_model
from openr_data.pipelines.publishing.hub import HubTarget

FIRST = ("auth", "info", "create", "refs", "tree", "validate", "preupload", "batch", "put", "verify", "commit", "tag")
"""The calls of a first publication."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_records(tiny_prm(tmp_path_factory.mktemp("model") / "my-prm"))


@pytest.fixture(scope="module")
def retrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The next version of the same model."""
    return tiny_prm(tmp_path_factory.mktemp("model") / "my-prm", seed=1)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server(tmp_path / "hub") as server:
        use_hub(monkeypatch, server)
        yield server


@pytest.fixture(scope="module")
def first_version(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a stand-in on which the model is published."""
    folder = tmp_path_factory.mktemp("hub") / "hub"
    with published_once(model, folder):
        return folder


@pytest.fixture
def second(first_version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    shutil.copytree(first_version, tmp_path / "second")
    with hub_server(tmp_path / "second") as server:
        use_hub(monkeypatch, server)
        yield server


@pytest.mark.parametrize(
    "fault",
    [{"status": 503}, {"status": 429, "headers": {"Retry-After": "2"}}, {"kind": "lost"}],
    ids=["503", "429", "lost"],
)
def test_a_fault_at_every_call_costs_waits_and_nothing_else(model: Path, hub: HubServer, fault: dict[str, object]) -> None:
    for call in FIRST:
        hub.fail(call, **fault)
    published = publish_model(model, HubTarget(REPO), options())
    assert not any(each.times for each in hub.faults), "every one was met"
    assert versions(hub) == 1
    assert hub.state.repo(KIND, REPO).tags == {"v1": published.commit}
    assert hub.state.repo(KIND, REPO).visibility == "private"


@pytest.mark.parametrize(
    ("call", "status"),
    [("auth", 401), ("auth", 403), ("preupload", 403), ("put", 403), ("commit", 401), ("commit", 403), ("tag", 403)],
)
def test_a_refusal_is_one_sentence_and_leaves_the_old_version(retrained: Path, second: HubServer, call: str, status: int) -> None:
    hub = second
    old = hub.state.tree(KIND, REPO)
    body = json.dumps({"error": f"no: Bearer {WRITE}"})
    hub.fail(call, status=status, times=99, body=body, headers={"X-Error-Message": f"no: token={WRITE}"})
    with pytest.raises(HubError) as caught:
        publish_model(retrained, HubTarget(REPO), options())
    assert "\n" not in str(caught.value)
    assert WRITE not in repr(caught.value)
    assert (hub.state.tree(KIND, REPO) == old) == (call != "tag")
    hub.faults.clear()
    assert publish_model(retrained, HubTarget(REPO), options()).tag == "v2"
    assert versions(hub) == 2


@pytest.mark.parametrize("call", ["tree", "put", "commit"])
def test_a_fault_that_lasts_leaves_the_old_version_and_is_continued(retrained: Path, second: HubServer, call: str) -> None:
    hub = second
    old = hub.state.tree(KIND, REPO)
    hub.fail(call, times=999, status=503)
    with pytest.raises(HubError, match="run the same command again"):
        publish_model(retrained, HubTarget(REPO), options())
    assert hub.state.tree(KIND, REPO) == old
    hub.faults.clear()
    hub.calls.clear()
    assert publish_model(retrained, HubTarget(REPO), options()).tag == "v2"
    assert ("put" in hub.names()) == (call != "commit"), "what has arrived is not sent again"


@pytest.mark.parametrize("status", [409, 412])
def test_a_conflict_without_a_change_is_tried_again(retrained: Path, second: HubServer, status: int) -> None:
    second.fail("commit", status=status)
    publish_model(retrained, HubTarget(REPO), options())
    assert versions(second) == 2


@pytest.mark.parametrize("path", ["model-00001-of-00009.safetensors", "adapter_config.json", "config.json"])
def test_a_commit_of_someone_else_that_loaders_would_see_is_noticed(retrained: Path, second: HubServer, path: str) -> None:
    second.fail("commit", kind="call", action=lambda: second.state.put_file(KIND, REPO, path, b"{}"))
    with pytest.raises(HubError, match=rf"changed by someone else meanwhile \({path}\)"):
        publish_model(retrained, HubTarget(REPO), options())
    assert versions(second) == 1


def test_a_kill_after_each_call_leaves_one_version_and_the_next_attempt_ends_new(
    retrained: Path, second: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt gets one call further than the one before, and is then killed."""
    hub, ask = second, Repository._try
    old, seen, left = hub.state.tree(KIND, REPO), [], 0

    def counted(repo: Repository, doing: str, question: Any) -> Any:
        nonlocal left
        answer = ask(repo, doing, question)
        left -= 1
        if left <= 0:
            raise Stop
        return answer

    monkeypatch.setattr(Repository, "_try", counted)
    for attempt in range(1, 40):
        left = attempt
        try:
            publish_model(retrained, HubTarget(REPO), options())
        except Stop:
            seen.append(hub.state.tree(KIND, REPO) == old)
        else:
            break
    assert True in seen
    assert False in seen, "it was also killed after the commit"
    assert seen == sorted(seen, reverse=True)
    assert versions(hub) == 2
    assert sorted(hub.state.repo(KIND, REPO).tags) == ["v1", "v2"]


def test_no_secret_is_in_a_log_an_error_a_note_or_a_file(
    model: Path, hub: HubServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    patience = Patience(attempts=3, sleep=lambda _: None, note=said.append)
    for call in FIRST:
        hub.fail(call, body=json.dumps({"error": f"Bearer {WRITE} at https://cdn.x/y?{SIGNATURE}"}))
    said.append(json.dumps(publish_model(model, HubTarget(REPO), options(patience=patience)).plain()))
    said += [record.getMessage() for record in caplog.records]
    said += capfd.readouterr()
    files = [path for path in hub.state.root.rglob("*") if path.is_file()]
    for secret in (WRITE, SIGNATURE.split("=")[1]):
        assert not [text for text in said if secret in text]
        assert not [path for path in files if secret.encode() in path.read_bytes()]
