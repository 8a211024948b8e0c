"""Every fault at every call: what passes is waited for, what lasts is one sentence, and readers see one version or the other."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import SIGNATURE, WRITE, HubServer, hub_server
from publishing import options, small_run, use_hub

from openr_data.errors import HubError, Interrupted
from openr_data.hub.retry import Patience
from openr_data.pipelines.publishing.hub import HubTarget
from openr_data.pipelines.publishing.publish import publish

REPO = "alice/steps"
KIND = "datasets"
FIRST = ("auth", "info", "create", "refs", "tree", "validate", "preupload", "batch", "put", "verify", "commit", "cdn", "tag")
"""The calls of a first publication."""
AGAIN = ("auth", "info", "refs", "tree", "resolve", "validate", "preupload", "batch", "put", "verify", "commit", "cdn", "tag")
"""Those of a second one with other data."""
AFTER = ("cdn", "tag")
"""Those after the commit."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("run") / "run")


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("run") / "run", 30)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server(tmp_path / "hub") as server:
        use_hub(monkeypatch, server)
        yield server


@pytest.fixture(scope="module")
def first_version(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a stand-in on which the run is published."""
    folder = tmp_path_factory.mktemp("hub") / "hub"
    with pytest.MonkeyPatch.context() as patch, hub_server(folder) as server:
        use_hub(patch, server)
        publish(run, HubTarget(REPO), options())
    return folder


@pytest.fixture
def second(first_version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A stand-in on which the run is published already."""
    shutil.copytree(first_version, tmp_path / "second")
    with hub_server(tmp_path / "second") as server:
        use_hub(monkeypatch, server)
        yield server


def versions(hub: HubServer) -> int:
    """Commits that publications made."""
    return sum("Publish" in hub.state.commit_body(KIND, REPO, commit)["summary"] for commit in hub.state.history(KIND, REPO))


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503},
        {"status": 500, "body": "<html>oops</html>"},
        {"status": 429, "headers": {"Retry-After": "2"}},
        {"kind": "drop"},
        {"kind": "lost"},
        {"kind": "slow", "seconds": 0.1},
    ],
    ids=["503", "500", "429", "drop", "lost", "slow"],
)
def test_a_fault_at_every_call_costs_waits_and_nothing_else(run: Path, hub: HubServer, fault: dict[str, object]) -> None:
    for call in FIRST:
        hub.fail(call, **fault)
    published = publish(run, HubTarget(REPO), options())
    assert not any(each.times for each in hub.faults), "every one was met"
    assert published.status == "published"
    assert versions(hub) == 1, "also where the answer to the commit was lost"
    assert hub.state.repo(KIND, REPO).tags == {"v1": published.commit}
    assert hub.state.repo(KIND, REPO).visibility == "private"


@pytest.mark.parametrize(
    ("call", "status"), [*((call, 403) for call in AGAIN), *((call, 401) for call in ("auth", "preupload", "commit"))]
)
def test_a_refusal_is_one_sentence_and_leaves_the_old_version(grown: Path, second: HubServer, call: str, status: int) -> None:
    hub = second
    old = hub.state.tree(KIND, REPO)
    body = json.dumps({"error": f"no: Bearer {WRITE}"})
    hub.fail(call, status=status, times=99, body=body, headers={"X-Error-Message": f"no: token={WRITE}"})
    with pytest.raises(HubError) as caught:
        publish(grown, HubTarget(REPO), options())
    assert caught.value.exit_code == 8
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 400
    assert WRITE not in repr(caught.value)
    if call not in AFTER:
        assert hub.state.tree(KIND, REPO) == old
    hub.faults.clear()
    assert publish(grown, HubTarget(REPO), options()).tag == "v2"
    assert versions(hub) == 2


LASTING = [
    *((call, {"status": 503}) for call in AGAIN),
    *((call, {"kind": "lost"}) for call in AGAIN),
    *((call, fault) for call in ("batch", "commit") for fault in ({"status": 429}, {"kind": "drop"})),
]
FOUND = [("verify", {"status": 503}), *((call, {"kind": "lost"}) for call in ("put", "verify", "commit", "tag"))]
"""What was done all the same is found when it is looked for again."""


