"""A run goes to a stand-in Hub: what is there afterwards, what a second publication does, and what is left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hub_server import WRITES, HubServer, hub_server
from publishing import FIGURE, options, small_run, use_hub

from openr_data.pipelines.publishing.hub import HubTarget
from openr_data.pipelines.publishing.publish import publish
from openr_data.pipelines.publishing.source import Cut
from openr_data.pipelines.splits import Splits
from openr_data.store.read import RunReader

REPO = "alice/steps"
KIND = "datasets"
TABLES = ("labeled", "problems", "nodes", "rollouts")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("run") / "run")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server(tmp_path / "hub") as server:
        use_hub(monkeypatch, server)
        yield server


def table_rows(hub: HubServer, table: str, revision: str = "main") -> dict[str, list[dict[str, object]]]:
    """The rows of a table on the stand-in, by split."""
    found: dict[str, list[dict[str, object]]] = {}
    for path, blob in hub.state.tree(KIND, REPO, revision).items():
        if path.startswith(f"data/{table}/"):
            split = Path(path).name.split("-")[0]
            found.setdefault(split, []).extend(pq.read_table(hub.state.blobs / blob.oid).to_pylist())
    return found


def test_a_new_repository_is_private_and_holds_the_run_in_one_commit(run: Path, hub: HubServer) -> None:
    published = publish(run, HubTarget(REPO), options())
    assert (published.status, published.tag, published.private) == ("published", "v1", True)
    assert hub.state.repo(KIND, REPO).visibility == "private"
    assert hub.state.history(KIND, REPO)[1:] == [published.commit]
    assert hub.state.repo(KIND, REPO).tags == {"v1": published.commit}
    tree = hub.state.tree(KIND, REPO)
    assert {path.split("/")[0] for path in tree} == {
        ".gitattributes",
        "README.md",
        "data",
        "figures",
        "manifest.json",
        "run.json",
    }
    assert hub.state.read(KIND, REPO, "figures/values.png") == FIGURE
    reader = RunReader.open(run)
    for table in TABLES:
        splits = table_rows(hub, table)
        assert published.rows[table] == {name: len(splits[name]) for name in splits}
        rows = sorted((row for part in splits.values() for row in part), key=lambda row: str(row["item"]).zfill(9))
        assert rows == list(reader.rows(table)), "stable: rows of an item stay in their order"


def test_public_is_asked_for(run: Path, hub: HubServer) -> None:
    assert publish(run, HubTarget(REPO, public=True), options()).private is False
    assert hub.state.repo(KIND, REPO).visibility == "public"


def test_no_question_stands_in_two_splits_and_items_stay_together(run: Path, hub: HubServer) -> None:
    publish(run, HubTarget(REPO), options())
    items = {split: {row["item"] for row in rows} for split, rows in table_rows(hub, "problems").items()}
    assert set(items) == {"train", "validation", "test"}
    questions = [row["question"] for rows in table_rows(hub, "problems").values() for row in rows]
    assert len(set(questions)) == len(questions) == 24
    for table in TABLES:
        for split, rows in table_rows(hub, table).items():
            assert {row["item"] for row in rows} <= items[split]


def test_a_split_without_a_share_is_left_out(run: Path, hub: HubServer) -> None:
    published = publish(run, HubTarget(REPO), options(cut=Cut(Splits(1.0, 0.0, 0.0))))
    assert {split for parts in published.rows.values() for split in parts} == {"train"}
    assert all("train-" in path for path in hub.state.tree(KIND, REPO) if path.startswith("data/"))


def test_a_dry_run_shows_every_file_and_writes_nothing(run: Path, hub: HubServer) -> None:
    shown = publish(run, HubTarget(REPO), options(dry_run=True))
    assert not WRITES & set(hub.names())
    assert shown.status == "dry run"
    assert "would be made, private" in shown.notes[0]
    done = publish(run, HubTarget(REPO), options())
    assert shown.changes == done.changes
    assert {change.path: change.size for change in shown.changes} == {
        path: blob.size for path, blob in hub.state.tree(KIND, REPO).items() if path != ".gitattributes"
    }
    hub.calls.clear()
    again = publish(run, HubTarget(REPO), options(dry_run=True))
    assert {change.kind for change in again.changes} == {"same"}
    assert not WRITES & set(hub.names())


def test_a_dry_run_needs_no_token(run: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    use_hub(monkeypatch, hub, None)
    hub.state.create(KIND, REPO)
    assert publish(run, HubTarget(REPO), options(dry_run=True)).private is False


def test_the_same_data_again_make_no_commit_and_no_tag(run: Path, hub: HubServer) -> None:
    first = publish(run, HubTarget(REPO), options())
    hub.calls.clear()
    again = publish(run, HubTarget(REPO), options())
    assert (again.status, again.tag, again.commit, again.sent) == ("unchanged", "v1", first.commit, 0)
    assert not WRITES & set(hub.names())


def test_a_run_that_grew_becomes_the_next_version_without_the_old_files(
    run: Path, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openr_data.store.split_files._GROUP_ROWS", 40)
    small = options(cut=Cut(Splits(0.6, 0.2, 0.2), 30_000))
    publish(run, HubTarget(REPO), small)
    old = hub.state.tree(KIND, REPO)
    grown = publish(small_run(tmp_path / "grown", 60), HubTarget(REPO), small)
    assert (grown.status, grown.tag) == ("published", "v2")
    removed = {change.path for change in grown.changes if change.kind == "removed"}
    assert removed, "there are more files now, so they are numbered otherwise"
    assert not removed & set(hub.state.tree(KIND, REPO))
    assert hub.state.tree(KIND, REPO, "v1") == old, "who wants the old version still has it"
    assert sum(map(len, table_rows(hub, "problems").values())) == 60
    assert sum(map(len, table_rows(hub, "problems", "v1").values())) == 24
    assert len(hub.state.history(KIND, REPO)) == 3


def test_what_people_wrote_stays(run: Path, hub: HubServer, tmp_path: Path) -> None:
    publish(run, HubTarget(REPO), options())
    card = hub.state.read(KIND, REPO, "README.md").decode()
    hub.state.put_file(KIND, REPO, "README.md", card.replace("---\n\n", "---\n\nRead our paper first.\n\n", 1).encode())
    hub.state.put_file(KIND, REPO, "notes/ours.txt", b"a file of theirs")
    again = publish(run, HubTarget(REPO), options())
    assert (again.status, again.tag) == ("unchanged", "v1"), "an edited card is no new version of the data"
    publish(small_run(tmp_path / "grown", 30), HubTarget(REPO), options())
    assert "Read our paper first." in hub.state.read(KIND, REPO, "README.md").decode()
    assert hub.state.read(KIND, REPO, "notes/ours.txt") == b"a file of theirs"


def test_a_new_repository_of_the_site_is_filled(run: Path, hub: HubServer) -> None:
    hub.state.create(KIND, REPO)
    hub.state.put_file(KIND, REPO, "README.md", b"---\nlicense: mit\n---\n\nComing soon.\n")
    publish(run, HubTarget(REPO), options())
    card = hub.state.read(KIND, REPO, "README.md").decode()
    assert "license: mit" in card
    assert "Coming soon." in card


def test_a_tag_of_ones_own(run: Path, hub: HubServer, tmp_path: Path) -> None:
    assert publish(run, HubTarget(REPO, tag="icml"), options()).tag == "icml"
    assert publish(run, HubTarget(REPO), options()).status == "unchanged", "that version has a tag"
    second = publish(small_run(tmp_path / "grown", 30), HubTarget(REPO), options())
    assert second.tag == "v1"
    third = publish(run, HubTarget(REPO), options())
    assert third.tag == "v2", "data that come back are a version of their own"
    assert hub.state.repo(KIND, REPO).tags.keys() == {"icml", "v1", "v2"}


def test_a_branch_of_ones_own(run: Path, hub: HubServer) -> None:
    publish(run, HubTarget(REPO, branch="next"), options())
    assert "manifest.json" in hub.state.tree(KIND, REPO, "next")
    assert "manifest.json" not in hub.state.tree(KIND, REPO, "main")


def test_many_files_are_listed_page_by_page(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_server(tmp_path / "pages", page=3) as hub:
        use_hub(monkeypatch, hub)
        assert publish(run, HubTarget(REPO), options()).status == "published"
        assert hub.names().count("tree") > 6


def test_the_manifest_tells_every_file_and_the_run(run: Path, hub: HubServer) -> None:
    publish(run, HubTarget(REPO), options())
    manifest = json.loads(hub.state.read(KIND, REPO, "manifest.json"))
    assert manifest["run"] == RunReader.open(run).record.digest
    tree = hub.state.tree(KIND, REPO)
    assert {each["path"] for each in manifest["files"]} == set(tree) - {".gitattributes", "README.md", "manifest.json"}
    for each in manifest["files"]:
        assert tree[each["path"]].size == each["bytes"]
        if tree[each["path"]].large:
            assert tree[each["path"]].oid == each["sha256"]
        if each["path"].endswith(".parquet"):
            assert pq.read_metadata(hub.state.blobs / each["sha256"]).num_rows == each["rows"]


def test_the_xet_way(run: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    use_hub(monkeypatch, hub, xet=True)
    assert publish(run, HubTarget(REPO), options()).status == "published"
    assert "xet" in hub.names()
    assert not {"batch", "put"} & set(hub.names())
    assert sum(map(len, table_rows(hub, "rollouts").values())) == len(list(RunReader.open(run).rows("rollouts")))
    assert publish(run, HubTarget(REPO), options()).status == "unchanged"


def test_nothing_is_left_in_the_run(run: Path, hub: HubServer) -> None:
    before = sorted(path.relative_to(run) for path in run.rglob("*"))
    publish(run, HubTarget(REPO), options())
    assert sorted(path.relative_to(run) for path in run.rglob("*")) == before


def test_a_run_that_cannot_be_written_is_published_all_the_same(
    run: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Path.mkdir

    def refusing(self: Path, *args: object, **named: object) -> None:
        if self.name == ".publish":
            raise PermissionError(13, "Permission denied", str(self))
        make(self, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", refusing)
    assert publish(run, HubTarget(REPO), options()).status == "published"
