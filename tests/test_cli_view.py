"""`openr-data view` as a person or a program meets it."""

from __future__ import annotations

import json
import sys
import webbrowser
from pathlib import Path

import pytest
from view_runs import write_labeled

from openr_data import cli


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_labeled(tmp_path / "run")
    return tmp_path / "run"


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["openr-data", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_it_says_where_the_page_is_what_it_holds_and_what_it_leaves_out(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "view", run, "--rollouts", 1) == 0
    said = capsys.readouterr()
    assert f"page       {run / 'view.html'}" in said.out
    assert "6 problems, 6 solutions, 26 steps, 6 rollouts" in said.out
    assert "left out: the texts of 45 of 51 rollouts" in said.err


def test_json_for_programs(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "view", run, "--json") == 0
    assert json.loads(capsys.readouterr().out)["solutions"] == 6


def test_open_hands_the_page_to_a_browser(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[str] = []

    def browser(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", browser)
    assert call(monkeypatch, "view", run, "--out", tmp_path / "a page.html", "--open") == 0
    assert opened == [(tmp_path / "a page.html").as_uri()]


def test_an_unfinished_run_is_told(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_labeled(tmp_path / "half", finish=False)
    assert call(monkeypatch, "view", tmp_path / "half") == 0
    assert "the run is not finished" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"), [((), 4, "not a run directory"), (("--limit", -1), 2, "greater than or equal to 0")]
)
def test_mistakes_are_one_sentence(
    arguments: tuple[object, ...],
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    assert call(monkeypatch, "view", tmp_path / "none", *arguments) == code
    assert words in capsys.readouterr().err


def test_another_file_is_not_overwritten(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "view", run, "--out", run / "manifest.json") == 2
    assert "is not a page of openr-data" in capsys.readouterr().err
