"""`openr-data prm train` as it is typed: defaults, what it prints, what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prm_data_sets import row, save_base, write

from openr_data import cli
from openr_data.cli.prm.training_progress import told
from openr_data.pipelines.prm.config import SourceSpec
from openr_data.prm.progress import Progress
from openr_data.prm.train_config import ModelChoice


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("cli") / "labels.jsonl", [row(number) for number in range(40)])


def train(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["openr-data", "prm", "train", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def few(base: Path) -> list[object]:
    """Enough options for a training of a moment."""
    return ["--base", base, "--steps", 2, "--batch", 8, "--splits", "80/20", "--device", "cpu"]


def test_a_training_shows_its_data_first_and_then_what_came_of_it(
    base: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(monkeypatch, labels, "--out", tmp_path / "prm", *few(base)) == 0
    shown = capsys.readouterr()
    words = " ".join(shown.out.split())
    assert words.index("of the labelled steps are good") < words.index("trained 2 steps") < words.index("AUROC ")
    assert f"next openr-data prm evaluate {tmp_path / 'prm'}" in words
    assert "note: nothing was compared with evaluation sets" in shown.err
    lines = [json.loads(line) for line in shown.err.splitlines() if line.startswith("{")]
    assert lines[-1]["step"] == lines[-1]["steps"] == 2
    assert {"event", "stage", "loss", "tokens_per_second", "eta", "auroc"} <= set(lines[-1])


def test_the_result_as_json(
    base: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(monkeypatch, f"{labels}=2", "--out", tmp_path / "prm", *few(base), "--against", labels, "--json") == 3
    assert "no row is left to train on: 40 contaminated" in capsys.readouterr().err
    assert train(monkeypatch, f"{labels}=2", "--out", tmp_path / "prm", *few(base), "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["steps"], found["out"]) == (2, str(tmp_path / "prm"))
    assert found["data"]["sources"][str(labels)]["weight"] == 2.0
    assert found["config"]["train"]["max_steps"] == 2
    assert train(monkeypatch, f"{labels}=2", "--out", tmp_path / "prm", *few(base), "--json") == 2
    assert train(monkeypatch, f"{labels}=2", "--out", tmp_path / "prm", *few(base), "--json", "--resume") == 0
    assert json.loads(capsys.readouterr().out)["auroc"] == found["auroc"]
    assert train(monkeypatch, f"{labels}=3", "--out", tmp_path / "prm", *few(base), "--resume") == 4
    assert "was written by a different training: sources" in capsys.readouterr().err


def test_an_interrupted_training_says_how_it_goes_on(
    base: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("openr_data.prm.train.train", interrupt)
        assert train(patch, labels, "--out", tmp_path / "prm", *few(base)) == 130
    assert "error: stopped; the same command with --resume goes on" in capsys.readouterr().err
    assert train(monkeypatch, labels, "--out", tmp_path / "prm", *few(base), "--resume") == 0


def test_a_dry_run_writes_nothing_and_loads_no_weights(
    base: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("openr_data.prm.build.build", pytest.fail)
    assert train(monkeypatch, labels, "--out", tmp_path / "prm", *few(base), "--dry-run", "--soft") == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "one row as the model sees it: Start with" in words
    assert "[<step> 1]" in words
    assert "[<step> 0]" in words
    assert "targets soft, threshold 0, steps after the first wrong one: no loss" in words
    assert train(monkeypatch, labels, "--out", tmp_path / "prm", *few(base), "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["prm"]["tag"] == "<step>"
    assert [piece["target"] for piece in told["row"]] == [1.0, 0.0]
    assert not (tmp_path / "prm").exists()


def test_the_defaults_are_those_of_the_configuration(labels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from openr_data.cli.prm import train as command

    given: list[Any] = []
    monkeypatch.setattr(command, "_run", lambda config, out, **_: given.append((config, out)))
    assert train(monkeypatch, labels, "--out", "prm") == 0
    (config, out) = given[0]
    from openr_data.pipelines.prm.config import PRMRunConfig

    assert config == PRMRunConfig((SourceSpec(str(labels)),))
    assert out == Path("prm")


def test_options_reach_the_configuration(base: Path, labels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from openr_data.cli.prm import train as command
    from openr_data.prm.config import LabelReading
    from openr_data.prm.train_config import Lora, TrainConfig

    given: list[Any] = []
    monkeypatch.setattr(command, "_run", lambda config, out, **options: given.append((config, options)))
    arguments: list[object] = [
        "--base", base, "--head", "value", "--lora", 8, "--lora-target", "q_proj", "--threshold", 0, "--keep-after-error",
        "--batch", 16, "--accumulation", 2, "--batch-tokens", 512, "--rate", 0.001, "--epochs", 2, "--positive-weight", 0,
        "--packing", "off", "--checkpointing", "--dtype", "float32", "--device", "cpu", "--seed", 5, "--patience", 3,
        "--neutral", "bad", "--keep-uncertain", "--min-confidence", 0.5, "--limit", 9, "--allow-dropped", "--report-to", "wandb",
    ]  # fmt: skip
    assert train(monkeypatch, labels, f"{labels.parent}=.5", "--out", "prm", *arguments) == 0
    config, options = given[0]
    assert options == {"resume": False, "allow_dropped": True, "as_json": False}
    assert config.train == TrainConfig(
        ModelChoice(str(base), head="value"), LabelReading("soft", after_error="keep"), "squared", epochs=2,
        lora=Lora(8, targets=("q_proj",)), batch=16, accumulation=2, rate=0.001, positive_weight=0, dtype="float32",
        checkpointing=True, packing="off",
        batch_tokens=512, patience=3, seed=5, device="cpu", report_to=("wandb",),
    )  # fmt: skip
    assert (config.neutral, config.keep_uncertain, config.min_confidence, config.limit) == ("bad", True, 0.5, 9)
    assert config.sources == (SourceSpec(str(labels)), SourceSpec(str(labels.parent), weight=0.5))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--head", "mind"], "--head is one of causal"),
        (["--loss", "big"], "--loss is auto, cross_entropy, squared or ranking"),
        (["--packing", "tight"], "--packing is auto, on or off"),
        (["--neutral", "maybe"], "--neutral is good, bad or none"),
        (["--splits", "50/60"], "splits are shares of train/validation/test that sum to 100"),
        (["--soft", "--threshold", "0.5"], "a threshold makes hard labels of values"),
        (["--positive", "+"], "--positive and --negative go together"),
        (["--tag", "two words"], "the tag 'two words' is"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(
    labels: Path,
    tmp_path: Path,
    options: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train(monkeypatch, labels, "--out", tmp_path / "prm", *options) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert told in errors[0]
    assert not (tmp_path / "prm").exists()


def test_progress_in_words() -> None:
    now = Progress(step=5, steps=10, loss=0.25, rate=1e-3, tokens=3000, seconds=2.0, eta=61.0, auroc=0.9)
    assert told(now) == "loss 0.2500  AUROC 0.900  1,500 tok/s  ETA 1 min 01 s"


def test_the_help_needs_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; sys.argv = ['openr-data', 'prm', 'train', '--help']\n"
        "from openr_data.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'transformers', 'polars', 'sklearn', 'peft'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--keep-after-error" in done.stdout
