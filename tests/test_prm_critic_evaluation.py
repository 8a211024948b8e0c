"""Critics on ProcessBench files: answers of the scripted engine and of a server, resumed, refused, lost and counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faultserver import fault_server

from openr_data import cli
from openr_data.engines import EngineSpec
from openr_data.errors import EngineError, InputError, Interrupted, RunDirError, TooManyFailures, UsageError
from openr_data.pipelines.prm.evaluation.critics import (
    CriticConfig,
    CriticOptions,
    processbench_critic,
    published_sampling,
)
from openr_data.pipelines.prm.evaluation.processbench import RESULT, read_report
from openr_data.pipelines.prm.evaluation.processbench_files import read_cases
from openr_data.pipelines.progress import Snapshot
from openr_data.prm.critic import critique_prompt
from openr_data.prm.processbench import Hits
from openr_data.types import NO_ERROR, Sampling

SHARED = Path(os.environ.get("OPENR_SHARED_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
GSM8K = SHARED / "processbench_gsm8k.json"

CASES: list[tuple[int, list[str]]] = [(1, ["3", "?", "4"]), (0, ["2"]), (NO_ERROR, ["1", "2"]), (NO_ERROR, ["5"])]
ANSWERS: list[list[Any]] = [
    ["\\boxed{1}", "\\boxed{0}", "\\boxed{1}"],  # found
    ["no idea", "none", ""],  # says nothing
    ["\\boxed{-1}", "\\boxed{1}", "\\boxed{0}"],  # a tie: the first
    ["\\boxed{7}", "\\boxed{7}", {"text": "\\boxed{-1}", "finish_reason": "length"}],  # there is no such step
]


@pytest.fixture
def file(tmp_path: Path) -> str:
    rows = [
        {
            "id": f"gsm8k-{number}",
            "generator": "writer",
            "problem": f"Question {number}?",
            "steps": steps,
            "final_answer_correct": label == NO_ERROR,
            "label": label,
        }
        for number, (label, steps) in enumerate(CASES)
    ]
    path = tmp_path / "gsm8k.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return str(path)


def scripted(answers: Sequence[Sequence[Any]] = ANSWERS, **more: Any) -> EngineSpec:
    prompts = [critique_prompt(f"Question {number}?", steps) for number, (_, steps) in enumerate(CASES)]
    return EngineSpec("scripted", script=json.dumps({"completions": dict(zip(prompts, answers, strict=True)), **more}))


def config(file: str, engine: EngineSpec | None = None, votes: int = 3) -> CriticConfig:
    return CriticConfig((file,), engine or scripted(), published_sampling(votes), votes)


def lines(out: Path) -> list[dict[str, Any]]:
    texts = [(out / f"gsm8k_{kind}.jsonl").read_text(encoding="utf-8") for kind in ("error", "correct")]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def test_votes_by_hand(file: str, tmp_path: Path) -> None:
    """One of two errors is found, one of two right solutions is called right: F1 50."""
    report = processbench_critic(config(file), CriticOptions(tmp_path / "out"))
    (subset,) = report.subsets
    assert (subset.score.errors, subset.score.correct, subset.score.f1) == (Hits(1, 2), Hits(1, 2), 50.0)
    assert subset.reasons == {"no_answer": 1, "no_such_step": 1}
    assert subset.score.f1_of_judged == 100.0
    assert (report.judge, report.kind, report.rule, subset.best) == ("scripted, 3 votes", "critic", "", None)
    assert report.settings["answers cut by the token limit"] == "1"
    assert report.settings["sampling"] == "temperature 1, top-p 0.9, top-k 0, 8,192 tokens, seed 42"


def test_the_files_are_the_authors(file: str, tmp_path: Path) -> None:
    report = processbench_critic(config(file), CriticOptions(tmp_path / "out"))
    found = lines(tmp_path / "out")
    assert [(each["prediction"], each["match"]) for each in found] == [(1, True), (None, False), (-1, True), (7, False)]
    assert found[0]["generated_critique"] == ["\\boxed{1}", "\\boxed{0}", "\\boxed{1}"]
    assert found[0]["steps"] == ["3", "?", "4"]
    assert read_report(tmp_path / "out" / RESULT) == report


def test_one_answer_is_greedy_and_written_as_a_text(file: str, tmp_path: Path) -> None:
    assert published_sampling(1) == Sampling(0.0, 8192, 42)
    report = processbench_critic(config(file, votes=1), CriticOptions(tmp_path / "out"))
    assert [each["generated_critique"] for each in lines(tmp_path / "out")] == [
        "\\boxed{1}",
        "no idea",
        "\\boxed{-1}",
        "\\boxed{7}",
    ]
    assert report.judge == "scripted"


def test_a_stopped_evaluation_pays_nothing_twice(file: str, tmp_path: Path) -> None:
    """The engine dies after five of twelve answers; the second attempt asks for the rest, and comes to the same."""
    out = tmp_path / "out"
    with pytest.raises(EngineError, match="is dead"):
        processbench_critic(config(file, scripted(crash_after=5, slots=1)), CriticOptions(out))
    assert not list(out.glob("*.jsonl"))
    told: list[Snapshot] = []
    again = processbench_critic(config(file), CriticOptions(out, resume=True, report=told.append))
    assert (told[-1].reused, told[-1].completions, told[-1].final) == (5, 7, True)
    assert again == processbench_critic(config(file), CriticOptions(tmp_path / "other"))
    assert again.settings["answers"] == "12"
    assert processbench_critic(config(file), CriticOptions(out, resume=True)) == again


def test_a_killed_process_pays_nothing_twice(file: str, tmp_path: Path) -> None:
    """Killed by SIGKILL at its sixth answer, while those before it may still be on their way to a slow disk."""
    script = scripted(crash_after=5, slots=1, crash="kill", latency=0.2).script
    command = ["prm", "critic", file, "--engine", "scripted", "--script", script, "--votes", "3", "--out", str(tmp_path / "out")]
    killed = subprocess.run([sys.executable, "-m", "openr_data", *command], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    told: list[Snapshot] = []
    report = processbench_critic(config(file), CriticOptions(tmp_path / "out", resume=True, report=told.append))
    assert 1 <= told[-1].reused <= 5
    assert told[-1].reused + told[-1].completions == 12
    assert (report.subsets[0].score.f1, report.settings["answers"]) == (50.0, "12")


def test_ctrl_c_ends_after_what_is_in_flight(file: str, tmp_path: Path) -> None:
    def stop(snapshot: Snapshot) -> None:
        if not snapshot.done and not snapshot.stopped:
            os.kill(os.getpid(), signal.SIGINT)

    warned: list[str] = []
    slow = scripted(latency=0.05, slots=1)
    with pytest.raises(Interrupted, match="of 4 cases; --resume continues"):
        processbench_critic(config(file, slow), CriticOptions(tmp_path / "out", window=1, report=stop, warn=warned.append))
    assert warned[0].startswith("stopping")
    assert processbench_critic(config(file), CriticOptions(tmp_path / "out", resume=True)).subsets[0].score.f1 == 50.0


def test_a_lost_answer_is_no_verdict_and_asked_for_again(file: str, tmp_path: Path) -> None:
    lost = [[{"text": "", "finish_reason": "error"}, *ANSWERS[0][1:]], *ANSWERS[1:]]
    report = processbench_critic(config(file, scripted(lost)), CriticOptions(tmp_path / "out"))
    assert report.subsets[0].reasons == {"engine: 1 of 3 answers were lost": 1, "no_answer": 1, "no_such_step": 1}
    assert (lines(tmp_path / "out")[0]["prediction"], lines(tmp_path / "out")[0]["generated_critique"]) == (None, [])
    told: list[Snapshot] = []
    processbench_critic(config(file, scripted(lost)), CriticOptions(tmp_path / "out", resume=True, report=told.append))
    assert (told[-1].completions, told[-1].reused, told[-1].failed) == (1, 11, 1)


def test_a_case_that_does_not_fit_is_told_apart(file: str, tmp_path: Path) -> None:
    report = processbench_critic(config(file, scripted(context=83)), CriticOptions(tmp_path / "out", max_failures=0))
    assert (
        sum(count for reason, count in report.subsets[0].reasons.items() if "the context of the scripted engine" in reason) >= 1
    )
    assert report.subsets[0].score.cases == 4


def test_an_engine_that_loses_everything_ends_it(file: str, tmp_path: Path) -> None:
    with pytest.raises(TooManyFailures, match="no case could be judged"):
        processbench_critic(config(file, scripted(lost=1.0)), CriticOptions(tmp_path / "out"))
    with pytest.raises(TooManyFailures, match="2 cases failed"):
        processbench_critic(config(file, scripted(lost=1.0)), CriticOptions(tmp_path / "out", resume=True, max_failures=1))
    with pytest.raises(TooManyFailures, match="2 cases failed, the last one so: the scripted engine fails for now"):
        processbench_critic(config(file, scripted(fail=1.0, fail_times=9)), CriticOptions(tmp_path / "b", max_failures=1))
    with pytest.raises(EngineError, match="refuses this request"):
        processbench_critic(config(file, scripted(fatal=1.0)), CriticOptions(tmp_path / "c"))


def test_answers_of_two_critics_are_not_mixed(file: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    processbench_critic(config(file), CriticOptions(out))
    with pytest.raises(RunDirError, match="already holds answers of a critic; --resume"):
        processbench_critic(config(file), CriticOptions(out))
    with pytest.raises(RunDirError, match=r"a different critic: sampling\.seed \(42, now 1\); choose"):
        processbench_critic(replace(config(file), sampling=published_sampling(3, 1)), CriticOptions(out, resume=True))
    with pytest.raises(RunDirError, match=r"votes \(3, now 4\)"):
        processbench_critic(config(file, votes=4), CriticOptions(out, resume=True))
    (out / "critic.json").unlink()
    with pytest.raises(UsageError, match="an earlier evaluation"):
        processbench_critic(config(file), CriticOptions(out))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"votes": 0}, "--votes"),
        ({"votes": 2}, "at temperature 0 votes the same"),
        ({"sampling": Sampling(0.0, 0, 1)}, "--max-tokens"),
        ({"sampling": Sampling(0.0, 1, 1, top_p=0.0)}, "--top-p"),
    ],
)
def test_what_cannot_be_is_refused_first(file: str, tmp_path: Path, change: Mapping[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        processbench_critic(replace(config(file, votes=1), **change), CriticOptions(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_none_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text('[{"problem": "p"}]')
    with pytest.raises(InputError, match="no case of ProcessBench"):
        processbench_critic(config(str(tmp_path / "rows.json")), CriticOptions(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Call the command in this process; its exit code, its output and its errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["openr-data", "prm", "critic", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_the_command_asks_a_server_word_for_word(file: str, tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    asked: list[dict[str, Any]] = []

    def answer(payload: dict[str, Any]) -> str:
        asked.append(payload)
        return "All is well: \\boxed{-1}"

    with fault_server(["ok"], write=answer) as server:
        code, out, err = run(file, "--engine", "openai", "--base-url", server.url, "--out", tmp_path / "out", "--json")
    assert (code, json.loads(err.splitlines()[-1])["event"]) == (0, "done")
    assert json.loads(out)["average_f1"] == 0.0
    messages = sorted(payload["messages"][0]["content"] for payload in asked)
    assert messages == sorted(critique_prompt(f"Question {n}?", steps) for n, (_, steps) in enumerate(CASES))
    assert all(len(payload["messages"]) == 1 and payload["messages"][0]["role"] == "user" for payload in asked)
    assert {(payload["temperature"], payload["max_tokens"]) for payload in asked} == {(0.0, 8192)}


def test_the_command_shows_others_beside_it(file: str, tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    first = ("--engine", "scripted", "--script", scripted().script, "--votes", 3)
    assert run(file, *first, "--out", tmp_path / "one")[0] == 0
    code, out, _ = run(file, *first, "--out", tmp_path / "two", "--seed", 7, "--beside", tmp_path / "one")
    assert code == 0
    assert "ProcessBench: scripted, 3 votes" in out
    assert out.count("critic") == 2
    code, _, err = run(file, *first, "--out", tmp_path / "one")
    assert (code, err.count("--resume continues")) == (4, 1)
    code, _, err = run(file, *first, "--out", tmp_path / "three", "--beside", tmp_path)
    assert (code, "is no processbench.json" in err, (tmp_path / "three").exists()) == (3, True, False)


@pytest.mark.skipif(not GSM8K.is_file(), reason="needs the shared data")
def test_the_real_file_end_to_end(tmp_path: Path) -> None:
    """A critic that knows the labels."""
    cases = read_cases([GSM8K])
    answers = {critique_prompt(case.problem, case.steps): [f"\\boxed{{{case.label}}}"] for case in cases}
    engine = EngineSpec("scripted", script=json.dumps({"completions": answers}))
    report = processbench_critic(config(str(GSM8K), engine, votes=1), CriticOptions(tmp_path / "out"))
    assert (report.average, report.subsets[0].whole, report.settings["answers"]) == (100.0, True, "400")
