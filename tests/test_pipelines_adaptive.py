"""`label --method adaptive` as a run: its pilot and what is paid for it; every way of doing the run leaves the same bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crashes import crash_and_resume
from rich.table import Table
from test_pipelines_parts import share_of
from test_pipelines_stage import config, data_bytes, labels, write_problems

from openr_data.cli.inspect import add_certainty
from openr_data.engines import EngineSpec
from openr_data.engines.chain import chain_problems
from openr_data.errors import EngineError, UsageError
from openr_data.labelers.adaptive import Seen, ValueModel
from openr_data.pipelines import pilot
from openr_data.pipelines.config import LabelRunConfig, RunOptions
from openr_data.pipelines.generate import generate
from openr_data.pipelines.inspection import found
from openr_data.pipelines.label import label
from openr_data.pipelines.merge import merge
from openr_data.problems import ProblemSource
from openr_data.store.read import RunReader
from openr_data.store.run_record import RunRecord

SCRIPT = "success=0.5,recovery=0.02,phrasings=2"
COUNT = 24


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("solved")
    generate(config(write_problems(base / "problems.jsonl", COUNT), SCRIPT, grader="exact"), RunOptions(base / "run"))
    return base / "run"


def adaptive(run: Path, script: str = SCRIPT, **changes: object) -> LabelRunConfig:
    settings = labels(run, **{"method": "adaptive", "pilot": 12, "cap": 16, **changes})
    return replace(settings, engine=EngineSpec("scripted", script=script), grader="exact")


def saved(run: Path) -> dict[str, Any]:
    return RunRecord.load(run).settings


@pytest.fixture(scope="module")
def alone(solved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone") / "run"
    label(adaptive(solved), RunOptions(out))
    return out


def test_the_run_keeps_its_model_and_what_the_pilot_cost(alone: Path) -> None:
    model, cost = json.loads(saved(alone)["model"]), saved(alone)["pilot"]
    assert set(model) == set(ValueModel().to_json())
    assert ValueModel.from_json(model) != ValueModel()
    assert cost["solutions"] == 12
    assert 0 < cost["problems"] <= COUNT
    reused = 4 * cost["problems"]  # of the root's, those that the solutions were drawn as
    assert 0 < cost["completions"] <= RunRecord.load(alone).totals["completions"] + reused
    assert cost["tokens"] > cost["completions"]
    assert cost["failed"] == 0


def test_a_run_with_the_model_of_another_is_that_run_and_reuses_all_it_paid(solved: Path, alone: Path, tmp_path: Path) -> None:
    """The pilot is paid once: what it drew is what the labels are made of, and nothing is drawn beside it."""
    again = label(adaptive(solved, pilot=0, model=saved(alone)["model"]), RunOptions(tmp_path / "run", reuse=(alone,)))
    assert again.tokens == 0
    assert again.reused > 0
    mine, theirs = data_bytes(tmp_path / "run"), data_bytes(alone)
    tables = [name for name in theirs if name.startswith("data/")]
    assert [mine[name] for name in tables] == [theirs[name] for name in tables]
    assert len(tables) > 8
    assert "pilot" not in saved(tmp_path / "run")


def test_shares_fit_the_same_model_and_merge_to_the_run_of_one_process(solved: Path, alone: Path, tmp_path: Path) -> None:
    parts = [tmp_path / f"part-{index}" for index in (1, 2, 3)]
    for index, part in enumerate(parts, 1):
        label(adaptive(solved), share_of(part, index, 3))
    assert {saved(part)["model"] for part in parts} == {saved(alone)["model"]}
    merge(parts, tmp_path / "run")
    assert data_bytes(tmp_path / "run") == data_bytes(alone)
    assert saved(tmp_path / "run")["model"] == saved(alone)["model"]


def test_a_share_takes_over_what_another_one_has_found_out(
    solved: Path, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under another model its labels could not be merged: an engine that loses a sample in one of the two must not undo both."""
    first, second = tmp_path / "part-1", tmp_path / "part-2"
    label(adaptive(solved), share_of(first, 1, 2))

    def refuse(seen: Sequence[Seen]) -> ValueModel:
        raise AssertionError(len(seen))

    monkeypatch.setattr(pilot, "fit", refuse)
    label(adaptive(solved), replace(share_of(second, 2, 2), reuse=(first,)))
    merge([first, second], tmp_path / "run")
    assert data_bytes(tmp_path / "run") == data_bytes(alone)
    assert saved(tmp_path / "run") == saved(alone)
    with pytest.raises(AssertionError):  # that of another run is none of ours
        label(adaptive(solved, pilot=11), RunOptions(tmp_path / "other", reuse=(first,)))


