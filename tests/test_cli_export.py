"""`openr-data export` as it is typed: what it prints, what it refuses, and a kill in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from export_runs import mixed_items, write_run

from openr_data import cli
from openr_data.layouts import LAYOUTS


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("cli") / "run", mixed_items(7))


def export(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["openr-data", "export", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_counts_as_json(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [run, "-f", "trl", "--labels", "soft", "--splits", "50/25/25", "--out", tmp_path / "out", "--json"]
    assert export(monkeypatch, *asked) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (told["solutions"], told["used"], told["dropped"]) == (49, 35, {"undecided": 7, "uncertain": 7})
    assert sum(told["splits"].values()) == told["rows"] == 35
    assert export(monkeypatch, *asked) == 0
    assert json.loads(capsys.readouterr().out)["unchanged"]


def test_counts_as_a_table(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(monkeypatch, run, "-f", "sft", "--out", tmp_path / "out") == 0
    words = capsys.readouterr().out.split()
    for told in (["solutions", "in", "the", "run", "49"], ["left", "out:", "wrong_answer", "14"], ["rows", "in", "train", "14"]):
        assert " ".join(told) in " ".join(words)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["-f", "csv"], 2, "--format is one of"),
        (["-f", "trl", "--splits", "50/20"], 2, "sum to 100"),
        (["-f", "rlhflow", "--labels", "soft"], 2, "no place for soft labels"),
        (["-f", "trl", "--origin", "rollout", "--min-confidence", "1", "--labels", "maybe"], 2, "maybe"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    assert export(monkeypatch, run, *arguments, "--out", tmp_path / "out") == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_help_names_every_layout(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert export(monkeypatch, "--help") == 0
    said = capsys.readouterr().out
    assert [name for name in LAYOUTS if name not in said] == []


KILLED = """
import os, signal, sys
from pathlib import Path
from openr_data.pipelines.exporting.config import ExportConfig
from openr_data.pipelines.exporting.export import export

def die(snapshot):
    if snapshot.done >= 3:
        os.kill(os.getpid(), signal.SIGKILL)

export(Path(sys.argv[1]), ExportConfig(sys.argv[2]), Path(sys.argv[3]), die)
"""


@pytest.mark.parametrize("layout", ["trl", "openr"])
def test_a_killed_export_leaves_no_data_set_and_the_next_one_is_whole(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    out = tmp_path / "out"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(run), layout, str(out)], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    assert all(path.name.startswith(".") for path in tmp_path.iterdir())
    assert export(monkeypatch, run, "-f", layout, "--out", out) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
