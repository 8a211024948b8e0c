"""`publish --to`: a folder of this machine or of an fsspec address holds the old version or the new one, and loads as the run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pyarrow.parquet as pq
import pytest
import yaml
from publishing import options, small_run

from openr_data.data_cards.card import CardFacts, CardSplit, CardTable, render_card
from openr_data.errors import HubError, OpenRDataError, UsageError
from openr_data.hub.files import LocalFile
from openr_data.hub.folder import Folder
from openr_data.pipelines.exporting.config import ExportFile
from openr_data.pipelines.publishing.folder import FolderTarget
from openr_data.pipelines.publishing.publish import publish
from openr_data.pipelines.publishing.source import Cut
from openr_data.pipelines.splits import Splits
from openr_data.store.atomic import file_digest, write_checked_json
from openr_data.store.read import RunReader

TABLES = ("labeled", "problems", "nodes", "rollouts")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("run") / "run")


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("run") / "run", 30)


@pytest.fixture(params=["path", "file://", "memory://"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield f"memory://{tmp_path.name}/out" if request.param == "memory://" else f"{request.param[:7].strip('path')}{tmp_path}/out"
    fsspec.filesystem("memory").rm("/", recursive=True)


def loaded(url: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of every table as a loader finds them: by what README.md says, and only by that."""
    fs, root = fsspec.core.url_to_fs(url)
    head = yaml.safe_load(fs.cat_file(f"{root}/README.md").decode().split("---\n")[1])
    rows: dict[str, list[dict[str, Any]]] = {}
    for config, info in zip(head["configs"], head["dataset_info"], strict=True):
        for part, told in zip(config["data_files"], info["splits"], strict=True):
            files = sorted(fs.glob(f"{root}/{part['path']}"))
            found = [row for file in files for row in pq.read_table(fs.open(file)).to_pylist()]
            if len(found) != told["num_examples"]:
                raise ValueError("a shard is missing")
            rows.setdefault(config["config_name"], []).extend(found)
    return {table: sorted(found, key=lambda row: row["item"]) for table, found in rows.items()}


def rows_of(run: Path) -> dict[str, list[dict[str, Any]]]:
    return {table: list(RunReader.open(run).rows(table)) for table in TABLES}


def test_a_folder_holds_the_rows_of_the_run(run: Path, url: str) -> None:
    published = publish(run, FolderTarget(url), options())
    assert (published.status, published.private, published.tag) == ("published", None, "")
    assert loaded(url) == rows_of(run)
    assert publish(run, FolderTarget(url), options()).status == "unchanged"


def test_the_next_version_replaces_it_and_leaves_nothing(run: Path, grown: Path, url: str) -> None:
    publish(run, FolderTarget(url), options())
    old = set(Folder(url).sizes())
    published = publish(grown, FolderTarget(url), options())
    assert loaded(url) == rows_of(grown)
    gone = {change.path for change in published.changes if change.kind == "removed"}
    assert gone == {path for path in old if path.startswith("data-")}
    manifest = json.loads(Folder(url).read("manifest.json"))
    assert set(Folder(url).sizes()) == {"README.md", "manifest.json", *(each["path"] for each in manifest["files"])}


def test_a_dry_run_writes_nothing(run: Path, url: str) -> None:
    shown = publish(run, FolderTarget(url), options(dry_run=True))
    assert Folder(url).sizes() == {}
    assert shown.changes == publish(run, FolderTarget(url), options()).changes


WHOLE = options(cut=Cut(Splits(1.0, 0.0, 0.0)))