def test_a_limit_holds_for_the_pilot_too(tmp_path: Path) -> None:
    models = []
    for name, count in (("short", 5), ("long", 9)):
        limited = replace(write_problems(tmp_path / f"{name}.jsonl", count), limit=5)
        generate(config(limited, SCRIPT, grader="exact"), RunOptions(tmp_path / name / "solved"))
        label(adaptive(tmp_path / name / "solved", pilot=100), RunOptions(tmp_path / name / "run"))
        models.append(saved(tmp_path / name / "run"))
    assert models[0]["model"] == models[1]["model"]
    assert models[0]["pilot"] == models[1]["pilot"]
    assert models[0]["pilot"]["problems"] == 5


def test_a_resumed_run_keeps_the_model_that_it_was_begun_with(
    solved: Path, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not fitted anew: an engine that answers otherwise by now must not label the second half under another model."""
    out = tmp_path / "run"
    label(adaptive(solved), RunOptions(out))
    next((out / "data" / "labeled").glob("*.parquet")).unlink()

    def refuse(seen: Sequence[Seen]) -> ValueModel:
        raise AssertionError(f"fitted again to {len(seen)} solutions")

    monkeypatch.setattr(pilot, "fit", refuse)
    again = label(adaptive(solved), RunOptions(out, mode="resume"))
    assert again.redone
    assert again.tokens == 0
    assert data_bytes(out) == data_bytes(alone)
    with pytest.raises(AssertionError, match="fitted again"):
        label(adaptive(solved), RunOptions(tmp_path / "other"))


@pytest.mark.slow
def test_killed_and_resumed_is_byte_identical_and_the_pilot_is_not_paid_twice(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 16)
    script = "error=0.1,recovery=0.02,latency=0.02,slow=0.1,slow_seconds=0.05,slots=64"
    spec = {"problems": source.location, "engine": "scripted", "script": script, "method": "adaptive", "rollouts": 4}
    report = crash_and_resume(spec, tmp_path, kills=2)
    assert (report.kills, report.identical, report.paid_twice) == (2, True, 0)


def test_a_pilot_without_a_wrong_solution_says_so_and_the_default_model_is_used(tmp_path: Path) -> None:
    script = "error=0,recovery=0"
    generate(config(write_problems(tmp_path / "p.jsonl", 6), script, grader="exact"), RunOptions(tmp_path / "solved"))
    told: list[str] = []
    summary = label(adaptive(tmp_path / "solved", script), RunOptions(tmp_path / "run", warn=told.append))
    assert told == [
        "the first 6 problems have no wrong solution to fit the adaptive model to (there is none): its default is used"
    ]
    model = ValueModel.from_json(json.loads(saved(tmp_path / "run")["model"]))
    assert model.prior(6) == pytest.approx(ValueModel().prior(6), abs=1e-6)
    assert saved(tmp_path / "run")["pilot"] == {"problems": 6, "solutions": 0, "completions": 0, "tokens": 0, "failed": 0}
    assert summary.items == 6
    found = [one for item in RunReader.open(tmp_path / "run").items() for one in item.labeled]
    assert {(one.first_error, one.reason) for one in found} == {(-1, "right_answer")}


def test_the_pilot_is_told_with_the_labels(alone: Path) -> None:
    pilot = found(alone).pilot
    assert pilot["solutions"] > 0
    table = Table()
    add_certainty(table, found(alone))
    rows = dict(zip(*([*column.cells] for column in table.columns), strict=True))
    assert rows["model"] == (
        f"fitted to {pilot['solutions']} wrong solutions of {pilot['problems']} problems: {pilot['completions']:,} rollouts, "
        f"{pilot['tokens']:,} tokens; labels reuse them where they can"
    )


def test_a_pilot_whose_questions_are_all_dropped_does_not_say_that_nothing_is_wrong(tmp_path: Path) -> None:
    script = "error=1,recovery=0"
    generate(config(write_problems(tmp_path / "p.jsonl", 3), script, grader="exact"), RunOptions(tmp_path / "solved"))
    told: list[str] = []
    label(adaptive(tmp_path / "solved", script), RunOptions(tmp_path / "run", warn=told.append))
    wrong = sum(len(item.solutions) for item in RunReader.open(tmp_path / "solved").items())
    table = Table()
    add_certainty(table, found(tmp_path / "run"))
    assert [*table.columns[1].cells] == ["the default one: no wrong solution in 3 problems could be searched"]
    assert told == [
        f"the first 3 problems have no wrong solution to fit the adaptive model to (the questions of all {wrong} were dropped): "
        "its default is used"
    ]


@pytest.mark.parametrize("finish", ["certified", "posterior"])
@pytest.mark.parametrize("script", ["error=1,recovery=0", "error=0,recovery=0"], ids=["never right", "always right"])
def test_a_policy_that_never_or_always_succeeds_is_labelled_without_a_fault(
    solved: Path, tmp_path: Path, script: str, finish: str
) -> None:
    """Solutions of another policy. Without the filter every wrong one is searched; with it the question is dropped."""
    for filtered in (0, 8):
        out = tmp_path / f"run-{filtered}"
        label(adaptive(solved, script, finish=finish, filter_rollouts=filtered, searches=1), RunOptions(out))
        for item in RunReader.open(out).items():
            wrong = [one for one in item.labeled if one.solution.verdict.outcome == "wrong" and one.origin == "given"]
            if filtered:
                assert {one.reason for one in wrong} <= {"too_hard", "too_easy"}
            elif finish == "certified":
                assert {one.reason for one in wrong} <= {"certified"}
                assert script == "error=0,recovery=0" or {one.first_error for one in wrong} <= {0}
            else:
                assert {one.reason for one in wrong} <= {"posterior", "uncertain"}


def test_a_fault_in_the_pilot_costs_what_it_costs_elsewhere(solved: Path, tmp_path: Path) -> None:
    """A problem that fails is set aside in the run and left out of the pilot; a dead engine is told in its own words."""
    summary = label(adaptive(solved, f"{SCRIPT},fail=0.002,fail_times=1000"), RunOptions(tmp_path / "run"))
    assert summary.items == COUNT
    assert 0 < summary.failed < COUNT / 2
    assert saved(tmp_path / "run")["pilot"]["solutions"] == 12
    for fault in ("fail=1,fail_times=1000", "fatal=1"):
        told: list[str] = []
        with pytest.raises(EngineError, match="as its script says"):
            label(adaptive(solved, f"{SCRIPT},{fault}"), RunOptions(tmp_path / fault, warn=told.append))
        assert told == []
        assert "model" not in saved(tmp_path / fault)


def test_a_broken_model_ends_the_run_in_one_sentence(solved: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this is not a value model that a run has saved"):
        label(adaptive(solved, model='{"lost": 1}'), RunOptions(tmp_path / "run"))


def test_solutions_in_spans_go_through_a_run(solved: Path, tmp_path: Path) -> None:
    label(adaptive(solved, spans=5, searches=0), RunOptions(tmp_path / "run"))
    found = [one for item in RunReader.open(tmp_path / "run").items() for one in item.labeled]
    assert any(one.reason == "posterior" for one in found)
    assert len(found) >= COUNT


def test_a_file_of_solutions_of_one_step_is_labelled_for_nothing(tmp_path: Path) -> None:
    rows = [
        {"id": f"{p.id}-{word}", "question": p.question, "answer": p.answer, "steps": [f"The answer is {word}"]}
        for p in chain_problems(4)
        for word in (p.answer, "17171")
    ]
    path = tmp_path / "solutions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told: list[str] = []
    settings = replace(adaptive(path, filter_rollouts=0, searches=0), source=ProblemSource(str(path)))
    summary = label(settings, RunOptions(tmp_path / "run", warn=told.append))
    assert summary.tokens == 0
    found = [one for item in RunReader.open(tmp_path / "run").items() for one in item.labeled]
    assert sorted((one.first_error, one.reason) for one in found) == [(-1, "right_answer")] * 4 + [(0, "posterior")] * 4
