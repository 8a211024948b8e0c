"""`label` on data sets of solutions that have splits."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import datasets
import pytest

from openr_data import cli


def label(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    shared = ("--engine", "scripted", "--method", "math-shepherd", "-k", 1, "--json")
    monkeypatch.setattr(sys, "argv", ["openr-data", "label", *map(str, (*arguments, *shared))])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_split_of_solutions_can_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"question": ["1 + 1?", "1 + 2?"], "answer": ["2", "3"], "steps": [["so", r"\boxed{2}"], ["so", r"\boxed{3}"]]}
    splits = {"train": datasets.Dataset.from_dict(rows), "test": datasets.Dataset.from_dict(rows).select([0])}
    datasets.DatasetDict(splits.items()).save_to_disk(str(tmp_path / "saved"))
    capsys.readouterr()
    assert label(monkeypatch, tmp_path / "saved", "--out", tmp_path / "run") == 3
    assert "choose one with --split" in capsys.readouterr().err
    assert label(monkeypatch, tmp_path / "saved", "--split", "test", "--out", tmp_path / "run") == 0
    assert json.loads(capsys.readouterr().out)["rows"]["labeled"] == 1