def test_a_stop_at_any_write_leaves_one_version_and_can_be_continued(
    run: Path, grown: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop after each write, replacement and deletion in turn, looking at the folder as a loader does."""
    publish(run, FolderTarget(url), WHOLE)
    versions = [rows_of(run), rows_of(grown)]
    seen = [versions.index(loaded(url)) for _ in stops(grown, url, monkeypatch)]
    assert len(seen) > 5
    assert seen == sorted(seen), "old, old, ... new, new"
    assert set(seen) == {0, 1}
    assert loaded(url) == versions[1]


def test_a_first_publication_that_was_stopped_is_continued(run: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(list(stops(run, url, monkeypatch))) > 5
    assert loaded(url) == rows_of(run)
    assert publish(run, FolderTarget(url), WHOLE).status == "unchanged"


def test_an_export_that_was_stopped_is_continued(run: Path, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = export(tmp_path / "export", run)
    assert len(list(stops(folder, url, monkeypatch))) > 3
    assert publish(folder, FolderTarget(url), WHOLE).status == "unchanged"
    assert Folder(url).sizes().keys() == {"README.md", "manifest.json", "export.json", DATA}


def test_a_stopped_version_leaves_nothing_where_the_old_one_is_published_again(
    run: Path, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its `run.json` may have the size of the old one's."""
    publish(run, FolderTarget(url), options())
    before = {path: Folder(url).read(path) for path in Folder(url).sizes()}
    other = small_run(tmp_path / "other", seed=8)
    with monkeypatch.context() as patch:
        _Stopping(patch, only="manifest.json")
        with pytest.raises(_Stop):
            publish(other, FolderTarget(url), options())
    assert Folder(url).read("run.json") != before["run.json"]
    Folder(url)._replace("run.json", bytes(len(before["run.json"])))
    publish(run, FolderTarget(url), options())
    assert {path: Folder(url).read(path) for path in Folder(url).sizes()} == before


def stops(run: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Publish until it ends, stopping after each change of the folder."""
    writes = _Stopping(monkeypatch)
    while True:
        writes.left = 1
        try:
            publish(run, FolderTarget(url), WHOLE)
        except _Stop:
            yield
        else:
            return


class _Stop(BaseException):
    """As a kill: nothing of ours handles it."""


class _Stopping:
    """Lets `left` changes of a folder happen, beside that of the hidden manifest, then stops; or stops at the file `only`. A file
    of data that is being written then is there in part.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, only: str = "") -> None:
        self.left, self.only = 0, only
        for name in ("put", "replace", "_delete"):
            monkeypatch.setattr(Folder, name, self._counting(getattr(Folder, name)))

    def _counting(self, change: Any) -> Any:
        def counted(folder: Folder, what: Any) -> Any:
            path = what.path if isinstance(what, LocalFile) else what
            if path == self.only or (not self.only and self.left <= 0):
                if isinstance(what, LocalFile) and what.path.startswith("data"):
                    folder._replace(what.path, what.source.read_bytes()[: what.size // 2])
                raise _Stop
            self.left -= path != ".publishing.json"
            return change(folder, what)

        return counted


def test_what_people_wrote_stays(run: Path, grown: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(run, FolderTarget(str(out)), options())
    card = (out / "README.md").read_text()
    (out / "README.md").write_text(card.replace("---\n\n", "---\n\nRead our paper first.\n\n", 1))
    (out / "notes.txt").write_text("ours")
    assert publish(run, FolderTarget(str(out)), options()).status == "unchanged"
    publish(grown, FolderTarget(str(out)), options())
    assert "Read our paper first." in (out / "README.md").read_text()
    assert (out / "notes.txt").read_text() == "ours"


def test_a_folder_that_holds_something_else_is_refused(run: Path, url: str) -> None:
    fs, root = fsspec.core.url_to_fs(url)
    fs.makedirs(root, exist_ok=True)
    fs.pipe_file(f"{root}/photo.jpg", b"jpg")
    with pytest.raises(HubError, match=r"holds something else \(photo.jpg\) and no publication of openr-data"):
        publish(run, FolderTarget(url), options())
    assert Folder(url).sizes() == {"photo.jpg": 3}
    publish(run, FolderTarget(url, into_existing=True), options())
    assert loaded(url) == rows_of(run)
    assert Folder(url).read("photo.jpg") == b"jpg"


def test_files_of_others_are_never_overwritten(run: Path, tmp_path: Path) -> None:
    """Also not those of a run, which is the only copy of what was paid for."""
    other = small_run(tmp_path / "other", seed=8)
    (other / "README.md").write_text("# A run")
    before = {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}
    with pytest.raises(
        HubError, match=r"holds a manifest.json of something else, which is not overwritten; choose another folder"
    ):
        publish(run, FolderTarget(str(other), into_existing=True), options())
    assert {path: path.read_bytes() for path in other.rglob("*") if path.is_file()} == before


def test_a_detour_leads_to_the_same_folder(run: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "photo.jpg").write_bytes(b"jpg")
    with pytest.raises(HubError, match="holds something else"):
        publish(run, FolderTarget(f"{tmp_path}/nothing/../photos"), options())
    assert not (tmp_path / "nothing").exists()


def test_a_file_that_someone_changed_is_not_replaced_unasked(run: Path, grown: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(run, FolderTarget(str(out)), options())
    (out / "run.json").write_text("mine")
    with pytest.raises(
        HubError, match=r"has a run.json that someone changed since it was published; --into-existing replaces it"
    ):
        publish(grown, FolderTarget(str(out)), options())
    assert (out / "run.json").read_text() == "mine"
    publish(grown, FolderTarget(str(out), into_existing=True), options())
    assert loaded(str(out)) == rows_of(grown)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("nonsense://x", "is not an address that fsspec knows"),
        ("s3://key:s3cr3tword@bucket/x", "s3://bucket/x needs another package"),
    ],
)
def test_addresses_that_cannot_be_used(run: Path, address: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        publish(run, FolderTarget(address), options())
    assert "s3cr3tword" not in str(caught.value)


def test_a_file_in_the_way(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file; give a folder"):
        publish(run, FolderTarget(str(tmp_path / "file")), options())


def test_a_disk_that_refuses(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.put_file", full)
    with pytest.raises(HubError, match=r"cannot be written \(OSError: \[Errno 28\] No space left on device\)"):
        publish(run, FolderTarget(str(tmp_path / "out")), options())


def test_bytes_that_read_back_otherwise(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Folder, "sha256", lambda *_: "0" * 64)
    with pytest.raises(HubError, match=r"does not read back from .* as it was written"):
        publish(run, FolderTarget(str(tmp_path / "out")), options())
    assert not (tmp_path / "out" / "README.md").exists()


def export(folder: Path, run: Path) -> Path:
    """A folder as `export` writes it."""
    table = CardTable(
        "default", "", [{"name": "item", "dtype": "int64"}], 24, 1, 1, [CardSplit("train", "data/train-*", 24, 1, 1)]
    )
    card = render_card(CardFacts("Export", [table], {}, {}, [], []))
    (folder / "data").mkdir(parents=True)
    file = folder / "data" / "train-00000-of-00001.parquet"
    pq.write_table(pq.read_table(run / "data" / "problems"), file)
    (folder / "README.md").write_text(card)
    describe(folder, "trl")
    return folder


def describe(folder: Path, layout: str) -> None:
    """What `export` leaves beside its files."""
    file = folder / "data" / "train-00000-of-00001.parquet"
    written = ExportFile("train", "data/train-00000-of-00001.parquet", 24, file.stat().st_size, 1, file_digest(file))
    write_checked_json(folder / "export.json", {"options": {"format": layout}, "summary": {"files": [asdict(written)]}})


def test_an_exported_folder_goes_as_it_is(run: Path, tmp_path: Path) -> None:
    folder, out = export(tmp_path / "export", run), tmp_path / "out"
    before = sorted(folder.rglob("*"))
    published = publish(folder, FolderTarget(str(out)), options())
    assert published.rows == {"default": {"train": 24}}
    for path in before:
        if path.is_file() and path.name != "README.md":
            assert (out / path.relative_to(folder)).read_bytes() == path.read_bytes()
    assert (out / "README.md").read_text() == (folder / "README.md").read_text().replace('"PATH"', f'"{out}"')
    assert sorted(folder.rglob("*")) == before
    (out / "README.md").write_text((out / "README.md").read_text() + "\nRead our paper first.\n")
    assert publish(folder, FolderTarget(str(out)), options()).status == "unchanged"


def test_another_export_needs_another_folder(run: Path, tmp_path: Path) -> None:
    folder, out = export(tmp_path / "export", run), tmp_path / "out"
    publish(folder, FolderTarget(str(out)), options())
    describe(folder, "scan")
    before = (out / "README.md").read_bytes()
    with pytest.raises(HubError, match=r"holds another export \(export.json differs\); publish this one to another folder"):
        publish(folder, FolderTarget(str(out)), options())
    assert (out / "README.md").read_bytes() == before


DATA = "data/train-00000-of-00001.parquet"


@pytest.mark.parametrize(
    ("harm", "content", "sentence"),
    [
        ("export.json", b"{", "export.json is damaged"),
        ("README.md", None, "has no README.md; export the run again"),
        (DATA, None, "is missing or not whole; export the run again"),
        (DATA, b"{", "is missing or not whole; export the run again"),
        (DATA, "flip", "was changed since it was exported; export the run again"),
        ("data/train-extra.parquet", b"x", "would be read with the data, and the export did not write it; remove it"),
        ("link", "link", "is a link; only files are published"),
    ],
)
def test_a_damaged_export(run: Path, tmp_path: Path, harm: str, content: bytes | str | None, sentence: str) -> None:
    folder = export(tmp_path / "export", run)
    place = folder / harm
    if content is None:
        place.unlink()
    elif content == "flip":
        before = place.read_bytes()
        place.write_bytes(before[:100] + bytes([before[100] ^ 1]) + before[101:])
    elif content == "link":
        place.symlink_to("/etc/passwd")
    elif isinstance(content, bytes):
        place.write_bytes(content)
    with pytest.raises(OpenRDataError, match=sentence):
        publish(folder, FolderTarget(str(tmp_path / "out")), options())
    assert not (tmp_path / "out").exists()
