"""--executor local: several processes make the run of one, also when they are killed, stopped or refused."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from test_cli import Run, run  # noqa: F401  (a fixture)
from test_pipelines_stage import data_bytes, write_problems

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.errors import OpenRDataError, UsageError
from openr_data.pipelines import devices, local_executor
from openr_data.pipelines.devices import default_workers, worker_environments
from openr_data.pipelines.local_executor import LocalJob
from openr_data.pipelines.parts import Share
from openr_data.pipelines.progress import Snapshot, read_snapshot
from openr_data.pipelines.worker_progress import WorkerProgress, joined
from openr_data.store.journal_file import connect_to_read
from openr_data.store.run_record import RunRecord

ITEMS = 24
QUICK = "error=0.1,recovery=0"
SLOW = "error=0.1,recovery=0,latency=0.15,slots=8"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("input") / "problems.jsonl"
    write_problems(path, ITEMS)
    path.write_text(path.read_text() + "not json\n")
    return path


@pytest.fixture(scope="module")
def reference(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of it."""
    out = tmp_path_factory.mktemp("reference") / "run"
    subprocess.run(command(source, out, SLOW), check=True, capture_output=True)
    return out


def command(source: Path, out: Path, script: str, *more: object) -> list[str]:
    options = ["--engine", "scripted", "--script", script, "--grader", "exact", "--shard-size", "7", "--out", str(out)]
    return [sys.executable, "-m", "openr_data", "generate", str(source), *options, *map(str, more)]


def start(source: Path, out: Path, script: str, *more: object) -> subprocess.Popen[str]:
    arguments = command(source, out, script, "--executor", "local", "--workers", 2, "--in-flight", 3, *more)
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def waited(condition: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)
    return found


def completions(journal: Path) -> int:
    try:
        with closing(connect_to_read(journal)) as connection:
            return int(connection.execute("SELECT count(*) FROM completions").fetchone()[0])
    except (OpenRDataError, sqlite3.Error):
        return 0  # not made yet


def workers_at_work(parent: int, out: Path) -> list[psutil.Process]:
    """The worker processes, once both have durable completions."""
    if sum(completions(path) >= 8 for path in out.glob("parts/*/journal.sqlite")) < 2:
        return []
    found = []
    for child in psutil.Process(parent).children():
        try:
            if "--shard" in child.cmdline():
                found.append(child)
        except psutil.Error:
            continue
    return found


def test_two_workers_make_the_run_of_one(run: Run, source: Path, reference: Path, tmp_path: Path) -> None:  # noqa: F811
    out = tmp_path / "run"
    said = run(*command(source, out, SLOW)[3:], "--executor", "local", "--workers", 2, "--json")
    assert said.code == 0, said.err
    summary = json.loads(said.out)
    assert data_bytes(out) == data_bytes(reference)
    alone, record = RunRecord.load(reference), RunRecord.load(out)
    assert (summary["items"], summary["rejected"], summary["failed"]) == (ITEMS, 1, 0)
    assert summary["tokens"] == record.totals["tokens"] == alone.totals["tokens"]
    assert not (out / "parts").exists()
    last = [json.loads(line) for line in said.err.splitlines() if '"event": "done"' in line]
    assert [(each["stage"], each["done"]) for each in last] == [("generate", ITEMS), ("merge", ITEMS)]
    again = run(*command(source, out, SLOW)[3:], "--executor", "local", "--workers", 2, "--resume", "--json")
    assert (again.code, json.loads(again.out)["tokens"]) == (0, 0)


