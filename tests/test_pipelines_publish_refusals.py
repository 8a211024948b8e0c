"""What cannot be published, and where: one clear sentence each, and nothing written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hub_server import READ, WRITE, WRITES, WRONG, HubServer, hub_server
from publishing import options, plain_card, small_run, use_hub
from store_runs import IDENTITY, write_run

from openr_data.errors import HubError, InputError, OpenRDataError, RunDirError, UsageError
from openr_data.pipelines.publishing.hub import HubTarget
from openr_data.pipelines.publishing.publish import publish
from openr_data.pipelines.publishing.record import owned_files
from openr_data.pipelines.publishing.staging import Card

REPO = "alice/steps"
KIND = "datasets"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("run") / "run", 12)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server(tmp_path / "hub") as server:
        use_hub(monkeypatch, server)
        yield server


@pytest.mark.parametrize(
    ("token", "repo", "sentence"),
    [
        (None, REPO, r"no token for the Hub; set HF_TOKEN .* or run `hf auth login`"),
        (WRONG, REPO, r"does not accept the token; make one with write permission"),
        (READ, REPO, r"the token may not do this at alice/steps"),
        (WRITE, "readers/steps", r"the token may not do this at readers/steps"),
        (WRITE, "nobody/steps", r"no user or organisation nobody on the Hub that this token may write to"),
    ],
)
def test_without_permission(
    run: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch, token: str | None, repo: str, sentence: str
) -> None:
    if token != WRITE:
        use_hub(monkeypatch, hub, token)
    with pytest.raises(HubError, match=sentence):
        publish(run, HubTarget(repo), options())
    assert not {call.name for call in hub.calls if call.name in WRITES and call.status < 400}


def test_a_token_that_may_only_read_what_is_there(run: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.state.create(KIND, REPO, "private")
    use_hub(monkeypatch, hub, READ)
    with pytest.raises(HubError, match="the token may not do this at alice/steps: checking the permissions"):
        publish(run, HubTarget(REPO), options())
    assert hub.names() == ["auth"]


def test_a_gated_repository(run: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.state.create(KIND, REPO, gated=True)
    use_hub(monkeypatch, hub, READ)
    with pytest.raises(HubError, match="alice/steps is gated and the token has no access to it"):
        publish(run, HubTarget(REPO), options())


def test_offline(run: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set, so nothing can be published; unset it"):
        publish(run, HubTarget(REPO), options())
    assert hub.calls == []


def test_a_hub_that_is_not_there(run: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"http://127.0.0.1:9 cannot be reached \(ConnectError\)"):
        publish(run, HubTarget(REPO), options())
    shown = publish(run, HubTarget(REPO), options(dry_run=True))
    assert "was not looked at" in shown.notes[0]
    assert shown.changes


@pytest.mark.parametrize("kind", ["model", "space"])
def test_a_repository_of_another_type(run: Path, hub: HubServer, kind: str) -> None:
    hub.state.create(f"{kind}s", REPO)
    with pytest.raises(HubError, match=f"alice/steps is a {kind} on the Hub, not a data set; choose another name"):
        publish(run, HubTarget(REPO), options())
    assert not WRITES & set(hub.names())


def test_a_repository_that_holds_something_else(run: Path, hub: HubServer) -> None:
    hub.state.create(KIND, REPO)
    hub.state.put_file(KIND, REPO, "train.csv", b"a,b\n")
    hub.state.put_file(KIND, REPO, "manifest.json", b'{"files": [{"path": "train.csv", "sha256": "0"}]}')
    before = hub.state.tree(KIND, REPO)
    with pytest.raises(HubError, match=r"holds something else \(manifest.json\) and no publication of openr-data"):
        publish(run, HubTarget(REPO), options())
    assert hub.state.tree(KIND, REPO) == before
    publish(run, HubTarget(REPO, into_existing=True), options())
    assert hub.state.read(KIND, REPO, "train.csv") == b"a,b\n", "what was there stays, whatever its manifest says"
    assert publish(run, HubTarget(REPO), options()).status == "unchanged"


def test_a_data_file_that_someone_changed(run: Path, hub: HubServer) -> None:
    publish(run, HubTarget(REPO), options())
    path = next(path for path in hub.state.tree(KIND, REPO) if path.startswith("data/labeled/train"))
    blob = hub.state.tree(KIND, REPO)["figures/values.png"]
    line = {"key": "lfsFile", "value": {"path": path, "oid": blob.oid, "size": blob.size}}
    hub.state.commit(KIND, REPO, "main", "Edit", [line])
    with pytest.raises(HubError, match=r"labeled/train.* that someone changed since it was published; --into-existing"):
        publish(run, HubTarget(REPO), options())
    assert publish(run, HubTarget(REPO, into_existing=True), options()).status == "published"


def test_a_small_file_that_someone_changed(run: Path, hub: HubServer, tmp_path: Path) -> None:
    """Its checksum is not among what the Hub tells of it."""
    publish(run, HubTarget(REPO), options())
    hub.state.put_file(KIND, REPO, "run.json", b"{}")
    with pytest.raises(
        HubError, match=r"has a run.json that someone changed since it was published; --into-existing replaces it"
    ):
        publish(small_run(tmp_path / "other", 15), HubTarget(REPO), options())
    assert hub.state.read(KIND, REPO, "run.json") == b"{}"


def test_a_licence_of_others_is_not_replaced_unasked(hub: HubServer, tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")
    (run / "LICENSE").write_text("ours")
    hub.state.create(KIND, REPO)
    hub.state.put_file(KIND, REPO, "LICENSE", b"theirs")
    with pytest.raises(HubError, match="has a LICENSE that is not ours; --into-existing replaces it"):
        publish(run, HubTarget(REPO), options())
    assert hub.state.read(KIND, REPO, "LICENSE") == b"theirs"
    publish(run, HubTarget(REPO, into_existing=True), options())
    assert hub.state.read(KIND, REPO, "LICENSE") == b"ours"
    assert publish(run, HubTarget(REPO), options()).status == "unchanged"


def test_a_token_with_letters_that_no_token_has(run: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_geheim\u00e9")
    with pytest.raises(HubError, match=r"has characters that no token has; copy it again into HF_TOKEN") as told:
        publish(run, HubTarget(REPO), options())
    assert "geheim" not in str(told.value)
    assert hub.calls == []


def test_a_file_of_others_that_would_be_loaded_with_ours(run: Path, hub: HubServer) -> None:
    publish(run, HubTarget(REPO), options())
    hub.state.put_file(KIND, REPO, "data/labeled/train-extra.parquet", b"PAR1")
    with pytest.raises(HubError, match=r"holds data/labeled/train-extra.parquet, which would be loaded as part of the data"):
        publish(run, HubTarget(REPO), options())


def test_a_gitignore_that_leaves_a_file_out(run: Path, hub: HubServer) -> None:
    hub.state.create(KIND, REPO)
    hub.state.put_file(KIND, REPO, ".gitignore", b"*.parquet\n")
    with pytest.raises(HubError, match=r"has a .gitignore that leaves out data/labeled/test.*change it"):
        publish(run, HubTarget(REPO), options())
    assert len(hub.state.history(KIND, REPO)) == 2


def test_a_tag_of_another_version_is_refused_before_anything_is_sent(run: Path, hub: HubServer, tmp_path: Path) -> None:
    publish(run, HubTarget(REPO, tag="final"), options())
    hub.calls.clear()
    with pytest.raises(HubError, match="has a tag final already, of another version; choose another --tag"):
        publish(small_run(tmp_path / "other", 15), HubTarget(REPO, tag="final"), options())
    assert not WRITES & set(hub.names())
    assert publish(run, HubTarget(REPO, tag="final"), options()).status == "unchanged"


def test_metadata_that_the_hub_does_not_take(run: Path, hub: HubServer) -> None:
    def wrong(*given: object) -> Card:
        card = plain_card(*given)  # type: ignore[arg-type]
        return replace(card, text=card.text.replace("language:\n- en", "language: {en: 1}"))

    with pytest.raises(HubError, match=r'refuses the metadata of README.md: .*"language" must be a list'):
        publish(run, HubTarget(REPO), options(card=wrong))
    assert "put" not in hub.names(), "found out before the upload"


@pytest.mark.parametrize("text", [b"---\na: [\n---\n", b"---\na: 1\n", b"\xff\xfe"])
def test_a_card_that_cannot_be_read(run: Path, hub: HubServer, text: bytes) -> None:
    hub.state.create(KIND, REPO)
    hub.state.put_file(KIND, REPO, "README.md", text)
    with pytest.raises(InputError):
        publish(run, HubTarget(REPO), options())
    assert hub.state.read(KIND, REPO, "README.md") == text


@pytest.mark.parametrize("repo", ["steps", "a/b/c", "alice/..", "https://huggingface.co/alice/steps", ""])
def test_names_that_cannot_be(run: Path, hub: HubServer, repo: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a repository"):
        publish(run, HubTarget(repo), options())
    assert hub.calls == []


def test_runs_that_are_not_ready(tmp_path: Path, hub: HubServer) -> None:
    write_run(tmp_path / "half", range(5))
    write_run(tmp_path / "empty", [], total=0, identity=replace(IDENTITY, engine="none"))
    (tmp_path / "folder").mkdir()
    for name, sentence in (
        ("half", r"is not finished \(interrupted\); continue it with --resume, then publish it"),
        ("empty", "has no row in its table 'labeled', so there is nothing to publish"),
        ("folder", "is neither a run directory nor a folder that `openr-data export` wrote"),
        ("nothing", "is neither a run directory nor a folder"),
    ):
        with pytest.raises(RunDirError, match=sentence):
            publish(tmp_path / name, HubTarget(REPO), options())
    assert hub.calls == []


def test_two_publications_of_one_run_do_not_meet(run: Path, hub: HubServer) -> None:
    def nested(*given: object) -> Card:
        with pytest.raises(OpenRDataError, match="is in use by process"):
            publish(run, HubTarget("alice/other"), options())
        return plain_card(*given)  # type: ignore[arg-type]

    assert publish(run, HubTarget(REPO), options(card=nested)).status == "published"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"made_by": "someone"}',
        b'{"made_by": "openr-data", "files": [1]}',
        b'{"made_by": "openr-data", "files": {}, "x": ' + b"[" * 10**5,
    ],
)
def test_manifests_of_others(text: bytes) -> None:
    assert not owned_files(text)


def test_a_manifest_cannot_name_files_that_are_not_a_publications() -> None:
    names = [
        "data/../README.md",
        "README.md",
        "/etc/passwd",
        "data/x.parquet",
        "figures/a.png",
        "src/main.py",
        "data-0123456789ab/x",
    ]
    files = ",".join(f'{{"path": "{name}", "sha256": "0"}}' for name in names)
    owned = owned_files(f'{{"made_by": "openr-data", "files": [{files}]}}'.encode())
    assert owned is not None
    assert sorted(owned) == ["data-0123456789ab/x", "data/x.parquet", "figures/a.png"]
