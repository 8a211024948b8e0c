"""`prm evaluate` and `prm calibrate` from the command line, with a real (tiny, random) model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prm_evaluations import builtin_solutions, one_rollout_run
from prm_folders import tiny_prm
from typer.testing import CliRunner

from openr_data.cli.app import app
from openr_data.errors import UsageError
from openr_data.prm.config import PRMConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evaluate")
    tiny_prm(root / "prm", seed=1)  # random weights that rank good steps first on these three solutions
    builtin_solutions(root / "solutions")
    one_rollout_run(root / "labels", {(): ("right",)})
    return root


def call(*words: object) -> str:
    """Its output; what it raises is raised."""
    result = CliRunner().invoke(app, ["prm", *map(str, words)], catch_exceptions=False)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_model_is_evaluated_and_its_report_written(folder: Path) -> None:
    parts = ("--steps", folder / "labels", "--best-of-n", folder / "solutions", "--oracle", folder / "solutions")
    words = call("evaluate", folder / "prm", *parts, "--split", "all", "--out", folder / "out")
    assert "Oracle: good and wrong steps apart" in words
    assert "Accuracy of best of n" in words
    assert "report.md" in words
    found = json.loads((folder / "out" / "report.json").read_text())
    assert found["oracle"]["quality"]["steps"]["steps"] == 6  # three, one and two that count
    assert found["best_of_n"]["sizes"] == [1, 2, 3]
    assert found["template"] == "builtin"


def test_numbers_come_as_json(folder: Path) -> None:
    said = json.loads(call("evaluate", folder / "prm", "--oracle", folder / "solutions", "--split", "all", "--json"))
    (model,) = said["models"]
    assert said["out"] is None
    assert model["settings"]["split"] == "all"
    assert 0 <= model["oracle"]["quality"]["auroc"]["value"] <= 1
    assert model["steps"] is None


def test_a_calibration_is_tried_and_then_written(folder: Path) -> None:
    asked = ("calibrate", folder / "prm", "--steps", folder / "labels", "--split", "all")
    assert "nothing was written" in call(*asked, "--dry-run")
    assert PRMConfig.load(folder / "prm").scale == 1.0
    said = json.loads(call(*asked, "--json"))
    kept = PRMConfig.load(folder / "prm")
    assert (kept.scale, kept.shift) == (said["after"]["scale"], said["after"]["shift"])
    assert said["written"]
    assert kept.scale != 1.0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "say what to evaluate on"),
        (("--steps", "x", "--threshold", "high"), "--threshold is fixed, tuned or a probability, not 'high'"),
        (("--steps", "x", "--after-error", "drop"), "--after-error is mask or keep, not 'drop'"),
        (("--steps", "x", "--splits", "50/60"), "splits are shares"),
    ],
)
def test_what_cannot_be_asked_is_told(folder: Path, words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        call("evaluate", folder / "prm", *words)
    with pytest.raises(UsageError, match="--method is platt or temperature"):
        call("calibrate", folder / "prm", "--steps", "x", "--method", "isotonic")
