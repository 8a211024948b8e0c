"""Runs on a local Ray cluster of two nodes: the bytes of one process, also when workers, nodes or the driver are killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.errors import InputError, OpenRDataError, TooManyFailures, UsageError
from openr_data.labelers import LabelConfig
from openr_data.pipelines import ray_cluster
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions
from openr_data.pipelines.generate import generate, generate_stage
from openr_data.pipelines.label import label_stage
from openr_data.pipelines.progress import Snapshot
from openr_data.pipelines.ray_cluster import Cluster, RayOptions, Resources, check_room, resources, worker_count
from openr_data.pipelines.ray_executor import run_ray
from openr_data.pipelines.stage import run_stage
from openr_data.problems import ProblemSource
from openr_data.store.run_record import RunRecord
from openr_data.types import Sampling

ITEMS, EACH = 40, 3
SLOW = "steps=5,latency=0.1,token_latency=0.002,slots=3"
HEALTH = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
STORE = 80 * 1024 * 1024


def config(script: str = SLOW, count: int = ITEMS) -> GenerateConfig:
    source = ProblemSource(location="builtin", count=count, seed=3)
    return GenerateConfig(source, EngineSpec("scripted", script=script), Sampling(1.0, 200, 7), solutions=EACH, shard_size=16)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    out = tmp_path_factory.mktemp("whole") / "run"
    generate(config(), RunOptions(out, limits=EngineLimits(slots=256)))
    return out


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    pytest.importorskip("ray")
    os.environ.update(ray_cluster.QUIET)
    from ray.cluster_utils import Cluster as LocalCluster

    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE, "_system_config": HEALTH}
    nodes = LocalCluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        nodes.add_node(num_cpus=2, object_store_memory=STORE)
    yield nodes
    nodes.shutdown()


def files(run: Path) -> dict[str, bytes]:
    data = {path.relative_to(run).as_posix(): path.read_bytes() for path in (run / "data").rglob("*.parquet")}
    return data | {"manifest.json": (run / "manifest.json").read_bytes()}


def completions(run: Path) -> int:
    with closing(sqlite3.connect(f"file:{run}/journal.sqlite?mode=ro", uri=True)) as journal:
        return int(journal.execute("SELECT count(*) FROM completions").fetchone()[0])


def finished(part: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{part}/journal.sqlite?mode=ro", uri=True)) as journal:
            return int(journal.execute("SELECT count(*) FROM results").fetchone()[0])
    except sqlite3.Error:
        return 0


def process_of(part: Path) -> int:
    return int((part / "lock").read_text())


def once(part: Path, items: int, act: Callable[[int], None]) -> Thread:
    """Do `act` with the worker's process as soon as that many items are finished."""

    def wait() -> None:
        while finished(part) < items:
            time.sleep(0.02)
        act(process_of(part))

    thread = Thread(target=wait, daemon=True)
    thread.start()
    return thread


def check(out: Path, whole: Path) -> None:
    """Same data, nothing lost, and every completion paid for once."""
    assert files(out) == files(whole)
    assert completions(out) == ITEMS * EACH
    assert RunRecord.load(out).totals["paid_completions"] == ITEMS * EACH
    assert not (out / "parts").exists()


@pytest.mark.slow
def test_two_actors_give_the_bytes_of_one_process(cluster: Any, whole: Path, tmp_path: Path) -> None:
    told: list[Snapshot] = []
    options = RunOptions(tmp_path / "run", report=told.append)
    summary = run_ray(generate_stage(config()), options, RayOptions(2, cluster.address))
    check(tmp_path / "run", whole)
    assert (summary.items, summary.failed, summary.rows["solutions"]) == (ITEMS, 0, ITEMS * EACH)
    assert summary.tokens == RunRecord.load(whole).totals["tokens"] == summary.totals["tokens"]
    assert (told[-1].done, told[-1].total, told[-1].final) == (ITEMS, ITEMS, True)


@pytest.mark.slow
def test_one_actor_makes_the_pilot_and_the_others_read_it(cluster: Any, whole: Path, tmp_path: Path) -> None:
    script = EngineSpec("scripted", script="steps=5,latency=0.01,slots=8")
    method = LabelConfig(method="adaptive", pilot=8, cap=8)
    stage = label_stage(LabelRunConfig(ProblemSource(str(whole)), script, Sampling(1.0, 200, 7), method, shard_size=16))
    alone, out = tmp_path / "alone", tmp_path / "run"
    run_stage(stage, RunOptions(alone))
    run_ray(stage, RunOptions(out), RayOptions(2, cluster.address))
    assert files(out) == files(alone)
    one, two = RunRecord.load(alone), RunRecord.load(out)
    assert two.settings == one.settings
    assert two.totals["paid_completions"] == one.totals["paid_completions"]
    assert two.totals["completions"] == one.totals["completions"]