@pytest.mark.parametrize(("call", "fault"), LASTING, ids=str)
def test_a_fault_that_lasts_ends_with_one_version_and_can_be_continued(
    grown: Path, second: HubServer, call: str, fault: dict[str, object]
) -> None:
    hub = second
    old = hub.state.tree(KIND, REPO)
    hub.fail(call, times=999, **fault)
    if (call, fault) in FOUND:
        assert publish(grown, HubTarget(REPO), options()).tag == "v2"
    else:
        with pytest.raises(HubError):
            publish(grown, HubTarget(REPO), options())
        assert (hub.state.tree(KIND, REPO) == old) == (call not in AFTER)
    hub.faults.clear()
    publish(grown, HubTarget(REPO), options())
    assert versions(hub) == 2
    assert sorted(hub.state.repo(KIND, REPO).tags) == ["v1", "v2"]


@pytest.mark.parametrize("status", [409, 412])
def test_a_conflict_without_a_change_is_tried_again(run: Path, hub: HubServer, status: int) -> None:
    hub.fail("commit", status=status)
    publish(run, HubTarget(REPO), options())
    assert versions(hub) == 1


def test_what_has_arrived_is_not_sent_again(run: Path, hub: HubServer) -> None:
    hub.fail("commit", status=503, times=99)
    with pytest.raises(HubError, match=r"status 503.*run the same command again"):
        publish(run, HubTarget(REPO), options())
    assert "put" in hub.names()
    hub.faults.clear()
    hub.calls.clear()
    publish(run, HubTarget(REPO), options())
    assert "put" not in hub.names()


def test_a_commit_of_someone_else_on_other_files_is_built_upon(run: Path, hub: HubServer) -> None:
    hub.state.create(KIND, REPO)
    hub.fail("commit", kind="call", action=lambda: hub.state.put_file(KIND, REPO, "notes.txt", b"theirs"))
    publish(run, HubTarget(REPO), options())
    assert hub.state.read(KIND, REPO, "notes.txt") == b"theirs"
    assert "manifest.json" in hub.state.tree(KIND, REPO)
    assert versions(hub) == 1


def test_a_commit_of_someone_else_on_our_files_is_not_overwritten(run: Path, hub: HubServer) -> None:
    hub.state.create(KIND, REPO)
    hub.fail("commit", kind="call", action=lambda: hub.state.put_file(KIND, REPO, "README.md", b"Wait for us.\n"))
    with pytest.raises(HubError, match=r"changed by someone else meanwhile \(README.md\); run the same command again"):
        publish(run, HubTarget(REPO), options())
    assert versions(hub) == 0
    publish(run, HubTarget(REPO), options())
    assert "Wait for us." in hub.state.read(KIND, REPO, "README.md").decode()
    assert versions(hub) == 1


def test_a_file_that_would_be_loaded_with_ours_is_noticed_at_the_last_moment(run: Path, hub: HubServer) -> None:
    hub.state.create(KIND, REPO)
    extra = "data/labeled/train-extra.parquet"
    hub.fail("commit", kind="call", action=lambda: hub.state.put_file(KIND, REPO, extra, b"PAR1"))
    with pytest.raises(HubError, match=rf"changed by someone else meanwhile \({extra}\)"):
        publish(run, HubTarget(REPO), options())
    assert versions(hub) == 0


def test_a_lost_answer_is_found_below_a_commit_of_someone_else(run: Path, hub: HubServer) -> None:
    hub.fail("commit", kind="lost")
    hub.fail("refs", kind="call", skip=1, action=lambda: hub.state.put_file(KIND, REPO, "notes.txt", b"theirs"))
    publish(run, HubTarget(REPO), options())
    assert versions(hub) == 1
    assert hub.state.read(KIND, REPO, "notes.txt") == b"theirs"


