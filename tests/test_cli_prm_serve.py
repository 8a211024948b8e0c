"""`openr-data prm serve`: what it prints, what it starts, and its sentence where it cannot."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import prm_third_party_models as made
import pytest
from prm_scorers import builtin_prm
from typer.testing import CliRunner

from openr_data.cli.prm.app import app
from openr_data.errors import UsageError

run = CliRunner()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return builtin_prm(tmp_path_factory.mktemp("prm"))


def test_print_starts_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("it started"))
    for flag in ("--print", "--dry-run"):
        found = run.invoke(app, ["serve", str(folder), flag, "--port", "8123", "--", "--tensor-parallel-size", "2"])
        assert found.exit_code == 0, found.output
        assert "-m vllm.entrypoints.openai.api_server --model" in found.output
        assert "--tensor-parallel-size 2" in found.output
        assert "curl http://127.0.0.1:8123/pooling -H 'Content-Type: application/json'" in found.output
        assert "[[" in found.output  # token ids, and no markup of the terminal


def test_the_server_takes_the_place_of_the_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *words: started.append(words))
    monkeypatch.setattr("openr_data.prm.score.vllm.refuse_absent", lambda: None)
    found = run.invoke(app, ["serve", str(folder)])
    assert found.exit_code == 0, found.output
    ((program, command, environment),) = started
    assert command[:3] == (program, "-m", "vllm.entrypoints.openai.api_server")
    assert environment.items() >= {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}.items()
    assert "vllm.entrypoints" in found.output


def test_without_vllm_it_says_so_and_prints_no_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openr_data.prm.score.vllm.find_spec", lambda _name: None)
    found = run.invoke(app, ["serve", str(folder)])
    assert isinstance(found.exception, UsageError)
    assert str(found.exception) == "this needs vLLM, which is not installed: pip install 'openr-data[vllm]'"
    assert found.output == ""


def test_models_of_others_take_a_style(tmp_path: Path) -> None:
    folder = made.openr(tmp_path)
    assert run.invoke(app, ["serve", str(folder), "--print", "--style", "openr"]).exit_code == 0
    found = run.invoke(app, ["serve", str(folder), "--print"])
    assert isinstance(found.exception, UsageError)
    assert "name it with --style" in str(found.exception)
