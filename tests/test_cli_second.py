"""`label` with a judge or a prover from the command line, the judge a server that speaks HTTP."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faultserver import fault_server

from openr_data import cli
from openr_data.engines import EngineSpec
from openr_data.engines.chain import chain_problems
from openr_data.pipelines.config import GenerateConfig, RunOptions
from openr_data.pipelines.generate import generate
from openr_data.problems import ProblemSource
from openr_data.store.read import RunReader
from openr_data.types import Sampling

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the command in this process; its exit code, its output and its errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["openr-data", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("solved")
    rows = (json.dumps({"id": p.id, "question": p.question, "answer": p.answer}) for p in chain_problems(4))
    (base / "problems.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    spec, sampling = EngineSpec("scripted", script="error=0.15,recovery=0"), Sampling(1.0, 512, 0)
    generate(GenerateConfig(ProblemSource(str(base / "problems.jsonl")), spec, sampling), RunOptions(base / "run"))
    return base / "run"


def read_like_a_judge(payload: dict[str, Any]) -> str:
    """Recomputes every part, as a good judge does."""
    asked = str(payload["messages"][0]["content"])
    start, add = re.search(r"Start with (\d+) and add (\d+)", asked).groups()  # type: ignore[union-attr]  # every question has it
    parts = re.findall(r"<part_(\d+)>\n(.*?)\n</part_\1>", asked, re.DOTALL)
    wrong = [number for number, text in parts if f"= {int(start) + int(add) * (int(number) + 1)}" not in text]
    return f"I have looked at {len(parts)} parts. \\boxed{{{wrong[0] if wrong else -1}}}"


SMALL = ("--filter-rollouts", 8, "--searches", 1, "--votes", 1, "--json")


def test_a_judge_behind_an_address_agrees_where_it_should(run: Run, solved: Path, tmp_path: Path) -> None:
    with fault_server(write=read_like_a_judge) as server:
        arguments = ("label", solved, "--method", "consensus", "--judge-url", server.url, *SMALL, "-k", 16)
        code, out, err = run(*arguments, "--out", tmp_path / "run")
        assert code == 0, err
        summary = json.loads(out)
        assert {seen.path for seen in server.seen} == {"/v1/chat/completions"}
        assert {len(seen.payload["messages"]) for seen in server.seen} == {1}
        assert {(seen.payload["temperature"], seen.payload["max_tokens"]) for seen in server.seen} == {(0.7, 4096)}
        assert summary["engines"]["judge"]["completions"] == len(server.seen) == summary["totals"]["judge_completions"]
        code, out, err = run(*arguments, "--out", tmp_path / "run", "--resume")
        assert (code, json.loads(out)["engines"]["judge"]["completions"]) == (0, 0), err
    known = [one for item in RunReader.open(tmp_path / "run").items() for one in item.labeled]
    reasons = [one.reason.partition(":")[0] for one in known]
    assert reasons.count("agreement") >= 0.8 * len([one for one in known if one.notes])
    saved = (tmp_path / "run" / "run.json").read_text()
    assert '"judge": "openai:chat:test-model@:bare"' in saved
    assert server.url not in saved


def test_a_judge_that_is_gone_is_told_by_name_and_leaves_the_run_to_resume(run: Run, solved: Path, tmp_path: Path) -> None:
    with fault_server(["401"], write=read_like_a_judge) as server:
        code, _, err = run("label", solved, "--method", "consensus", "--judge-url", server.url, *SMALL, "--out", tmp_path / "run")
    assert code == 5, err
    assert re.search(r"error: the judge: .*", err)
    with fault_server(write=read_like_a_judge) as server:
        arguments = ("label", solved, "--method", "consensus", "--judge-url", server.url, *SMALL)
        code, out, err = run(*arguments, "--out", tmp_path / "run", "--resume")
        assert (code, json.loads(out)["failed"]) == (0, 0), err


def test_a_prover_continues_the_same_steps(run: Run, solved: Path, tmp_path: Path) -> None:
    prover = ("--prover", "scripted", "--prover-script", "error=0.01,recovery=0", "--prover-temperature", 0.9)
    drawn = ("--top-p", 0.9, "--stop", "THE END", "-k", 2)
    code, out, err = run("label", solved, "--method", "pav", *prover, *drawn, "--json", "--out", tmp_path / "run")
    assert code == 0, err
    summary = json.loads(out)
    assert summary["engines"]["prover"]["completions"] > 0
    assert summary["tokens"] == 0, "the policy itself has nothing to draw"
    identity = json.loads((tmp_path / "run" / "run.json").read_text())["identity"]["config"]["run"]["engines"]["prover"]
    assert (identity["sampling"]["temperature"], identity["sampling"]["max_tokens"]) == (0.9, 512)
    assert (identity["sampling"]["top_p"], identity["sampling"]["stop"]) == (0.9, ["THE END"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--method", "consensus"), "needs a judge: say with --judge or --judge-model which engine that is"),
        (("--method", "consensus", "--judge", "oracle"), "there is no engine 'oracle'; --judge is one of: builtin,"),
        (("--method", "consensus", "--judge-template", "bare"), "--judge-template needs --judge, --judge-model or --judge-url"),
        (("--method", "pav", "--prover-api", "chat"), "--prover-api needs --prover, --prover-model or --prover-url"),
        (("--method", "consensus", "--judge", "openai", "--judge-api", "voice"), "--judge-api is completions or chat"),
        (("--method", "mips", "--judge", "scripted"), "--judge says nothing to --method mips"),
        (("--method", "consensus", "--prover", "scripted", "--judge", "scripted"), "--prover says nothing to --method consensus"),
        (("--method", "mips", "--votes", 3), "--votes says nothing to --method mips"),
        (("--method", "consensus", "--judge", "scripted", "--agree-with", "guess"), "not with 'guess'"),
        (("--method", "consensus", "--judge", "scripted", "--agree-with", "mips", "--searches", 2), "--searches says nothing"),
        (("--method", "consensus", "--judge", "scripted", "--steps", "tokens"), "does not work on token spans"),
        (("--method", "consensus", "--judge", "scripted", "--judge-temperature", 0), "votes the same each time"),
        (("--method", "consensus", "--judge", "openai", "--judge-model", "m"), "the judge: the openai engine needs the address"),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(
    run: Run, solved: Path, tmp_path: Path, arguments: tuple[object, ...], sentence: str
) -> None:
    code, _, err = run("label", solved, *arguments, "--out", tmp_path / "run")
    assert (code, err.count("\n"), sentence in " ".join(err.split())) == (2, 1, True), err
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_dry_run_shows_what_the_judge_is_asked(run: Run, solved: Path, tmp_path: Path) -> None:
    judge = ("--judge", "openai", "--judge-model", "m", "--judge-url", "http://127.0.0.1:9/v1")
    arguments = ("label", solved, "--method", "consensus", *judge, "--dry-run", "--out", tmp_path / "run")
    code, out, err = run(*arguments, "--json")
    assert code == 0, err
    shown = json.loads(out)["judge_prompt"]
    assert shown.startswith("<|user|>\nBelow are a problem and a solution")
    assert "<part_0>\nStep 1:" in shown
    assert "\\boxed{-1}" in shown
    assert "first prompt of the judge" in run(*arguments)[1]
