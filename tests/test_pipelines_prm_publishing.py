"""A process reward model goes to a stand-in Hub and comes back with equal weights; other things there are left alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hub_server import WRITE, WRITES, HubServer, hub_server
from huggingface_hub import snapshot_download
from prm_folders import add_records, tiny_prm
from prm_publishing import KIND, REPO, copied, options, published_once, same_weights
from prm_reports import PNG, write_evaluation
from publishing import use_hub

from openr_data.data_cards.blocks import block_texts
from openr_data.data_cards.metadata import read_head, split_card
from openr_data.errors import HubError
from openr_data.models.files import model_digest
from openr_data.pipelines.prm.model_card import ModelCardOptions, write_model_card
from openr_data.pipelines.prm.publishing import publish_model
from openr_data.pipelines.publishing.hub import HubTarget
from openr_data.pipelines.publishing.kinds import MODEL
from openr_data.pipelines.publishing.record import owned_files
from openr_data.prm.config import PRMConfig

PRIVATE = b"/home/ann"


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


def test_it_is_private_in_one_commit_and_loads_with_equal_weights(model: Path, hub: HubServer, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
    published = publish_model(model, HubTarget(REPO), options())
    assert (published.status, published.tag, published.private) == ("published", "v1", True)
    assert published.place == f"{hub.url}/{REPO}"
    assert hub.state.history(KIND, REPO)[1:] == [published.commit]
    assert "template builtin, from acme/base-1b" in hub.state.commit_body(KIND, REPO, published.commit)["summary"]
    assert set(hub.state.tree(KIND, REPO)) == {".gitattributes", "README.md", "manifest.json", *(path.name for path in before)}
    assert {path: path.read_bytes() for path in model.rglob("*") if path.is_file()} == before
    fetched = Path(snapshot_download(REPO, local_dir=tmp_path / "fetched", endpoint=hub.url, token=WRITE))
    assert same_weights(model, fetched)
    assert model_digest(fetched) == model_digest(model), "its scores are known by the same name"
    assert PRMConfig.load(fetched) == PRMConfig.load(model)


def test_the_same_model_again_changes_nothing_and_the_next_one_is_a_version(model: Path, retrained: Path, hub: HubServer) -> None:
    first = publish_model(model, HubTarget(REPO), options())
    hub.calls.clear()
    again = publish_model(model, HubTarget(REPO), options())
    assert (again.status, again.tag, again.commit, again.sent) == ("unchanged", "v1", first.commit, 0)
    assert not WRITES & set(hub.names())
    grown = publish_model(retrained, HubTarget(REPO), options())
    assert grown.tag == "v2"
    assert {change.path for change in grown.changes if change.kind == "removed"} == {"training.json", "prm_run.json"}
    assert set(hub.state.repo(KIND, REPO).tags) == {"v1", "v2"}
    assert hub.state.tree(KIND, REPO, "v1")["training.json"].size > 0


def test_a_dry_run_shows_what_would_go_and_what_stays(model: Path, hub: HubServer, tmp_path: Path) -> None:
    mine = copied(model, tmp_path / "my-prm")
    for name in ("checkpoint-10", "adapter"):
        (mine / name).mkdir()
        (mine / name / "model.safetensors").write_bytes(b"x")
    for name in ("optimizer.pt", "training_args.bin", "pytorch_model.bin", "rejects.jsonl", "modeling.py", "trainer_state.json"):
        (mine / name).write_bytes(b"x")
    (mine / ".env").write_text("HF_TOKEN=hf_secret")
    shown = publish_model(mine, HubTarget(REPO), options(dry_run=True))
    assert not WRITES & set(hub.names())
    assert shown.status == "dry run"
    left = "adapter/, checkpoint-10/, modeling.py, optimizer.pt, pytorch_model.bin, rejects.jsonl, trainer_state.json"
    assert f"left out: {left}, training_args.bin" in shown.notes
    done = publish_model(mine, HubTarget(REPO), options())
    assert shown.changes == done.changes
    assert {change.path for change in shown.changes} == set(hub.state.tree(KIND, REPO)) - {".gitattributes"}
    assert not [
        path for path in hub.state.tree(KIND, REPO) if not path.endswith((".json", ".md", ".safetensors", ".gitattributes"))
    ]


def test_nothing_of_this_machine_goes_with_it(model: Path, hub: HubServer, tmp_path: Path) -> None:
    mine = add_records(tiny_prm(tmp_path / "my-prm", base_model="/home/ann/models/base"))
    config = json.loads((mine / "config.json").read_text())
    (mine / "config.json").write_text(json.dumps({**config, "_name_or_path": "/home/ann/models/base"}))
    publish_model(mine, HubTarget(REPO), options(card=ModelCardOptions(write_evaluation(tmp_path / "evaluation", mine))))
    for path in hub.state.tree(KIND, REPO):
        content = hub.state.read(KIND, REPO, path)
        assert PRIVATE not in content, path
        assert str(tmp_path).encode() not in content, path
    assert json.loads(hub.state.read(KIND, REPO, "prm_config.json"))["base_model"] == "base"
    assert json.loads(hub.state.read(KIND, REPO, "config.json"))["_name_or_path"] == "base"
    run = json.loads(hub.state.read(KIND, REPO, "prm_run.json"))
    assert list(run["data"]["sources"]) == ["labels", "acme/human-steps@v1"]
    assert [each["location"] for each in run["config"]["sources"]] == ["labels", "acme/human-steps"]
    assert json.loads(hub.state.read(KIND, REPO, "training.json"))["steps"] == 40


def test_the_card_there_is_that_of_the_repository_and_words_of_people_stay(model: Path, retrained: Path, hub: HubServer) -> None:
    publish_model(model, HubTarget(REPO), options(card=ModelCardOptions(license="mit")))
    card = hub.state.read(KIND, REPO, "README.md").decode()
    head, body = split_card(card)
    assert read_head(head)["base_model"] == "acme/base-1b"
    assert 'model_folder("alice/prm")' in block_texts(body)["use"]
    hub.state.put_file(KIND, REPO, "README.md", f"{card}\nRead our paper.\n".encode())
    publish_model(retrained, HubTarget(REPO), options())
    again = hub.state.read(KIND, REPO, "README.md").decode()
    assert again.endswith("Read our paper.\n")
    assert read_head(split_card(again)[0])["license"] == "mit"


def test_the_card_of_the_folder_goes_where_nobody_has_written_yet(model: Path, hub: HubServer, tmp_path: Path) -> None:
    mine = copied(model, tmp_path / "my-prm")
    write_model_card(mine, ModelCardOptions(write_evaluation(tmp_path / "evaluation", mine), "apache-2.0"))
    card = (mine / "README.md").read_text()
    (mine / "README.md").write_text(f"{card}\nFrom us.\n")
    publish_model(mine, HubTarget(REPO), options())
    there = hub.state.read(KIND, REPO, "README.md").decode()
    assert there.endswith("From us.\n")
    assert read_head(split_card(there)[0])["license"] == "apache-2.0"
    assert "F1 33.0" in block_texts(split_card(there)[1])["weak"]
    assert hub.state.read(KIND, REPO, "evaluation/figures/steps-reliability.png") == PNG
    assert "evaluation/report.json" in hub.state.tree(KIND, REPO)
    assert publish_model(mine, HubTarget(REPO), options()).status == "unchanged"


def test_a_data_set_of_this_name(model: Path, hub: HubServer) -> None:
    hub.state.create("datasets", REPO)
    with pytest.raises(HubError, match="alice/prm is a data set on the Hub, not a model; choose another name for the model"):
        publish_model(model, HubTarget(REPO), options())
    assert not WRITES & set(hub.names())


def test_a_repository_of_something_else_is_replaced_only_when_asked(model: Path, hub: HubServer) -> None:
    hub.state.create(KIND, REPO)
    for name, content in (
        ("pytorch_model.bin", b"x"),
        ("adapter_config.json", b"{}"),
        ("notes.txt", b"theirs"),
        ("config.json", b"{}"),
    ):
        hub.state.put_file(KIND, REPO, name, content)
    before = hub.state.tree(KIND, REPO)
    with pytest.raises(HubError, match=r"holds something else \(adapter_config.json\) .*--replace to put the model in its place"):
        publish_model(model, HubTarget(REPO), options())
    assert hub.state.tree(KIND, REPO) == before
    shown = publish_model(model, HubTarget(REPO, into_existing=True), options(dry_run=True))
    assert {change.path for change in shown.changes if change.kind == "removed"} == {"pytorch_model.bin", "adapter_config.json"}
    publish_model(model, HubTarget(REPO, into_existing=True), options())
    after = hub.state.tree(KIND, REPO)
    assert {"notes.txt", "model.safetensors"} <= set(after), "what no loader reads stays"
    assert not {"pytorch_model.bin", "adapter_config.json"} & set(after)
    assert publish_model(model, HubTarget(REPO), options()).status == "unchanged"


@pytest.mark.parametrize(
    ("changes", "what"), [({"base_model": "acme/other"}, "base model is acme/base-1b"), ({"head": "value"}, "head is causal")]
)
def test_another_model_is_no_new_version(
    model: Path, second: HubServer, tmp_path: Path, changes: dict[str, str], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, mine = second, copied(model, tmp_path / "my-prm")
    replace(PRMConfig.load(mine), **changes).save(mine)  # type: ignore[arg-type]  # any of the fields
    old = hub.state.tree(KIND, REPO)
    with pytest.raises(HubError, match=rf"holds another model \(its {what}\); use another repository, or --replace"):
        publish_model(mine, HubTarget(REPO), options())
    assert hub.state.tree(KIND, REPO) == old
    assert publish_model(mine, HubTarget(REPO, into_existing=True), options()).tag == "v2"


def test_weights_of_others_beside_ours_are_noticed(model: Path, second: HubServer) -> None:
    second.state.put_file(KIND, REPO, "model-00001-of-00002.safetensors", b"x")
    with pytest.raises(HubError, match=r"model-00001-of-00002.safetensors, which would be loaded as part of the model"):
        publish_model(model, HubTarget(REPO), options())


def test_a_file_that_someone_changed(retrained: Path, second: HubServer) -> None:
    second.state.put_file(KIND, REPO, "generation_config.json", b"{}")
    with pytest.raises(HubError, match=r"generation_config.json that someone changed since it was published; --replace"):
        publish_model(retrained, HubTarget(REPO), options())


def test_a_manifest_of_a_data_set_is_none_of_a_model() -> None:
    files = '[{"path": "config.json", "sha256": "0"}, {"path": "src/x.py", "sha256": "0"}, {"path": "x.bin", "sha256": "0"}]'
    assert owned_files(f'{{"made_by": "openr-data", "files": {files}}}'.encode(), MODEL) is None
    assert owned_files(f'{{"made_by": "openr-data", "kind": "model", "files": {files}}}'.encode()) is None
    assert owned_files(f'{{"made_by": "openr-data", "kind": "model", "files": {files}}}'.encode(), MODEL) == {"config.json": "0"}
