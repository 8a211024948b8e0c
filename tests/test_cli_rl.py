"""`openr-data rl` as people use it: a run, its report, one sentence for each mistake, and a kill in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openr_data.cli import main

BUILTIN = ("builtin", "--count", "40", "--difficulty", "3", "--held-out-count", "8", "--max-tokens", "80")
SMALL = ("--questions", "4", "--group", "4", "--updates", "2", "--evaluate-every", "2", "--threads", "1")


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["openr-data", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_grpo_ends_with_a_policy_that_other_commands_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert command(monkeypatch, "rl", "grpo", *BUILTIN, *SMALL, "--credit", "min", "--prm", "builtin", "--out", out) == 0
    told = capsys.readouterr()
    assert "held-out accuracy, greedy" in told.out
    assert "generated to learn from" in told.out
    events = [json.loads(line) for line in told.err.splitlines() if line.startswith("{")]
    assert {each["event"] for each in events} == {"progress", "evaluation"}
    assert command(monkeypatch, "solve", "--model", out, "--json", "Start with 2. Step 1: add 3. What is the result?") == 0
    assert json.loads(capsys.readouterr().out)["answers"]


def test_imitation_of_ones_own_and_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rft = ("--rounds", 1, "--questions", 8, "--updates", 2, "--batch", 8, "--threads", 1, "--json")
    assert command(monkeypatch, "rl", "rft", *BUILTIN, *rft, "--out", tmp_path / "rft") == 0
    assert json.loads(capsys.readouterr().out)["updates"] == 2
    for name, split in (("generated", "train"), ("measuring", "test")):
        made = ("generate", "builtin", "--count", 8, "--difficulty", 3, "-n", 2, "--split", split, "--out", tmp_path / name)
        assert command(monkeypatch, *made) == 0
    capsys.readouterr()
    sft = ("--epochs", 1, "--batch", 8, "--held-out-count", 8, "--difficulty", 3, "--threads", 1, "--json")
    assert command(monkeypatch, "rl", "sft", tmp_path / "generated", *sft, "--out", tmp_path / "sft") == 0
    assert json.loads(capsys.readouterr().out)["tokens"] == 0
    assert command(monkeypatch, "rl", "sft", tmp_path / "measuring", *sft, "--out", tmp_path / "none") == 3
    assert "answer held-out questions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told", "code"),
    [
        (("grpo", "builtin", "--credit", "best"), "there is no credit 'best'", 2),
        (("grpo", "builtin", "--credit", "process"), "name one with --prm", 2),
        (("grpo", "builtin", "--ratio", "word"), "there is no ratio 'word'", 2),
        (("grpo", "builtin", "--schedule", "none"), "there is no schedule 'none'", 2),
        (("grpo", "builtin", "--engine", "openai", "--model", "m"), "a policy that learns is a model of transformers", 2),
        (("grpo", "math500", "--held-out", "builtin"), "math500 is an evaluation set", 2),
        (("grpo", "no-such-file.jsonl", "--held-out", "builtin"), "there is no file or directory no-such-file.jsonl", 3),
        (("grpo", "no-such-file.jsonl"), "--held-out FILE", 2),
        (("grpo", "builtin", "--optimizer", "sgd"), "there is no optimizer 'sgd'", 2),
        (("grpo", "builtin", "--reasoning", "<think>"), "takes two marks", 2),
        (("grpo", "builtin", "--trainer", "verl"), "there is no trainer 'verl'", 2),
        (("grpo", "builtin", "--lora", "4"), "go with --trainer trl", 2),
        (("grpo", "builtin", "--report-to", "paper"), "there is no tracker 'paper'", 2),
        (("ppo", "builtin", "--rewards", "shaped"), "name one with --prm", 2),
        (("ppo", "builtin", "--level", "word"), "there is no level 'word'", 2),
        (("ppo", "builtin", "--discount", "2"), "--discount and --decay", 2),
        (("rft", "builtin", "--rounds", "9", "--updates", "3"), "raise --updates", 2),
        (("sft", "no-such-run"), "there is no file or directory no-such-run", 3),
        (("grpo", "builtin", "--resume"), "holds no run that could go on", 2),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    told: str,
    code: int,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert command(monkeypatch, "rl", *words, "--out", tmp_path / "run") == code
    assert told in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_summed_scores_are_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = (*BUILTIN, *SMALL, "--credit", "sum", "--prm", "builtin", "--out", tmp_path / "run")
    assert command(monkeypatch, "rl", "grpo", *words) == 0
    assert "summed scores pay for steps, good or not; --credit process" in capsys.readouterr().err


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    """kill -9 after the first checkpoint; then the same command with --resume."""
    words = (*BUILTIN, "--questions", "4", "--group", "4", "--updates", "6", "--save-every", "1", "--threads", "1")
    base = [sys.executable, "-m", "openr_data", "rl", "grpo", *words]
    process = subprocess.Popen([*base, "--out", str(tmp_path / "run")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / ".checkpoints" / "000002").exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run([*base, "--out", str(tmp_path / "run"), "--resume"], check=True, capture_output=True)
    subprocess.run([*base, "--out", str(tmp_path / "straight")], check=True, capture_output=True)
    ends = [tmp_path / name / ".checkpoints" / "000006" / "model.safetensors" for name in ("run", "straight")]
    assert ends[0].read_bytes() == ends[1].read_bytes()
