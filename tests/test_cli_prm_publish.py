"""The commands `prm card` and `prm publish`: what a person and a program see."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import WRITE, HubServer, hub_server
from prm_folders import add_records, tiny_prm
from prm_publishing import KIND, REPO
from prm_reports import write_evaluation
from publishing import use_hub
from typer.testing import CliRunner, Result

from openr_data.cli.app import app
from openr_data.errors import HubError, InputError, UsageError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_records(tiny_prm(tmp_path_factory.mktemp("model") / "my-prm"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server(tmp_path / "hub") as server:
        use_hub(monkeypatch, server)
        yield server


def command(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["prm", *map(str, arguments)])


def test_a_card_is_written_with_its_evaluation(model: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(model, tmp_path / "my-prm"))
    bare = command("card", mine)
    assert bare.exit_code == 0, bare.output
    assert "--evaluation DIR adds it" in bare.stdout
    made = command("card", mine, "--evaluation", write_evaluation(tmp_path / "evaluation", mine), "--license", "mit", "--json")
    assert json.loads(made.stdout)["files"] == [
        str(mine / "evaluation/report.json"),
        str(mine / "evaluation/figures/steps-reliability.png"),
    ]
    assert "Its lowest subset of ProcessBench is math" in (mine / "README.md").read_text()
    wrong = command("card", tmp_path)
    assert isinstance(wrong.exception, InputError)


def test_a_person_sees_what_would_go_and_what_went_where(model: Path, hub: HubServer) -> None:
    shown = command("publish", model, "--repo", REPO, "--dry-run")
    assert shown.exit_code == 0, shown.output
    listed = {line.split()[-1] for line in shown.stdout.splitlines() if line.startswith("+")}
    assert {"model.safetensors", "prm_config.json", "README.md", "manifest.json"} <= listed
    done = command("publish", model, "--repo", REPO, "--license", "mit")
    assert set(hub.state.tree(KIND, REPO)) == listed | {".gitattributes"}
    assert "status     published" in done.stdout
    assert "those you let in (private)" in done.stdout
    assert "tag        v1" in done.stdout
    again = command("publish", model, "--repo", REPO)
    assert "status     unchanged" in again.stdout


def test_a_program_reads_json(model: Path, hub: HubServer, tmp_path: Path) -> None:
    told = json.loads(command("publish", model, "--repo", REPO, "--public", "--json").stdout)
    assert (told["status"], told["tag"], told["private"]) == ("published", "v1", False)
    assert told["commit"] == hub.state.resolve(KIND, REPO, "main")
    assert WRITE not in json.dumps(told)
    assert json.loads(command("publish", model, "--to", tmp_path / "out", "--json").stdout)["status"] == "published"
    assert (tmp_path / "out" / "prm_config.json").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "say where to publish"),
        (("--repo", REPO, "--to", "out"), "say where to publish"),
        (("--to", "out", "--replace"), "are for --repo"),
        (("--repo", "bad name"), "is not the name of a repository"),
        (("--repo", REPO, "--license", "My Licence"), "is no licence as a card names it"),
    ],
)
def test_wrong_options_are_one_sentence(model: Path, arguments: tuple[str, ...], sentence: str) -> None:
    result = command("publish", model, *arguments)
    assert isinstance(result.exception, UsageError)
    assert sentence in str(result.exception)


def test_a_refusal_has_its_exit_code(model: Path, hub: HubServer) -> None:
    hub.state.create(KIND, REPO)
    hub.state.put_file(KIND, REPO, "model.gguf", b"theirs")
    result = command("publish", model, "--repo", REPO)
    assert isinstance(result.exception, HubError)
    assert result.exception.exit_code == 8
    assert command("publish", model, "--repo", REPO, "--replace").exit_code == 0
