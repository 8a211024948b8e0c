"""`evaluate` and `solve` from the command line: what people see, mistakes, and a kill in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openr_data import cli
from openr_data.store.read import RunReader

CHAIN = "Start with 19. Step 1: subtract 7. Step 2: multiply by 8. Step 3: add 97. What is the result?"
BUILTIN = ("builtin", "--count", 4, "--difficulty", 4, "--max-tokens", 120)


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["openr-data", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_sweep_shows_tables_and_writes_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    sweep = ("--sweep", "beam,greedy", "--budgets", "2,4", "--width", 2, "--prm", "builtin", "--selector", "prm_min_vote")
    assert command(monkeypatch, "evaluate", *BUILTIN, *sweep, "--out", out) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "4 questions" in shown
    assert "ways to answer" in shown
    assert "scaling.png" in shown
    assert (out / "report" / "scaling.svg").is_file()
    assert json.loads((out / "report" / "summary.json").read_text())["selectors"] == ["prm_min_vote"]
    assert command(monkeypatch, "evaluate", *BUILTIN, *sweep, "--out", out, "--resume", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["run"]["tokens"] == 0
    assert again["report"]["questions"] == 4


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--strategy", "beam"), "beam is guided by a process reward model: name one with --prm"),
        (("--strategy", "beem"), "--strategy is one of greedy, best_of_n"),
        (("--selector", "prm_last", "--prm", "builtin"), "--selector is one of majority_vote"),
        (("--selector", "prm_last_vote"), "--selector prm_last_vote needs the scores"),
        (("--sweep", ",", "--prm", "builtin"), "--sweep names strategies"),
        (("--strategy", "mcts", "--prm", "builtin", "--c-base", 0), "--c-base is above 0"),
        (("--strategy", "mcts", "--prm", "builtin", "--c-init", "nan"), "finite numbers"),
        (("--sweep", "beam", "--budgets", "4;8", "--prm", "builtin"), "--budgets are numbers with commas"),
        (("--sweep", "beam", "--strategy", "beam"), "leave --strategy out"),
        (("--prm-dtype", "float32"), "name it with --prm"),
        (("--force-answer", "--max-question-tokens", 9), "give at least 33"),
        (("--prm", "no/such-model-here-0"), "no/such-model-here-0"),
        (("--summariser-max-tokens", 5), "--summariser-max-tokens needs --summariser"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: tuple[object, ...], told: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert command(monkeypatch, "evaluate", *BUILTIN, *options, "--out", tmp_path / "run") in {2, 3}
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_model_that_is_no_prm_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from openr_data.engines.builtin import WEIGHTS

    assert command(monkeypatch, "evaluate", *BUILTIN, "--prm", WEIGHTS, "--out", tmp_path / "run") == 2
    assert "name it with --prm-style" in capsys.readouterr().err


def test_a_summariser_has_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = json.dumps({"completions": {"*": [r"All in all, \boxed{7}"]}})
    options = ("-n", 2, "--summariser", "scripted", "--summariser-script", script, "--out", tmp_path / "run", "--json")
    assert command(monkeypatch, "evaluate", *BUILTIN, *options) == 0
    capsys.readouterr()
    rows = list(RunReader.open(tmp_path / "run").rows("candidates"))
    assert {row["extracted"] for row in rows} == {"7"}
    costs = list(RunReader.open(tmp_path / "run").rows("searches"))
    assert all(row["summary_tokens"] == 8 for row in costs)  # four words for each of two solutions


def test_a_killed_evaluation_goes_on(tmp_path: Path) -> None:
    """kill -9 in the middle; then the same command with --resume has the tables of an undisturbed run."""
    engine = ("--engine", "scripted", "--script", "steps=5,phrasings=4,latency=0.02,slots=8", "--prm", "builtin")
    problems = ("builtin", "--count", "12", "--difficulty", "5", "--shard-size", "4")
    base = [sys.executable, "-m", "openr_data", "evaluate", *problems, *engine, "--strategy", "beam", "-n", "8"]
    process = subprocess.Popen([*base, "--out", str(tmp_path / "run")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = tmp_path / "run" / "journal.sqlite"
    deadline = time.monotonic() + 60
    while not (journal.exists() and _completions(journal) >= 20):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run([*base, "--out", str(tmp_path / "run"), "--resume"], check=True, capture_output=True)
    subprocess.run([*base, "--out", str(tmp_path / "straight")], check=True, capture_output=True)
    for table in ("searches", "candidates", "branches", "problems"):
        assert rounded(tmp_path / "run", table) == rounded(tmp_path / "straight", table)


def rounded(run: Path, table: str) -> list[dict[str, object]]:
    """Scores of growing prefixes depend on what they are batched with by rounding; nothing else does."""

    def short(value: object) -> object:
        if isinstance(value, list):
            return [short(each) for each in value]
        return f"{value:.4g}" if isinstance(value, float) else value

    return [{name: short(value) for name, value in row.items()} for row in RunReader.open(run).rows(table)]


def _completions(journal: Path) -> int:
    import sqlite3

    try:
        with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT count(*) FROM completions").fetchone()[0])
    except sqlite3.Error:
        return 0


def test_solve_shows_the_steps_and_the_bill(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(monkeypatch, "solve", CHAIN) == 0
    shown = capsys.readouterr().out
    assert "The answer is 193" in shown
    assert "prm_mean_vote" in shown
    assert "tokens generated" in shown


@pytest.mark.parametrize("strategy", ["greedy", "best_of_n", "beam", "dvts", "mcts", "revision", "forcing"])
def test_solve_by_every_strategy(strategy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(monkeypatch, "solve", CHAIN, "--strategy", strategy, "-n", 4, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bill"]["generated"] > 0
    assert all(len(each["margins"]) in {0, len(each["steps"])} for each in told["candidates"])


def test_solve_reads_problems_from_a_pipe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{CHAIN}\n\n{CHAIN}\n"))
    assert command(monkeypatch, "solve", "--strategy", "greedy", "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["answer"] for line in lines] == ["193", "193"]


def test_solve_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert command(monkeypatch, "solve") == 3
    assert "there is no problem to solve" in capsys.readouterr().err
    assert command(monkeypatch, "solve", "--file", tmp_path / "none.txt") == 3
    assert "cannot be read" in capsys.readouterr().err
    assert command(monkeypatch, "solve", CHAIN, "--engine", "scripted", "--strategy", "dvts") == 2
    assert "name one with --prm" in capsys.readouterr().err
    assert command(monkeypatch, "solve", CHAIN, "--strategy", "beam", "-n", 6) == 2
    assert "--width 4 divides, not 6" in capsys.readouterr().err


def test_a_cap_that_is_met_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(monkeypatch, "solve", CHAIN, "--strategy", "best_of_n", "-n", 2, "--max-question-tokens", 8) == 0
    shown = capsys.readouterr().out
    assert "no candidate came to an answer" in shown


def test_text_of_a_model_is_shown_and_not_obeyed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    script = json.dumps({"completions": {"*": ["[red]so\x1b[2J\n The answer is 4"]}})
    assert command(monkeypatch, "solve", "2 + 2?", "--engine", "scripted", "--script", script, "-n", 2) == 0
    shown = capsys.readouterr().out
    assert "[red]so" in shown
    assert "\x1b[2J" not in shown
