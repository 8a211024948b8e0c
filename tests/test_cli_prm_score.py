"""`openr-data prm score`: a data set into a file, a few steps into the terminal, and what cannot be scored."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from prm_folders import tiny_prm
from test_prm_score_data import bench

from openr_data import cli

QUESTION = "Start with 3. Step 1: add 4. What is the result?"
STEPS = ["Step 1: 3 + 4 = 7", "The answer is [red]7"]


@pytest.fixture(scope="module")
def prm(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_prm(tmp_path_factory.mktemp("prm")))


def score(monkeypatch: pytest.MonkeyPatch, *arguments: object, stdin: str = "") -> int:
    monkeypatch.setattr(sys, "argv", ["openr-data", "prm", "score", *map(str, arguments)])
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_file_is_scored_with_progress_and_a_summary(
    prm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = bench(tmp_path / "bench.jsonl", problems=4), tmp_path / "scores.parquet"
    assert (
        score(monkeypatch, source, "--prm", prm, "--out", out, "--aggregate", "min", "--aggregate", "mean_logprob", "--json") == 0
    )
    told = capsys.readouterr()
    summary = json.loads(told.out)
    table = pq.read_table(out)
    assert (summary["solutions"], summary["scored"], table.num_rows) == (12, 12, 12)
    assert table.column_names == [
        "problem_id",
        "solution_id",
        "margins",
        "probabilities",
        "min",
        "mean_logprob",
        "reason",
        "model",
    ]
    assert set(table["model"].to_pylist()) == {summary["model"]}
    assert summary["tokens_per_second"] > 0
    assert summary["model_flops_utilisation"] is None, "the peak of this processor is not known"
    last = json.loads(told.err.splitlines()[-1])
    assert (last["event"], last["stage"], last["done"]) == ("done", "score", 12)
    assert score(monkeypatch, source, "--prm", prm, "--out", out) == 4
    assert "is there already" in capsys.readouterr().err


def test_a_folder_is_scored_once_and_shown_as_a_table(
    prm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = bench(tmp_path / "bench.jsonl", problems=2)
    for before in ("", ", 6 of them before"):
        assert score(monkeypatch, source, "--prm", prm, "--out", tmp_path / "out") == 0
        assert f"6{before}; 8 steps" in " ".join(capsys.readouterr().out.split())


def test_a_question_with_its_steps_is_shown_as_it_is_written(
    prm: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [word for step in STEPS for word in ("--step", step)]
    assert score(monkeypatch, "--prm", prm, "--question", QUESTION, *steps) == 0
    told = capsys.readouterr().out
    for text in (QUESTION, *STEPS, "p(+)", "product"):
        assert text in told
    assert score(monkeypatch, "--prm", prm, "--question", QUESTION, *steps, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] == STEPS
    assert found["product"] == pytest.approx(found["probabilities"][0] * found["probabilities"][1])


def test_lines_of_standard_input_are_scored_and_a_reason_stands_where_there_is_no_score(
    prm: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [{"question": QUESTION, "steps": STEPS}, {"question": QUESTION, "steps": []}]
    text = "\n\n".join(json.dumps(line) for line in lines)
    assert score(monkeypatch, "-", "--prm", prm, "--json", stdin=text) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert len(first["probabilities"]) == 2
    assert (second["probabilities"], second["min"], second["reason"]) == ([], None, "it has no steps")
    assert score(monkeypatch, "-", "--prm", prm, stdin=text) == 0
    assert "not scored: it has no steps" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["no json", "[1]", '{"question": "q"}', '{"question": "q", "steps": [1]}', "[" * 100_000])
def test_a_line_of_another_form_is_told_by_its_number(
    prm: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    assert score(monkeypatch, "-", "--prm", prm, stdin=f"\n{line}\n") == 3
    assert "line 2 is not of the form" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "name a data set to score"),
        (("runs/x",), 2, "name where the scores go, with --out"),
        (("-", "--out", "x"), 2, "are printed"),
        (("--question", "q"), 2, "go together"),
        (("runs/x", "--question", "q", "--step", "s"), 2, "name a data set to score"),
        (("runs/x", "--out", "x", "--aggregate", "best"), 2, "there is no aggregate 'best'"),
        (("no/such/run", "--out", "x"), 3, "there is no file or directory no/such/run"),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert score(monkeypatch, *arguments, "--prm", "no-such-model") == code
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