def test_a_stop_between_commit_and_tag_is_made_good(run: Path, hub: HubServer) -> None:
    hub.fail("tag", status=403, times=99)
    with pytest.raises(HubError, match="creating the tag v1"):
        publish(run, HubTarget(REPO), options())
    hub.faults.clear()
    published = publish(run, HubTarget(REPO), options())
    assert (published.status, published.tag) == ("published", "v1")
    assert versions(hub) == 1


def test_a_tag_that_someone_else_takes_first_is_passed_over(run: Path, hub: HubServer) -> None:
    def take() -> None:
        repo = hub.state.repo(KIND, REPO)
        repo.tags["v1"] = hub.state.history(KIND, REPO)[0]
        hub.state.save(KIND, REPO, repo)

    hub.fail("tag", kind="call", action=take)
    assert publish(run, HubTarget(REPO), options()).tag == "v2"


def test_the_hub_tells_in_its_own_header_how_long_to_wait(run: Path, hub: HubServer) -> None:
    waits: list[float] = []
    hub.fail("create", status=429, headers={"RateLimit": '"api";r=0;t=250'})
    publish(run, HubTarget(REPO), options(patience=Patience(attempts=4, sleep=waits.append)))
    assert waits == [251.0]


def test_a_wait_that_is_too_long_is_told(run: Path, hub: HubServer) -> None:
    hub.fail("auth", status=429, times=99, headers={"Retry-After": "4000"})
    with pytest.raises(HubError, match=r"limits how often it is asked.*run the same command again later"):
        publish(run, HubTarget(REPO), options())
    assert hub.names() == ["auth"]


def test_bytes_that_differ_there_are_noticed(run: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = hub.state.commit

    def losing(*args: object) -> str:
        done = commit(*args)  # type: ignore[arg-type]
        return hub.state.put_file(KIND, REPO, "run.json", b"{}") if done else done

    monkeypatch.setattr(hub.state, "commit", losing)
    with pytest.raises(HubError, match=r"does not hold what was sent \(run.json has other bytes\)"):
        publish(run, HubTarget(REPO), options())


def test_control_c_says_how_to_go_on(run: Path, hub: HubServer) -> None:
    def stop(_: float) -> None:
        raise KeyboardInterrupt

    hub.fail("commit", status=503)
    with pytest.raises(Interrupted, match="the same command continues"):
        publish(run, HubTarget(REPO), options(patience=Patience(sleep=stop)))
    assert versions(hub) == 0
    assert not (run / ".publish").exists()
    assert publish(run, HubTarget(REPO), options()).status == "published"


def test_no_secret_is_in_a_log_an_error_a_note_or_a_file(
    run: Path, hub: HubServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    patience = Patience(attempts=3, sleep=lambda _: None, note=said.append)
    body = json.dumps({"error": f"Bearer {WRITE} at https://cdn.x/y?{SIGNATURE}"})
    for call in FIRST:
        hub.fail(call, body=body, headers={"X-Error-Message": f"your token {WRITE}"})
    said.append(json.dumps(publish(run, HubTarget(REPO), options(patience=patience)).plain()))
    assert len(said) > 5, "there were notes"
    for status in (400, 401, 403, 404, 409, 429, 503):
        hub.fail("auth", status=status, times=99, body=body, headers={"X-Error-Message": f"your token {WRITE}"})
        with pytest.raises(HubError) as caught:
            publish(run, HubTarget("acme/other"), options(patience=patience))
        said += [str(caught.value), repr(caught.value), repr(caught.value.__cause__), repr(caught.value.__context__)]
        hub.faults.clear()
    said += [record.getMessage() for record in caplog.records]
    said += capfd.readouterr()
    files = [path for folder in (run, hub.state.root) for path in folder.rglob("*") if path.is_file()]
    for secret in (WRITE, SIGNATURE.split("=")[1]):
        assert not [text for text in said if secret in text]
        assert not [path for path in files if secret.encode() in path.read_bytes()]
    stored = [each for each in hub.calls if each.name in {"put", "cdn"}]
    assert stored
    assert not any(each.authorised for each in stored), "another host gets no token"
