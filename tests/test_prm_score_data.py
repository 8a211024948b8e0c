"""All solutions of a data set are scored, once each, whatever happens on the way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from export_runs import mixed_items, write_run
from prm_score_child import Rule, rule_scorer
from publishing import options
from view_runs import write_generated

import openr_data
from openr_data.aggregate import AGGREGATES, sigmoid
from openr_data.errors import InputError, RunDirError, UsageError
from openr_data.pipelines.prm import scoring
from openr_data.pipelines.prm.config import SourceSpec
from openr_data.pipelines.prm.score_sources import Solutions, ToScore, open_solutions
from openr_data.pipelines.prm.scoring import score_solutions
from openr_data.pipelines.progress import Snapshot
from openr_data.pipelines.publishing.folder import FolderTarget
from openr_data.pipelines.publishing.publish import publish
from openr_data.store.lock import DirectoryLock


def bench(path: Path, problems: int = 100, candidates: int = 3) -> Path:
    """A file in the layout of ProcessBench."""
    rows: list[dict[str, Any]] = [
        {
            "id": f"{number}-{candidate}",
            "generator": "m",
            "problem": f"{number} + {number}?",
            "steps": [f"step {candidate}", f"the answer is {number}"][: 1 + candidate % 2],
            "final_answer_correct": True,
            "label": -1,
        }
        for number in range(problems)
        for candidate in range(candidates)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def solutions(tmp_path_factory: pytest.TempPathFactory) -> Solutions:
    return open_solutions(SourceSpec(str(bench(tmp_path_factory.mktemp("bench") / "bench.jsonl"))))


def usable(solutions: Solutions) -> list[ToScore]:
    return [row for row in solutions.read() if isinstance(row, ToScore)]


def rows_of(out: Path) -> list[dict[str, Any]]:
    files = [out] if out.is_file() else sorted(out.glob("scores-*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_every_solution_has_a_row_with_its_scores(solutions: Solutions, tmp_path: Path) -> None:
    told: list[Snapshot] = []
    summary = score_solutions(
        solutions, rule_scorer(Rule()), tmp_path / "out", aggregates=("min", "mean", "sum_logit"), report=told.append
    )
    rows = rows_of(tmp_path / "out")
    assert [(row["problem_id"], row["solution_id"]) for row in rows] == [
        (one.problem_id, one.solution_id) for one in usable(solutions)
    ]
    for one, row in zip(usable(solutions), rows, strict=True):
        ends = [len(one.question) + sum(len(step) + 1 for step in one.steps[: end + 1]) - 1 for end in range(len(one.steps))]
        assert row["margins"] == pytest.approx([end / 100 for end in ends], rel=1e-6)
        assert row["probabilities"] == pytest.approx([sigmoid(end / 100) for end in ends], abs=1e-15)
        assert {name: row[name] for name in ("min", "mean", "sum_logit")} == pytest.approx(
            {name: AGGREGATES[name]([sigmoid(end / 100) for end in ends]) for name in ("min", "mean", "sum_logit")}
        )
        assert (row["reason"], row["model"]) == ("", "rule")
    assert (summary.solutions, summary.scored, summary.before) == (300, 300, 0)
    assert summary.steps == sum(len(row["margins"]) for row in rows)
    assert summary.means["min"] == pytest.approx(sum(row["min"] for row in rows) / 300)
    assert summary.tokens == sum(len(one.question) + sum(len(step) + 1 for step in one.steps) for one in usable(solutions))
    assert (told[-1].done, told[-1].total, told[-1].final, told[-1].tokens) == (300, 300, True, summary.tokens)
    assert [one.done for one in told] == sorted(one.done for one in told)


@pytest.mark.parametrize("name", ["scores.parquet", "scores.arrow"])
def test_a_file_holds_the_rows_of_a_folder(solutions: Solutions, tmp_path: Path, name: str) -> None:
    score_solutions(solutions, rule_scorer(Rule()), tmp_path / "out")
    score_solutions(solutions, rule_scorer(Rule()), tmp_path / name)
    table = pq.read_table(tmp_path / name) if name.endswith("parquet") else pa.ipc.open_file(tmp_path / name).read_all()
    assert table.to_pylist() == rows_of(tmp_path / "out")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out", name]


@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_after_a_kill_only_what_is_missing_is_scored(tmp_path: Path, name: str) -> None:
    """Shards begin with 64 solutions: a third one begins after 66 and 66 + 129 of them, whole problems each."""
    source, out = bench(tmp_path / "bench.jsonl"), tmp_path / name
    child = Path(__file__).with_name("prm_score_child.py")
    killed = subprocess.run([sys.executable, child, str(source), str(out), "3"], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert name == "out" or not out.exists()
    backend = Rule()
    solutions = open_solutions(SourceSpec(str(source)))
    summary = score_solutions(solutions, rule_scorer(backend), out)
    assert (summary.before, sum(backend.batches), summary.solutions) == (195, 105, 300)
    whole = tmp_path / "whole"
    score_solutions(solutions, rule_scorer(Rule()), whole)
    assert rows_of(out) == rows_of(whole)


def test_a_finished_folder_is_not_scored_again(solutions: Solutions, tmp_path: Path) -> None:
    first = score_solutions(solutions, rule_scorer(Rule()), tmp_path / "out")
    backend = Rule()
    again = score_solutions(solutions, rule_scorer(backend), tmp_path / "out")
    assert backend.batches == []
    assert (again.before, again.solutions, again.means, again.tokens) == (300, 300, first.means, 0)


def test_scores_of_another_model_source_or_aggregate_are_refused(solutions: Solutions, tmp_path: Path) -> None:
    out = tmp_path / "out"
    score_solutions(solutions, rule_scorer(Rule()), out)
    before = rows_of(out)
    other = open_solutions(SourceSpec(str(bench(tmp_path / "other.jsonl", problems=2))))
    with pytest.raises(RunDirError, match=r"holds other scores: model \(rule, now other\)"):
        score_solutions(solutions, rule_scorer(Rule(), "other"), out)
    with pytest.raises(RunDirError, match="holds other scores: source"):
        score_solutions(other, rule_scorer(Rule()), out)
    with pytest.raises(RunDirError, match="holds other scores: aggregates"):
        score_solutions(solutions, rule_scorer(Rule()), out, aggregates=("min",))
    assert rows_of(out) == before


def test_what_is_in_the_way_is_left_alone(solutions: Solutions, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(RunDirError, match="holds something else than scores"):
        score_solutions(solutions, rule_scorer(Rule()), tmp_path)
    for name in ("old.parquet", "old"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(RunDirError, match="is there already"):
            score_solutions(solutions, rule_scorer(Rule()), tmp_path / name)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["note.txt", "old", "old.parquet"]
    out = tmp_path / "out"
    out.mkdir()
    with DirectoryLock(out), pytest.raises(RunDirError, match="is in use by process"):
        score_solutions(solutions, rule_scorer(Rule()), out)


@pytest.mark.parametrize("name", ["scores-0000000000.parquet", "scores-0000000066.parquet"])
def test_a_missing_shard_is_told(solutions: Solutions, tmp_path: Path, name: str) -> None:
    score_solutions(solutions, rule_scorer(Rule()), tmp_path / "out")
    (tmp_path / "out" / name).unlink()
    with pytest.raises(RunDirError, match=f"{name} is missing"):
        score_solutions(solutions, rule_scorer(Rule()), tmp_path / "out")


def test_a_damaged_shard_is_told(solutions: Solutions, tmp_path: Path) -> None:
    score_solutions(solutions, rule_scorer(Rule()), tmp_path / "out")
    (tmp_path / "out" / "scores-0000000066.parquet").write_bytes(b"PAR1")
    with pytest.raises(RunDirError, match=r"scores-0000000066.parquet is damaged; remove it and those after it"):
        score_solutions(solutions, rule_scorer(Rule()), tmp_path / "out")


def test_unknown_and_repeated_aggregates_are_refused_before_anything_is_written(solutions: Solutions, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no aggregate 'best'; choose among min, max"):
        score_solutions(solutions, rule_scorer(Rule()), tmp_path / "out", aggregates=("best",))
    with pytest.raises(UsageError, match="'min' is named twice"):
        score_solutions(solutions, rule_scorer(Rule()), tmp_path / "out", aggregates=("min", "min"))
    assert not (tmp_path / "out").exists()


def test_a_labelled_run_a_generated_one_and_a_published_folder_are_scored(tmp_path: Path) -> None:
    labelled = write_run(tmp_path / "labels", mixed_items(5))
    write_generated(tmp_path / "solutions")
    publish(labelled, FolderTarget(str(tmp_path / "published")), options())
    for name in ("labels", "solutions", "published"):
        expected = [(one.problem_id, one.id, one.steps) for one in openr_data.load(tmp_path / name).solutions()]
        found = open_solutions(SourceSpec(str(tmp_path / name)))
        assert (found.total, found.complete) == (len(expected), True)
        summary = score_solutions(found, rule_scorer(Rule()), tmp_path / f"{name}-scores")
        rows = rows_of(tmp_path / f"{name}-scores")
        assert [(row["problem_id"], row["solution_id"], len(row["margins"] or ())) for row in rows] == [
            (problem, one, len(steps)) for problem, one, steps in expected
        ]
        assert summary.solutions == len(expected) > 0


def test_a_solution_without_steps_has_a_row_with_its_reason_and_no_score(tmp_path: Path) -> None:
    one = ToScore("p", "s", "1 + 1?", ())
    two = ToScore("p", "t", "1 + 1?", ("2",))
    given = Solutions("given", "digest", lambda: iter([one, two]), 2)
    summary = score_solutions(given, rule_scorer(Rule()), tmp_path / "out.parquet")
    empty, scored = rows_of(tmp_path / "out.parquet")
    assert [empty[name] for name in ("margins", "probabilities", "min", "last")] == [None] * 4
    assert (empty["reason"], scored["reason"]) == ("it has no steps", "")
    assert (summary.solutions, summary.scored, summary.reason) == (2, 1, "it has no steps")
    assert summary.means["min"] == scored["min"]


def test_a_source_without_solutions_or_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no solution in nothing"):
        score_solutions(Solutions("nothing", "digest", lambda: iter(()), 0), rule_scorer(Rule()), tmp_path / "out")
    with pytest.raises(InputError, match="there is no file or directory"):
        open_solutions(SourceSpec(str(tmp_path / "none")))
    assert not (tmp_path / "out").exists()


def test_a_row_of_another_layout_is_counted_and_left_out(tmp_path: Path) -> None:
    source = bench(tmp_path / "bench.jsonl", problems=2)
    bad = {"id": "bad", "generator": "m", "problem": "9?", "steps": ["x"], "final_answer_correct": False, "label": 7}
    source.write_text(f"{json.dumps(bad)}\n{source.read_text()}{json.dumps(bad)}\n")
    summary = score_solutions(open_solutions(SourceSpec(str(source))), rule_scorer(Rule()), tmp_path / "out")
    assert (summary.solutions, summary.scored, summary.rejected) == (6, 6, 2)


def test_the_candidates_of_a_question_stay_together_and_one_question_may_fill_many_shards() -> None:
    rows = [ToScore("p", str(number), f"q{number // 10}", ("a",)) for number in range(100)]
    parts = list(scoring._shards(iter(rows), lambda: 25))
    assert [len(part) for part in parts] == [30, 30, 30, 10]
    assert [row for part in parts for row in part] == rows
    many = [ToScore("p", str(number), "q", ("a",)) for number in range(20_000)]
    assert max(len(part) for part in scoring._shards(iter(many), lambda: 64)) == scoring._MOST