@pytest.mark.slow
def test_a_killed_actor_comes_back_on_its_part_and_pays_nothing_twice(cluster: Any, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    killer = once(out / "parts" / "ray-00001", 4, lambda pid: os.kill(pid, signal.SIGKILL))
    summary = run_ray(generate_stage(config()), RunOptions(out), RayOptions(2, cluster.address))
    killer.join()
    check(out, whole)
    assert summary.totals["reused"] >= 0


@pytest.mark.slow
def test_a_node_that_is_removed_loses_no_finished_work(cluster: Any, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    removed: list[Any] = []

    def remove(pid: int) -> None:
        raylet = psutil.Process(pid).ppid()
        (node,) = [each for each in cluster.worker_nodes if each.all_processes["raylet"][0].process.pid == raylet]
        removed.append(node)
        cluster.remove_node(node, allow_graceful=False)

    killer = once(out / "parts" / "ray-00001", 4, remove)
    run_ray(generate_stage(config()), RunOptions(out), RayOptions(2, cluster.address))
    killer.join()
    assert removed
    check(out, whole)
    cluster.add_node(num_cpus=2, object_store_memory=STORE)


@pytest.mark.slow
def test_the_same_command_continues_a_stopped_and_a_killed_driver(cluster: Any, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "openr_data", "generate", "builtin", "--count", str(ITEMS), "--seed", "3", "-n", str(EACH)]
    command += ["--engine", "scripted", "--script", SLOW, "--max-tokens", "200", "--shard-size", "16", "--out", str(out)]
    command += ["--executor", "ray", "--ray-address", cluster.address]
    one = tmp_path / "one"
    subprocess.run([*command[: command.index("--out")], "--out", str(one)], check=True, capture_output=True)

    def drive(*more: str, signal_after: int = 0, number: int = signal.SIGKILL) -> tuple[int, str]:
        with subprocess.Popen([*command, *more], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as driver:
            killer = (
                once(out / "parts" / "ray-00001", signal_after, lambda _: driver.send_signal(number)) if signal_after else None
            )
            words = driver.communicate(timeout=120)[1]
            if killer:
                killer.join()
        return driver.returncode, words

    code, words = drive("--workers", "2", signal_after=3, number=signal.SIGINT)
    assert code == 130, words
    assert "--resume continues" in words
    code, words = drive("--workers", "2", "--resume", signal_after=finished(out / "parts" / "ray-00001") + 2)
    assert code == -signal.SIGKILL, words
    code, words = drive("--workers", "1", "--resume")
    assert code == 0, words
    assert files(out) == files(one)
    assert completions(out) == ITEMS * EACH
    assert RunRecord.load(out).totals["paid_completions"] == ITEMS * EACH
    assert "raylet" not in words


@pytest.mark.slow
def test_a_run_that_cannot_begin_leaves_nothing_in_the_way(cluster: Any, tmp_path: Path) -> None:
    given = config()
    broken = replace(given, engine=EngineSpec("transformers", model=str(tmp_path / "no-model")))
    with pytest.raises(OpenRDataError, match="no-model"):
        run_ray(generate_stage(broken), RunOptions(tmp_path / "run"), RayOptions(1, cluster.address))
    assert not (tmp_path / "run" / "parts").exists()


@pytest.mark.slow
def test_failures_end_the_run_as_in_a_single_process(cluster: Any, tmp_path: Path) -> None:
    script = "steps=5,fail=1,fail_times=1000"
    with pytest.raises(TooManyFailures, match="problems failed, the last one so: the scripted engine fails for now"):
        run_ray(generate_stage(config(script)), RunOptions(tmp_path / "run", max_failures=5), RayOptions(2, cluster.address))


def test_one_sentence_where_ray_is_missing_old_or_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refusal(**options: Any) -> str:
        with pytest.raises(UsageError) as refused:
            run_ray(generate_stage(config()), RunOptions(tmp_path / "run"), RayOptions(2, **options))
        return str(refused.value)

    with monkeypatch.context() as patch:
        patch.setattr(ray_cluster, "find_spec", lambda _: None)
        assert refusal() == "--executor ray needs Ray: pip install 'openr-data[ray]', or use --executor local"
    with monkeypatch.context() as patch:
        patch.setattr(ray_cluster, "find_spec", lambda _: object())
        patch.setattr(ray_cluster, "version", lambda _: "2.9.3")
        assert "tested with Ray 2.60 and found 2.9.3" in refusal()
    pytest.importorskip("ray")
    assert "there is no Ray cluster at 127.0.0.1:1 " in refusal(address="127.0.0.1:1")
    assert "not ray://head:10001" in refusal(address="ray://head:10001")
    assert not (tmp_path / "run" / "run.json").exists()


def test_an_input_without_problems_is_refused_before_ray_starts(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("{}\n")
    source = ProblemSource(location=str(tmp_path / "empty.jsonl"))
    empty = GenerateConfig(source, EngineSpec("scripted"), Sampling(1.0, 200, 7))
    with pytest.raises(InputError, match="no column with the question"):
        run_ray(generate_stage(empty), RunOptions(tmp_path / "run"), RayOptions(2, "127.0.0.1:1"))


def test_the_command_line_does_not_import_ray() -> None:
    code = "import sys, openr_data.cli, openr_data.pipelines.ray_executor; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_a_worker_asks_of_its_node() -> None:
    big, small = Cluster(None, 64, 8, 32), Cluster(None, 6, 0, 4)
    plain = RunOptions(Path("x"))
    vllm, builtin, remote = EngineSpec("vllm", "m"), EngineSpec("builtin"), EngineSpec("openai", "m")
    assert (worker_count(plain, 0, vllm, big), worker_count(plain, 3, vllm, big)) == (8, 3)
    assert resources(plain, vllm, 8, big) == Resources(1, 1)
    assert resources(plain, builtin, 2, small) == Resources(3, 0)
    assert resources(plain, builtin, 1, small) == Resources(4, 0)
    assert resources(plain, remote, 4, big) == Resources(1, 0)


def test_a_cluster_without_room_is_told_of_and_a_machine_without_is_refused() -> None:
    told: list[str] = []
    check_room(Resources(1, 1), 3, Cluster(None, 8, 2, 8), told.append)
    check_room(Resources(1, 0), 3, Cluster(None, 8, 0, 8, fixed=True), told.append)
    assert told == ["the cluster has 8 CPUs and 2 GPUs, room for 2 of 3 workers; the others begin when it grows"]
    with pytest.raises(UsageError, match="this machine has 8 CPUs and 0 GPUs, and a worker needs 1 and 1"):
        check_room(Resources(1, 1), 3, Cluster(None, 8, 0, 8, fixed=True), told.append)