def test_a_worker_that_is_killed_is_started_again(source: Path, reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(source, out, SLOW)
    victim = waited(lambda: workers_at_work(process.pid, out))[0]
    victim.kill()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "was killed (SIGKILL); it is started again and goes on" in said
    assert data_bytes(out) == data_bytes(reference)
    paid = RunRecord.load(out).totals["paid_completions"]
    assert paid == RunRecord.load(reference).totals["paid_completions"]


def test_ctrl_c_stops_the_workers_and_the_same_command_goes_on(source: Path, reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(source, out, SLOW)
    workers = waited(lambda: workers_at_work(process.pid, out))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopping: the workers finish what is in flight first" in said
    assert "of 25 problems; --resume continues" in said.replace("\n", " ")
    assert "stopped after 0 of" not in said
    assert not any(worker.is_running() for worker in workers)
    assert not (out / "run.json").exists()
    refused = start(source, out, SLOW)
    assert "holds the parts of a run that are not merged yet" in refused.communicate(timeout=60)[1].replace("\n", " ")
    assert refused.returncode == 4
    resumed = start(source, out, SLOW, "--resume", "--workers", 1, "--in-flight", 0)
    assert resumed.wait(120) == 0, resumed.communicate()[1]
    resumed.communicate()
    assert data_bytes(out) == data_bytes(reference)
    assert RunRecord.load(out).totals["paid_completions"] == RunRecord.load(reference).totals["paid_completions"]


@pytest.mark.slow
def test_workers_do_not_outlive_their_executor(source: Path, reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(source, out, SLOW)
    workers = waited(lambda: workers_at_work(process.pid, out))
    process.kill()
    process.communicate()
    waited(lambda: not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers))
    resumed = start(source, out, SLOW, "--resume")
    _, said = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, said
    assert data_bytes(out) == data_bytes(reference)


@pytest.mark.slow
def test_what_one_process_began_workers_finish_without_paying_again(source: Path, reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    alone = subprocess.Popen(command(source, out, SLOW), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    waited(lambda: completions(out / "journal.sqlite") >= 8)
    alone.kill()
    alone.wait()
    resumed = start(source, out, SLOW, "--resume", "--json")
    told, said = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, said
    assert data_bytes(out) == data_bytes(reference)
    assert json.loads(told)["reused"] > 0
    assert RunRecord.load(out).totals["paid_completions"] == RunRecord.load(reference).totals["paid_completions"]


def test_a_worker_that_never_gets_anywhere_ends_the_run(
    run: Run,  # noqa: F811
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local_executor, "MAX_RESTARTS", 1)
    out = tmp_path / "run"
    script = f"{QUICK},crash_after=2,crash=kill"
    said = run(*command(source, out, script)[3:], "--executor", "local", "--workers", 1)
    text = said.err.replace("\n", " ")
    assert said.code == 1
    assert "worker 1/1 was killed 2 times without finishing a problem (SIGKILL); see" in text
    assert "then --resume continues" in text


def test_parts_of_another_executor_and_done_ones_cost_nothing(
    run: Run,  # noqa: F811
    source: Path,
    reference: Path,
    tmp_path: Path,
) -> None:
    """One share is done and the other's problems stand in a part of another kind: nothing is generated any more."""
    out = tmp_path / "run"
    for index, name in ((1, "shard-00001-of-00002"), (2, "shard-00002-of-00002")):
        assert run(*command(source, out / "parts" / name, SLOW)[3:], "--shard", f"{index}/2").code == 0
    (out / "parts" / "shard-00002-of-00002").rename(out / "parts" / "other-1")
    other = run(*command(source, out, SLOW)[3:], "--executor", "local", "--resume", "--seed", 5)
    assert (other.code, "was written by a different run" in other.err.replace("\n", " ")) == (4, True)
    said = run(*command(source, out, SLOW)[3:], "--executor", "local", "--resume", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["tokens"] == 0
    assert not list(out.rglob("*.log"))
    assert data_bytes(out) == data_bytes(reference)
    assert RunRecord.load(out).totals["paid_completions"] == RunRecord.load(reference).totals["paid_completions"]


def test_a_pilot_is_made_by_one_worker_and_read_by_the_others(
    run: Run,  # noqa: F811
    reference: Path,
    tmp_path: Path,
) -> None:
    def label(out: Path, *more: object) -> dict[str, Any]:
        method = ("--method", "adaptive", "--fit-pilot", 4, "--grader", "exact", "--shard-size", 4, "--limit", 10)
        said = run("label", reference, "--engine", "scripted", "--script", QUICK, "--out", out, *method, "--json", *more)
        assert said.code == 0, said.err
        return dict(json.loads(said.out))

    label(tmp_path / "alone")
    label(tmp_path / "workers", "--executor", "local", "--workers", 2)
    assert data_bytes(tmp_path / "workers") == data_bytes(tmp_path / "alone")
    alone, workers = RunRecord.load(tmp_path / "alone"), RunRecord.load(tmp_path / "workers")
    assert workers.totals["paid_completions"] == alone.totals["paid_completions"]
    assert workers.settings == alone.settings


def test_a_second_ctrl_c_ends_workers_at_once(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(source, out, f"{QUICK},latency=0.1,slow=0.5,slow_seconds=600,slots=8")
    waited(lambda: sum(completions(path) >= 1 for path in out.glob("parts/*/journal.sqlite")) == 2)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume continues" in said.replace("\n", " ")
    waited(lambda: not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers))


def test_what_is_wrong_for_every_worker_is_said_once(run: Run, source: Path, tmp_path: Path) -> None:  # noqa: F811
    local = ("--executor", "local", "--workers", 2)
    said = run(*command(source, tmp_path / "a", f"{QUICK},fatal=1")[3:], *local)
    assert (said.code, said.err.count("refuses this request, as its script says")) == (5, 1)
    said = run(*command(source, tmp_path / "a", f"{QUICK},fatal=1")[3:], *local, "--resume")
    assert said.code == 5
    said = run(*command(source, tmp_path / "b", QUICK)[3:], *local, "--shard", "1/2")
    assert (said.code, "--shard is one part of a run and --executor does all of them" in said.err) == (2, True)
    said = run(*command(source, tmp_path / "b", QUICK)[3:], *local, "--fork", tmp_path)
    assert (said.code, "--reuse instead of --fork" in said.err.replace("\n", " ")) == (2, True)
    said = run(*command(source.with_name("absent.jsonl"), tmp_path / "b", QUICK)[3:], *local)
    assert said.code == 3
    said = run(*command(source, tmp_path / "b", QUICK)[3:], "--executor", "cloud")
    assert (said.code, "there is no executor 'cloud'; choose one of: local" in said.err) == (2, True)
    said = run(*command(source, tmp_path / "b", QUICK)[3:], "--workers", 2)
    assert (said.code, "--workers needs --executor" in said.err) == (2, True)
    assert not (tmp_path / "b").exists()


def test_problems_that_failed_keep_their_parts_and_are_tried_again(run: Run, source: Path, tmp_path: Path) -> None:  # noqa: F811
    out = tmp_path / "run"
    script = f"{QUICK},fail=0.1,fail_times=1"
    said = run(*command(source, out, script)[3:], "--executor", "local", "--workers", 2, "--json")
    failed = json.loads(said.out)["failed"]
    assert failed > 0
    assert (out / "parts").is_dir()
    said = run(*command(source, out, script)[3:], "--executor", "local", "--workers", 2, "--json", "--resume")
    assert said.code == 0, said.err
    assert json.loads(said.out)["failed"] == failed


def test_a_worker_is_told_all_that_the_run_was_told(
    run: Run,  # noqa: F811
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[LocalJob] = []

    def taken(stage: Any, options: Any, job: LocalJob) -> Any:
        given.append(job)
        raise UsageError("only looked at")

    monkeypatch.setattr(local_executor, "run_local", taken)
    odd = ("--stop", "a b", "--stop", "--", "--temperature", "0.5", "--strict", "--limit", 7, "--in-flight", 3, "-n", 2)
    arguments = [*command(source, tmp_path / "run", QUICK)[3:], *odd]
    urls = ("--base-url", "http://a/v1", "--base-url", "http://b/v1")
    said = run(*arguments, *urls, "--executor", "local", "--workers", 3, "--resume")
    assert (said.code, said.err.strip()) == (2, "error: only looked at")
    (job,) = given
    assert job.workers == 3
    words = job.command[3:]
    assert not {"--executor=local", "--workers=3", "--resume"} & set(words)
    assert not any("http" in word or str(tmp_path / "run") in word for word in words)
    assert {"--stop=a b", "--stop=--", "--strict", "--in-flight=3"} <= set(words)
    alone = json.loads(run(*arguments, "--dry-run", "--json").out)
    worker = json.loads(run(*words, "--out", tmp_path / "part", "--shard", "1/3", "--dry-run", "--json").out)
    assert worker == alone


def test_each_worker_gets_its_own_gpus_or_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    model, limits = EngineSpec("vllm", "m"), EngineLimits()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, GPU-5,6,7")
    assert worker_environments(model, limits, 3) == [{"CUDA_VISIBLE_DEVICES": name} for name in ("4", "GPU-5", "6")]
    pairs = worker_environments(model, EngineLimits(tensor_parallel=2), 3)
    assert pairs == [{"CUDA_VISIBLE_DEVICES": names} for names in ("4,GPU-5", "6,7", "4,GPU-5")]
    assert default_workers(model, EngineLimits(tensor_parallel=2)) == 2
    assert worker_environments(EngineSpec("openai"), limits, 2) == [{}, {}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert worker_environments(model, limits, 3) == [{"OMP_NUM_THREADS": "2"}] * 3
    assert default_workers(model, limits) == 4
    assert default_workers(EngineSpec("openai"), EngineLimits(base_urls=("a", "b", "c"))) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert worker_environments(model, limits, 1) == [{}]


def test_gpus_are_asked_for_where_nobody_says_which(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    program.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert devices.visible_gpus() == ["0", "1"]
    program.write_text("#!/bin/sh\nexit 9\n")
    assert devices.visible_gpus() == []


def test_the_progress_of_workers_adds_up() -> None:
    line = '{"event": "progress", "stage": "generate", "done": 5, "before": 2, "total": 10, "tokens": 100, "rejected": 3}'
    snapshot = Snapshot("generate", 5, 10, 100, 0, 0, 3, 0, 0, before=2)
    assert read_snapshot(line) == snapshot
    one, two = WorkerProgress(Share(1, 2)), WorkerProgress(Share(2, 2))
    assert joined("label", 0, [one, two], 1.0) == Snapshot("label", 0, 0, 0, 0, 0, 0, 0, 1.0)
    one.hear(snapshot)
    assert joined("label", 0, [one, two], 1.0).total == 0
    one.end()
    one.hear(Snapshot("generate", 9, 10, 40, 0, 0, 3, 0, 0, before=5))
    two.hear(snapshot)
    both = joined("label", 0, [one, two], 2.0)
    assert (both.done, both.before, both.total, both.tokens, both.rejected) == (14, 4, 20, 240, 3)
    assert read_snapshot("[1]") is None
    assert read_snapshot('{"event": "x", "stage": 1}') is not None
