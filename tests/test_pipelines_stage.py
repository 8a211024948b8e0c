"""Runs as a whole, on the scripted engine: what they leave behind, and how they resume, refuse and fail."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.chain import chain_problems, true_first_error
from openr_data.engines.open import open_engine
from openr_data.errors import EngineError, InputError, Interrupted, RunDirError, TooManyFailures, UsageError
from openr_data.labelers import LabelConfig
from openr_data.pipelines import stage, work
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions
from openr_data.pipelines.generate import generate
from openr_data.pipelines.label import label
from openr_data.pipelines.progress import Snapshot
from openr_data.problems import ProblemSource
from openr_data.store.read import RunReader
from openr_data.types import Sampling

SAMPLING = Sampling(temperature=1.0, max_tokens=512, seed=0)


def write_problems(path: Path, count: int) -> ProblemSource:
    lines = (json.dumps({"id": p.id, "question": p.question, "answer": p.answer}) for p in chain_problems(count))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ProblemSource(str(path))


def config(source: ProblemSource, script: str = "error=0.1,recovery=0", **changes: object) -> GenerateConfig:
    return replace(GenerateConfig(source, EngineSpec("scripted", script=script), SAMPLING, shard_size=8), **changes)  # type: ignore[arg-type]  # fields by name


def labels(run: Path, **changes: object) -> LabelRunConfig:
    method = LabelConfig(**{"rollouts": 4, "filter_rollouts": 8, "searches": 1, **changes})  # type: ignore[arg-type]  # fields by name
    spec = EngineSpec("scripted", script="error=0.1,recovery=0")
    return LabelRunConfig(ProblemSource(str(run)), spec, SAMPLING, method, shard_size=8)


def data_bytes(run: Path) -> dict[str, str]:
    """Digests of everything that is data: the shards, the manifest, the card and the rejects."""
    kept = [
        *run.glob("data/**/*.parquet"),
        *(run / name for name in ("manifest.json", "README.md", "rejects.jsonl", "failures.jsonl")),
    ]
    return {str(path.relative_to(run)): sha256(path.read_bytes()).hexdigest() for path in sorted(kept)}


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("solved")
    generate(config(write_problems(base / "problems.jsonl", 20)), RunOptions(base / "run"))
    return base / "run"


def test_generate_keeps_every_solution_graded_and_in_order(solved: Path) -> None:
    items = list(RunReader.open(solved).items())
    assert [item.problem.id for item in items] == [p.id for p in chain_problems(20)]
    for item in items:
        assert [solution.index for solution in item.solutions] == [0, 1, 2, 3]
        for solution in item.solutions:
            truth = true_first_error(item.problem.question, solution.steps)
            assert solution.verdict.outcome == ("right" if truth == -1 else "wrong")


@pytest.mark.parametrize("method", ["omegaprm", "math-shepherd", "mips"])
def test_labels_name_the_true_first_error_of_a_policy_that_never_recovers(solved: Path, tmp_path: Path, method: str) -> None:
    summary = label(labels(solved, method=method, rollouts=24, filter_rollouts=0, searches=0), RunOptions(tmp_path / "run"))
    given = [(item, one) for item in RunReader.open(tmp_path / "run").items() for one in item.labeled if one.origin == "given"]
    assert len(given) == 80 == sum(len(item.solutions) for item in RunReader.open(solved).items())
    exact = [one.first_error == true_first_error(item.problem.question, one.solution.steps) for item, one in given]
    assert sum(exact) / len(exact) > 0.95
    assert summary.rows["labeled"] == len(given)
    if method != "mips":
        assert all(one.cost.rollouts == 0 for _, one in given if one.solution.verdict.outcome == "right")


def test_a_finished_run_pays_for_nothing_again_and_keeps_its_bytes(solved: Path, tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 20)
    generate(config(source), RunOptions(tmp_path / "run"))
    before = data_bytes(tmp_path / "run")
    again = generate(config(source), RunOptions(tmp_path / "run", mode="resume"))
    assert (again.tokens, again.items) == (0, 20)
    assert data_bytes(tmp_path / "run") == before == data_bytes(solved)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["totals"]["paid_completions"] == 80


def test_the_window_and_the_order_of_completion_do_not_change_a_byte(solved: Path, tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 20)
    script = "error=0.1,recovery=0,slow=0.3,slow_seconds=0.02"
    generate(config(source, script), RunOptions(tmp_path / "run", window=3))
    assert [*(tmp_path / "run" / "data").rglob("*.parquet")]
    same = {name: digest for name, digest in data_bytes(tmp_path / "run").items() if name.startswith("data/")}
    # The script's digest leaves speed out, so the engine is the same and so is its data.
    assert same == {name: digest for name, digest in data_bytes(solved).items() if name.startswith("data/")}


def test_another_configuration_is_refused_and_the_fields_are_named(solved: Path, tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 4)
    options = RunOptions(tmp_path / "run")
    generate(config(source), options)
    with pytest.raises(RunDirError, match="already holds a run"):
        generate(config(source), options)
    changed = replace(config(source), sampling=replace(SAMPLING, temperature=0.5))
    with pytest.raises(RunDirError, match=r"sampling\.temperature \(1\.0, now 0\.5\)"):
        generate(changed, replace(options, mode="resume"))


def test_a_fork_reuses_the_completions_of_the_run_it_was_made_from(solved: Path, tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 20)
    summary = generate(config(source, solutions=6), RunOptions(tmp_path / "fork", mode="fork", fork_of=solved))
    assert summary.reused == 80
    assert summary.rows["solutions"] == 120


def test_labelling_reuses_the_solutions_as_root_rollouts(solved: Path, tmp_path: Path) -> None:
    summary = label(labels(solved), RunOptions(tmp_path / "run"))
    assert summary.reused >= 80


def test_token_span_steps_cut_the_same_text(solved: Path, tmp_path: Path) -> None:
    label(labels(solved, spans=16, filter_rollouts=0, searches=0), RunOptions(tmp_path / "run"))
    texts = {s.id: "\n".join(s.steps) for item in RunReader.open(solved).items() for s in item.solutions}
    for item in RunReader.open(tmp_path / "run").items():
        for one in item.labeled:
            assert "".join(one.solution.steps) == texts[one.solution.id]
            if one.solution.verdict.outcome == "wrong":
                assert len(one.solution.steps) > 8


def test_bad_rows_are_kept_aside_and_stop_nothing_unless_strict(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 4)
    with source.path.open("ab") as file:
        file.write(b'{"question": "no answer"}\n{broken\n{"question": "\xff", "answer": "1"}\n')
        file.write(b'{"question": "cannot be boxed", "answer": "x {"}\n')
    summary = generate(config(source), RunOptions(tmp_path / "run"))
    assert (summary.items, summary.rejected) == (4, 4)
    rejects = [json.loads(line) for line in (tmp_path / "run" / "rejects.jsonl").read_text().splitlines()]
    assert [(each["line"], each["reason"]) for each in rejects] == [
        (5, "no_answer"), (6, "bad_json"), (7, "bad_utf8"), (8, "ungradable_answer"),
    ]  # fmt: skip
    with pytest.raises(InputError, match="line 5: no_answer"):
        generate(config(source), RunOptions(tmp_path / "strict", strict=True))


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text('{"question": "q", "answer": ""}\n')
    with pytest.raises(InputError, match="no problem that can be used"):
        generate(config(ProblemSource(str(path))), RunOptions(tmp_path / "run"))


def test_problems_that_fail_are_set_aside_and_done_by_a_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 12)
    shaky = config(source, "error=0.1,recovery=0,fail=0.02,fail_times=1")
    first = generate(shaky, RunOptions(tmp_path / "run"))
    assert first.failed > 0
    failures = [json.loads(line) for line in (tmp_path / "run" / "failures.jsonl").read_text().splitlines()]
    assert len(failures) == first.failed
    assert {each["reason"] for each in failures} == {"engine_error"}
    healthy = replace(shaky.engine, script="error=0.1,recovery=0")
    monkeypatch.setattr(work, "open_engine", lambda _, limits: open_engine(healthy, limits))
    again = generate(shaky, RunOptions(tmp_path / "run", mode="resume"))
    assert again.failed == 0
    assert again.rows == {"solutions": 48, "problems": 12}


def test_ctrl_c_says_what_it_does_and_the_totals_count_every_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "TICK", 0.01)
    run = config(write_problems(tmp_path / "problems.jsonl", 20), "latency=0.02")
    told: list[str] = []
    seen: list[Snapshot] = []

    def interrupt(snapshot: Snapshot) -> None:
        seen.append(snapshot)
        if snapshot.done and not told:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        generate(run, RunOptions(tmp_path / "run", window=2, report=interrupt, warn=told.append))
    assert told == [stage.STOPPING]
    summary = generate(run, RunOptions(tmp_path / "run", mode="resume", report=seen.append))
    assert seen[-1].before > 0
    assert seen[-1].items_per_second < seen[-1].done / seen[-1].seconds
    assert summary.totals["completions"] == summary.totals["paid_completions"] == 80
    assert summary.totals["tokens"] == summary.totals["paid_tokens"] > summary.tokens


def test_too_many_failures_stop_the_run_and_lose_nothing(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 40)
    with pytest.raises(TooManyFailures, match="--resume tries them again"):
        generate(config(source, "fail=0.5,fail_times=100"), RunOptions(tmp_path / "run", max_failures=3))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"


def test_a_final_engine_error_ends_the_run_at_once(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 10)
    with pytest.raises(EngineError):
        generate(config(source, "fatal=1"), RunOptions(tmp_path / "run"))


def test_engine_failures_and_truncation_never_become_wrong(tmp_path: Path, solved: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 20)
    generate(config(source, "error=0,recovery=0,lost=0.3,truncate=0.3"), RunOptions(tmp_path / "run"))
    outcomes = {
        (s.finish_reason, s.verdict.outcome, s.verdict.reason)
        for item in RunReader.open(tmp_path / "run").items()
        for s in item.solutions
    }
    assert outcomes == {("stop", "right", "exact"), ("length", "unknown", "truncated"), ("error", "unknown", "engine_error")}


def test_a_damaged_shard_is_made_again_without_paying(solved: Path, tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 20)
    generate(config(source), RunOptions(tmp_path / "run"))
    before = data_bytes(tmp_path / "run")
    shard = sorted((tmp_path / "run" / "data" / "solutions").glob("*.parquet"))[1]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    notes: list[str] = []
    again = generate(config(source), RunOptions(tmp_path / "run", mode="resume", warn=notes.append))
    assert again.tokens == 0
    assert any(shard.name in note for note in notes)
    assert data_bytes(tmp_path / "run") == before


def test_foreign_solutions_are_graded_and_labelled(tmp_path: Path) -> None:
    problems = list(chain_problems(6))
    generate(config(write_problems(tmp_path / "problems.jsonl", 6)), RunOptions(tmp_path / "run"))
    rows = [
        {"question": item.problem.question, "steps": list(s.steps), "model": "another"}
        for item in RunReader.open(tmp_path / "run").items()
        for s in item.solutions
    ]
    (tmp_path / "foreign.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    run = replace(
        labels(tmp_path / "foreign.jsonl", filter_rollouts=0, searches=0), answers=ProblemSource(str(tmp_path / "problems.jsonl"))
    )
    summary = label(run, RunOptions(tmp_path / "labeled"))
    assert summary.items == len(problems)
    assert summary.rows["labeled"] == 24
    assert {one.solution.sampler for item in RunReader.open(tmp_path / "labeled").items() for one in item.labeled} == {"another"}


def test_the_arrow_format_opens_with_load_from_disk(tmp_path: Path) -> None:
    from datasets import load_from_disk

    source = write_problems(tmp_path / "problems.jsonl", 10)
    generate(config(source), RunOptions(tmp_path / "run"))
    generate(config(source, format="arrow"), RunOptions(tmp_path / "run", mode="resume"))
    table = load_from_disk(str(tmp_path / "run" / "arrow" / "solutions"))
    assert len(table) == 40


def test_values_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 1)
    for bad in (
        config(source, solutions=0),
        config(source, grader="guess"),
        config(source, format="csv"),
        config(source, shard_size=0),
    ):
        with pytest.raises(UsageError):
            bad.checked()
    with pytest.raises(UsageError, match="no labelling method"):
        labels(tmp_path, method="guess").checked()


def test_slots_only_change_the_speed(solved: Path, tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 20)
    generate(config(source), RunOptions(tmp_path / "run", limits=EngineLimits(slots=2)))
    assert data_bytes(tmp_path / "run") == data_bytes(solved)
