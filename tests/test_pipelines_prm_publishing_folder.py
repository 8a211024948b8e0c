"""A model in a folder of this machine or an fsspec address, and folders that are no model."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest
from prm_folders import add_records, tiny_prm
from prm_publishing import Stop, copied, options, same_weights
from prm_reports import write_evaluation

from openr_data.errors import HubError, InputError, OpenRDataError, RunDirError, UsageError
from openr_data.hub.files import LocalFile
from openr_data.hub.folder import Folder
from openr_data.pipelines.prm.model_card import ModelCardOptions, write_model_card
from openr_data.pipelines.prm.publishing import publish_model
from openr_data.pipelines.prm.record import PRMRunRecord
from openr_data.pipelines.publishing.folder import FolderTarget


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_records(tiny_prm(tmp_path_factory.mktemp("model") / "my-prm"))


@pytest.fixture(scope="module")
def retrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The next version of the same model."""
    return tiny_prm(tmp_path_factory.mktemp("model") / "my-prm", seed=1)


@pytest.fixture(params=["path", "memory://"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield f"memory://{tmp_path.name}/out" if request.param == "memory://" else f"{tmp_path}/out"
    fsspec.filesystem("memory").rm("/", recursive=True)


def fetched(url: str, folder: Path) -> Path:
    """As a reader copies it, without what is hidden."""
    for path in Folder(url).sizes():
        if not path.startswith("."):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(Folder(url).read(path))
    return folder


def test_a_folder_holds_the_model_and_only_new_words_may_follow(model: Path, retrained: Path, url: str, tmp_path: Path) -> None:
    published = publish_model(model, FolderTarget(url), options())
    assert (published.status, published.private) == ("published", None)
    assert same_weights(model, fetched(url, tmp_path / "copy"))
    assert publish_model(model, FolderTarget(url), options()).status == "unchanged"
    evaluation = ModelCardOptions(write_evaluation(tmp_path / "evaluation", model), "mit")
    assert publish_model(model, FolderTarget(url), options(card=evaluation)).status == "published"
    before = {path: Folder(url).read(path) for path in Folder(url).sizes()}
    with pytest.raises(HubError, match=r"holds another model \(model.safetensors differs\); publish this one to another folder"):
        publish_model(retrained, FolderTarget(url), options())
    assert {path: Folder(url).read(path) for path in Folder(url).sizes()} == before


def test_a_stop_at_any_write_leaves_no_half_of_a_model(
    model: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader finds no model, or the whole one."""
    whole = 0
    for number, _ in enumerate(stops(model, url, monkeypatch)):
        there = fetched(url, tmp_path / f"copy-{number}")
        if (there / "prm_config.json").exists() and (there / "config.json").exists():
            whole += 1
            assert {"model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json"} <= {
                path.name for path in there.iterdir()
            }
    assert whole, "the card and the manifest come after it"
    assert same_weights(model, fetched(url, tmp_path / "end"))
    assert publish_model(model, FolderTarget(url), options()).status == "unchanged"


def stops(model: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Publish until it ends, stopping after each change of the folder; a file that is written then is there in part."""
    left = 0

    def counting(change: Any) -> Any:
        def counted(folder: Folder, what: Any) -> Any:
            nonlocal left
            if left <= 0:
                if isinstance(what, LocalFile) and what.path.endswith(".safetensors"):
                    folder._replace(what.path, what.source.read_bytes()[: what.size // 2])
                raise Stop
            left -= not (isinstance(what, LocalFile) and what.path == ".publishing.json")
            return change(folder, what)

        return counted

    for name in ("put", "replace", "_delete"):
        monkeypatch.setattr(Folder, name, counting(getattr(Folder, name)))
    while True:
        left = 1
        try:
            publish_model(model, FolderTarget(url), options())
        except Stop:
            yield
        else:
            return


def test_a_folder_that_holds_something_else_is_refused(model: Path, url: str) -> None:
    fs, root = fsspec.core.url_to_fs(url)
    fs.makedirs(root, exist_ok=True)
    fs.pipe_file(f"{root}/model.safetensors", b"theirs")
    with pytest.raises(HubError, match=r"holds something else \(model.safetensors\) .*choose another folder$"):
        publish_model(model, FolderTarget(url), options())
    assert Folder(url).sizes() == {"model.safetensors": 6}


def test_weights_that_someone_put_beside_ours_are_noticed(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish_model(model, FolderTarget(str(out)), options())
    (out / "adapter_config.json").write_text("{}")
    with pytest.raises(HubError, match=r"holds adapter_config.json, which would be loaded with ours"):
        publish_model(model, FolderTarget(str(out)), options())


def test_the_record_of_the_run_can_be_read_from_what_was_published(model: Path, tmp_path: Path) -> None:
    publish_model(model, FolderTarget(str(tmp_path / "out")), options())
    assert list(PRMRunRecord.load(tmp_path / "out").data["sources"]) == ["labels", "acme/human-steps@v1"]
    card = write_model_card(tmp_path / "out")
    assert "| labels | omegaprm | 2 |" in card.text, "the card can be made again of what was fetched"


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda m: (m / "prm_config.json").unlink(), "holds no process reward model"),
        (lambda m: (m / "config.json").unlink(), "there is no config.json"),
        (lambda m: (m / "model.safetensors").unlink(), "holds no weights"),
        (lambda m: (m / "model.safetensors").write_bytes(b"short"), "model.safetensors is damaged"),
        (lambda m: cut(m / "model.safetensors"), "model.safetensors is damaged"),
        (lambda m: (m / "tokenizer.json").unlink(), "tokenizer"),
        (lambda m: (m / "adapter_config.json").write_text("{}"), "`openr-data prm merge` makes one"),
        (lambda m: (m / "extra.safetensors").write_bytes(b"x"), "not whole: extra.safetensors is not part of them"),
        (lambda m: (m / ".checkpoints").mkdir(), "is not finished"),
        (lambda m: relink(m / "tokenizer.json"), "is a link; only files are published"),
        (lambda m: (m / "training.json").write_text("{"), "training.json cannot be read"),
        (lambda m: (m / "prm_run.json").write_text("{}"), "prm_run.json is damaged"),
        (lambda m: (m / "README.md").write_text("---\na: [\n---\n"), "metadata of the card"),
    ],
)
def test_folders_that_are_no_whole_model(model: Path, tmp_path: Path, harm: Any, sentence: str) -> None:
    mine = copied(model, tmp_path / "my-prm")
    harm(mine)
    with pytest.raises(OpenRDataError, match=sentence) as caught:
        publish_model(mine, FolderTarget(str(tmp_path / "out")), options())
    assert isinstance(caught.value, InputError | RunDirError | UsageError)
    assert not (tmp_path / "out").exists()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def relink(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def test_weights_in_several_files(tmp_path: Path) -> None:
    mine = tiny_prm(tmp_path / "my-prm", shards="20KB")
    shards = sorted(mine.glob("model-*.safetensors"))
    assert len(shards) > 1
    publish_model(mine, FolderTarget(str(tmp_path / "out")), options())
    assert same_weights(mine, tmp_path / "out")
    shards[0].unlink()
    with pytest.raises(InputError, match=rf"not whole: {shards[0].name} is missing"):
        publish_model(mine, FolderTarget(str(tmp_path / "other")), options())
    shutil.copy(shards[1], shards[0])
    with pytest.raises(InputError, match=r"does not hold the weights that model.safetensors.index.json says"):
        publish_model(mine, FolderTarget(str(tmp_path / "other")), options())
