"""The command `publish`: what a person and a program see."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hub_server import WRITE, HubServer, hub_server
from publishing import plain_card, small_run, use_hub
from typer.testing import CliRunner, Result

from openr_data.cli.app import app
from openr_data.errors import HubError, UsageError
from openr_data.pipelines.publishing.publish import PublishOptions

REPO = "alice/steps"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("run") / "run", 24)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server(tmp_path / "hub") as server:
        use_hub(monkeypatch, server)
        monkeypatch.setattr("openr_data.pipelines.publishing.publish.PublishOptions", partial(PublishOptions, card=plain_card))
        yield server


def command(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["publish", *map(str, arguments)])


def test_a_person_sees_what_went_where(run: Path, hub: HubServer) -> None:
    shown = command(run, "--repo", REPO, "--dry-run", "--splits", "60/20/20")
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert sum(line.startswith("+") for line in lines) == 16
    assert any("data/labeled/train-00000-of-00001.parquet" in line for line in lines)
    done = command(run, "--repo", REPO, "--splits", "60/20/20")
    assert "status     published" in done.stdout
    assert "those you let in (private)" in done.stdout
    assert "tag        v1" in done.stdout
    assert "train" in done.stdout
    again = command(run, "--repo", REPO, "--splits", "60/20/20")
    assert "status     unchanged" in again.stdout


def test_a_program_reads_json(run: Path, hub: HubServer) -> None:
    done = command(run, "--repo", REPO, "--json")
    told = json.loads(done.stdout)
    assert (told["status"], told["tag"], told["private"]) == ("published", "v1", True)
    assert told["commit"] == hub.state.resolve("datasets", REPO, "main")
    assert told["bytes"] == sum(change["size"] for change in told["changes"])
    assert WRITE not in done.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "say where to publish"),
        (("--repo", REPO, "--to", "out"), "say where to publish"),
        (("--to", "out", "--public"), "are for --repo"),
        (("--repo", "bad name"), "is not the name of a repository"),
        (("--repo", REPO, "--tag", "a b"), "cannot be a tag"),
        (("--repo", REPO, "--revision", "../x"), "cannot be a branch"),
        (("--repo", REPO, "--splits", "50/50/50"), "splits are shares"),
        (("--repo", REPO, "--max-file-size", "much"), "a file size is a number"),
    ],
)
def test_wrong_options_are_one_sentence(run: Path, arguments: tuple[str, ...], sentence: str) -> None:
    result = command(run, *arguments)
    assert isinstance(result.exception, UsageError)
    assert sentence in str(result.exception)


def test_a_refusal_has_its_exit_code(run: Path, hub: HubServer) -> None:
    hub.state.create("models", REPO)
    result = command(run, "--repo", REPO)
    assert isinstance(result.exception, HubError)
    assert result.exception.exit_code == 8


def test_help_loads_neither_the_hub_nor_arrow() -> None:
    code = (
        "import sys, openr_data.cli.app; "
        "print([m for m in ('huggingface_hub', 'fsspec', 'pyarrow', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
