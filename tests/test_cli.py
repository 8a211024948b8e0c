"""The command line as a person or a program meets it: help, results, one sentence per mistake, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_type_hints

import pytest
from test_pipelines_stage import write_problems

from openr_data import cli
from openr_data.cli.options.method import METHODS, MethodOptions
from openr_data.cli.show import visible
from openr_data.labelers import LABELERS, LabelConfig
from openr_data.pipelines.quickstart import QuickstartConfig

SCRIPT = "error=0.1,recovery=0"


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the command in this process; its exit code and what it printed."""

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["openr-data", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    return write_problems(tmp_path / "problems.jsonl", 6).path


def generate(run: Run, problems: Path, out: Path, *more: object) -> Said:
    return run("generate", problems, "--engine", "scripted", "--script", SCRIPT, "--out", out, *more)


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    heavy = {"torch", "transformers", "vllm", "datasets", "pyarrow", "polars", "numpy", "httpx", "sympy"}
    probe = "import sys, openr_data.cli.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    assert heavy.isdisjoint(loaded)


@pytest.mark.parametrize("command", ["quickstart", "generate", "label", "inspect", "verify", "estimate", "doctor", "builtin"])
def test_every_command_explains_itself(run: Run, command: str) -> None:
    said = run(command, "--help")
    assert said.code == 0
    assert "Usage: openr-data" in said.out


def test_generate_label_inspect_verify_in_words(run: Run, problems: Path, tmp_path: Path) -> None:
    assert generate(run, problems, tmp_path / "run").code == 0
    labelled = run("label", tmp_path / "run", "--out", tmp_path / "labeled", "-k", 4, "--filter-rollouts", 0, "--searches", 1)
    assert labelled.code == 0, labelled.err
    assert "6 done, 0 rejected, 0 failed" in labelled.out
    assert re.search(r"labels\s+\d+ with a first wrong step, \d+ without one, \d+ undecided", labelled.out)
    inspected = run("inspect", tmp_path / "labeled", "--show", 2, "--rollouts", 1)
    assert "label omegaprm" in inspected.out
    assert "reference answer" in inspected.out
    verified = run("verify", tmp_path / "labeled")
    assert (verified.code, "finished" in verified.out) == (0, True)


def test_generate_label_inspect_verify_in_json(run: Run, problems: Path, tmp_path: Path) -> None:
    generated = json.loads(generate(run, problems, tmp_path / "run", "--json").out)
    assert (generated["items"], generated["rows"]["solutions"]) == (6, 24)
    labelled = run("label", tmp_path / "run", "--method", "mips", "-k", 2, "--out", tmp_path / "labeled", "--json")
    assert json.loads(labelled.out)["rows"]["labeled"] == 24
    assert json.loads(run("inspect", tmp_path / "labeled", "--json").out)["method"] == "mips"
    assert json.loads(run("verify", tmp_path / "labeled", "--json").out)["findings"] == []


def test_progress_is_json_lines_where_there_is_no_terminal(run: Run, problems: Path, tmp_path: Path) -> None:
    said = generate(run, problems, tmp_path / "run")
    last = json.loads(said.err.strip().splitlines()[-1])
    assert (last["event"], last["stage"], last["done"], last["total"]) == ("done", "generate", 6, 6)


def test_a_dry_run_shows_configuration_and_prompt_and_writes_nothing(run: Run, problems: Path, tmp_path: Path) -> None:
    said = generate(run, problems, tmp_path / "run", "--dry-run", "--json")
    shown = json.loads(said.out)
    assert shown["config"]["engine"]["engine"] == "scripted"
    assert shown["prompt"] == json.loads(problems.read_text().splitlines()[0])["question"] + "\n"
    assert not (tmp_path / "run").exists()


def test_label_takes_engine_and_sampling_from_the_run(run: Run, problems: Path, tmp_path: Path) -> None:
    generate(run, problems, tmp_path / "run", "--temperature", "0.7", "--max-tokens", "300")
    shown = json.loads(run("label", tmp_path / "run", "--out", tmp_path / "x", "--dry-run", "--json").out)["config"]
    assert shown["engine"]["script"] == SCRIPT
    assert (shown["sampling"]["temperature"], shown["sampling"]["max_tokens"]) == (0.7, 300)


MISTAKES = [
    (("generate", "nowhere.jsonl", "--out", "OUT"), 3, "there is no file or directory nowhere.jsonl"),
    (("generate", "EMPTY", "--engine", "scripted", "--out", "OUT"), 3, "empty"),
    (("generate", "PROBLEMS", "--engine", "guess", "--out", "OUT"), 2, "there is no engine 'guess'"),
    (("generate", "PROBLEMS", "--model", "nowhere/at/all", "--out", "OUT"), 2, "nowhere/at/all"),
    (("generate", "PROBLEMS", "--engine", "scripted", "--grader", "guess", "--out", "OUT"), 2, "--grader is one of"),
    (("generate", "PROBLEMS", "--engine", "scripted", "--script", "erorr=1", "--out", "OUT"), 2, "erorr"),
    (("generate", "PROBLEMS", "--engine", "scripted", "--out", "OUT", "--resume", "--fork", "X"), 2, "not both"),
    (("label", "PROBLEMS", "--engine", "scripted", "--method", "guess", "--out", "OUT"), 2, "no labelling method 'guess'"),
    (("inspect", "EMPTY"), 4, "is not a run directory"),
    (("verify", "nowhere"), 4, "nowhere"),
    (("inspect", "x" * 300), 2, "File name too long"),
    (("generate", "PROBLEMS", "--engine", "scripted", "--out", "BELOW"), 6, "choose a directory you may write to"),
    (("doctor", "--base-url", "http://user:secret@host/v1"), 2, "must not hold a key"),
]


@pytest.mark.parametrize(("arguments", "code", "sentence"), MISTAKES)
def test_each_mistake_is_one_sentence_and_its_exit_code(
    run: Run, problems: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    names = {
        "PROBLEMS": str(problems),
        "OUT": str(tmp_path / "run"),
        "EMPTY": str(tmp_path / "empty.jsonl"),
        "BELOW": str(problems / "run"),
    }
    said = run(*(names.get(argument, argument) for argument in arguments))
    assert said.code == code, said
    errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert sentence in errors[0]
    assert "Traceback" not in said.err
    assert "secret" not in said.err


def test_a_run_of_another_configuration_is_refused(run: Run, problems: Path, tmp_path: Path) -> None:
    generate(run, problems, tmp_path / "run")
    said = generate(run, problems, tmp_path / "run", "--resume", "--seed", 7)
    assert said.code == 4
    assert "sampling.seed (0, now 7)" in said.err


def test_label_answers_from_the_completions_of_its_input(run: Run, problems: Path, tmp_path: Path) -> None:
    generate(run, problems, tmp_path / "run", "--seed", 5)
    command = ("label", tmp_path / "run", "--out", tmp_path / "labeled", "-k", 2, "--filter-rollouts", 6, "--searches", 0)
    summary = json.loads(run(*command, "--json").out)
    generated = json.loads((tmp_path / "run" / "run.json").read_text())["totals"]
    assert summary["reused"] == generated["paid_completions"]
    assert summary["totals"]["paid_completions"] == summary["totals"]["completions"] > 0


def test_options_that_would_change_the_recorded_engine_are_refused(run: Run, problems: Path, tmp_path: Path) -> None:
    generate(run, problems, tmp_path / "run")
    for option in (("--template", "boxed"), ("--script", "error=1"), ("--separator", " ")):
        said = run("label", tmp_path / "run", "--out", tmp_path / "labeled", *option)
        assert (said.code, option[0] in said.err) == (2, True)


@pytest.mark.parametrize("more", [(), ("--reuse", "nowhere"), ("--fork", "nowhere")])
def test_a_run_that_cannot_begin_leaves_none_in_the_way(run: Run, problems: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text("" if not more else problems.read_text())
    assert generate(run, broken, tmp_path / "run", *more).code in {3, 4}
    assert generate(run, problems, tmp_path / "run").code == 0


def test_inspect_names_a_damaged_shard(run: Run, problems: Path, tmp_path: Path) -> None:
    generate(run, problems, tmp_path / "run")
    shard = next((tmp_path / "run" / "data" / "solutions").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-30])
    for _ in ("truncated", "missing"):
        said = run("inspect", tmp_path / "run")
        assert (said.code, "openr-data verify" in said.err) == (4, True)
        shard.unlink(missing_ok=True)


def test_damage_is_named_set_aside_and_made_again(run: Run, problems: Path, tmp_path: Path) -> None:
    generate(run, problems, tmp_path / "run")
    shard = next((tmp_path / "run" / "data" / "solutions").glob("*.parquet"))
    content = bytearray(shard.read_bytes())
    content[100] ^= 4
    shard.write_bytes(content)
    found = run("verify", tmp_path / "run")
    assert (found.code, shard.name in found.out) == (4, True)
    run("verify", tmp_path / "run", "--repair")
    assert generate(run, problems, tmp_path / "run", "--resume").code == 0
    assert run("verify", tmp_path / "run").code == 0


def test_model_text_cannot_paint_the_terminal(run: Run, tmp_path: Path) -> None:
    row = {"question": "evil [bold]q[/bold]", "answer": "1", "steps": ["[red]step[/red]", "The answer is 1"]}
    (tmp_path / "foreign.jsonl").write_text(json.dumps(row) + "\n")
    said = run(
        "label", tmp_path / "foreign.jsonl", "--engine", "scripted", "--out", tmp_path / "run", "--method", "mips", "-k", 1
    )
    assert said.code == 0, said.err
    shown = run("inspect", tmp_path / "run").out
    assert "[red]step[/red]" in shown
    assert "[bold]q[/bold]" in shown
    assert "\x1b" not in visible("\x1b[31mred").plain
    assert "\x1b" not in run("generate", "\x1b[31mred.jsonl", "--out", tmp_path / "other").err


def test_estimate_extrapolates_from_a_pilot(run: Run, problems: Path) -> None:
    command = ("estimate", problems, "--engine", "scripted", "--script", SCRIPT, "--pilot", 4, "-k", 2)
    result = json.loads(run(*command, "--price-per-million-tokens", 2, "--json").out)
    assert (result["problems"], result["pilot"]["problems"]) == (6, 4)
    assert result["generate"]["calls"]["expected"] == 24
    tokens = {method: amount["tokens"]["expected"] for method, amount in result["label"].items()}
    assert tokens["mips"] > tokens["math-shepherd"] > 0
    assert result["label"]["mips"]["price"]["expected"] == pytest.approx(2e-6 * tokens["mips"])
    said = run(*command, "--method", "mips", "--method", "omegaprm", "--price-per-million-tokens", 2)
    assert "pilot: 4 of 6 problems" in " ".join(said.out.split())
    assert "+ mips" in said.out
    assert "at most" in said.out
    assert "math-shepherd" not in said.out
    assert list(result["left_out"]) == ["pav"]
    assert run(*command, "--method", "pav").code == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("label", "--method", "mips", "--filter-rollouts", 8), "--filter-rollouts says nothing to --method mips"),
        (("label", "--method", "omegaprm", "--estimates", "hard"), "--estimates says nothing to --method omegaprm"),
        (("label", "--method", "omegaprm", "--finish", "certified"), "--finish says nothing to --method omegaprm"),
        (("label", "--method", "adaptive", "--exact-counts"), "--exact-counts says nothing to --method adaptive"),
        (("label", "--method", "er-prm", "--early-stop"), "--early-stop says nothing to --method er-prm: only omegaprm, "),
        (("label", "--method", "pav", "--no-reuse-passing"), "--no-reuse-passing says nothing to --method pav"),
        (("label", "--repair-pattern", "oops"), "it is read with --ignore-repairs only"),
        (("label", "--method", "pav", "-k", 2), "best_of 4 cannot be read off 2 rollouts"),
        (("label", "--method", "pav", "--prover", "builtin", "--best-of", 2), "with --prover it says nothing"),
        (("label", "--method", "adaptive", "--finish", "certified", "--cap", 8), "--cap belongs to --finish posterior"),
        (("estimate", "--method", "mips", "--method", "math-shepherd", "--searches", 1), "--method mips or math-shepherd"),
        (("estimate", "--price-per-million-tokens", 1, "--price-per-gpu-hour", 1), "not both"),
        (("estimate", "--method", "consensus"), "consensus needs a judge"),
        (("estimate", "--gpus", 8), "--gpus needs --price-per-gpu-hour"),
        (("estimate", "--method", "guess"), "there is no labelling method 'guess'"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    run: Run, problems: Path, tmp_path: Path, arguments: tuple[object, ...], sentence: str
) -> None:
    command, *more = arguments
    out = ("--out", tmp_path / "labeled") if command == "label" else ()
    said = run(command, problems, "--engine", "scripted", *more, *out)
    assert (said.code, sentence in said.err) == (2, True), said.err


def test_the_help_knows_every_method_and_the_defaults_of_the_configuration() -> None:
    assert set(METHODS) == set(LABELERS)
    config = replace(LabelConfig(), searches=20)
    for name, hint in get_type_hints(MethodOptions, include_extras=True).items():
        option, *readers = hint.__metadata__
        assert {method for reader in readers for method in reader.methods} <= set(LABELERS)
        default = re.search(r"\[default: (.*)\]\[", option.help)
        if default is not None:
            own = getattr(config, "pilot" if name == "fit_pilot" else name)
            assert default[1] in ({name.replace("_", "-")} if own is True else {str(own), str(own).removesuffix(".0")}), name


def test_doctor_names_what_it_looked_at(run: Run, tmp_path: Path) -> None:
    said = run("doctor", "--out", tmp_path, "--json")
    checks = {check["name"]: check["state"] for check in json.loads(said.out)["checks"]}
    assert {"python", "packages", "memory", "disk", "fsync", "gpu", "vllm", "builtin", "hub token"} <= set(checks)
    assert checks["builtin"] == "ok"


def test_the_quickstart_defaults_label_at_least_200_solutions() -> None:
    config = QuickstartConfig()
    assert config.problems * config.solutions >= 200
    assert set(config.methods) == {"omegaprm", "adaptive", "math-shepherd", "mips"}
