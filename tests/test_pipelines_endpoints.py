"""Labelling over several servers as one engine: one is lost in the middle, comes back, or all are gone for a while."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from faultserver import FaultServer, Seen, fault_server

from openr_data.engines import EngineLimits, EngineSpec, openai
from openr_data.engines.chain import chain_problems
from openr_data.engines.http_retry import RetryRules
from openr_data.engines.openai import open_openai
from openr_data.errors import OpenRDataError, TooManyFailures
from openr_data.labelers import LabelConfig
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions
from openr_data.pipelines.generate import generate
from openr_data.pipelines.label import label
from openr_data.pipelines.recording import RecordingEngine
from openr_data.pipelines.stage import Summary
from openr_data.problems import ProblemSource
from openr_data.types import Completion, Sampling

SAMPLING = Sampling(temperature=1.0, max_tokens=400, seed=0)
RULES = RetryRules(
    base=0.005,
    cap=0.02,
    opening_attempts=1,
    breaker_failures=3,
    probe_wait=0.01,
    probe_cap=0.03,
    down_after=0.2,
    connect_timeout=2.0,
    growth_pause=0.05,
)


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "RetryRules", lambda: RULES)


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("solved")
    rows = (json.dumps({"id": p.id, "question": p.question, "answer": p.answer}) for p in chain_problems(8))
    (base / "problems.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    spec = EngineSpec("scripted", script="error=0.2,recovery=0", template="plain")
    generate(GenerateConfig(ProblemSource(str(base / "problems.jsonl")), spec, SAMPLING), RunOptions(base / "run"))
    return base / "run"


@pytest.fixture(scope="module")
def expected(solved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that one healthy server makes."""
    out = tmp_path_factory.mktemp("one") / "run"
    with fault_server() as server:
        run(solved, out, server.url)
    assert totals(out)["completions"] > 200
    return out


def run(solved: Path, out: Path, *urls: str, timeout: float = 5.0, **options: Any) -> Summary:
    method = LabelConfig("omegaprm", rollouts=8, filter_rollouts=8, searches=2)
    spec = EngineSpec("openai", model="test-model", template="plain")
    limits = EngineLimits(base_urls=urls, slots=16 * len(urls), timeout=timeout)
    return label(LabelRunConfig(ProblemSource(str(solved)), spec, SAMPLING, method), RunOptions(out, limits=limits, **options))


def data(run: Path) -> dict[str, str]:
    files = [*run.glob("data/**/*.parquet"), run / "README.md", run / "manifest.json"]
    return {str(path.relative_to(run)): sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def totals(run: Path) -> dict[str, float]:
    return dict(json.loads((run / "run.json").read_text())["totals"])


def same(one: Path, other: Path) -> bool:
    """The same bytes of data, and every completion paid and counted once."""
    counted = ("completions", "tokens", "paid_completions", "paid_tokens")
    return data(one) == data(other) and [totals(one)[n] for n in counted] == [totals(other)[n] for n in counted]


@contextmanager
def closed_after(server: FaultServer, requests: int, close: Callable[[], None]) -> Iterator[None]:
    """Take the server away, its port and its connections, once it has seen so many requests."""
    over = threading.Event()

    def watch() -> None:
        while not over.is_set() and not server.has_seen(requests):
            time.sleep(0.002)
        close()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def test_several_servers_make_the_run_of_one(solved: Path, expected: Path, tmp_path: Path) -> None:
    with fault_server() as first, fault_server() as second:
        run(solved, tmp_path / "run", first.url, second.url)
        assert min(len(first.seen), len(second.seen)) > 50
    assert same(tmp_path / "run", expected)


def test_a_server_lost_in_the_middle_is_routed_around(solved: Path, expected: Path, tmp_path: Path) -> None:
    with ExitStack() as mortal, fault_server(["slow:0.002"]) as second:
        first = mortal.enter_context(fault_server(["slow:0.002"]))
        with closed_after(first, 60, mortal.close):
            summary = run(solved, tmp_path / "run", first.url, second.url)
        assert summary.failed == 0
        assert 60 <= len(first.seen) < len(second.seen)
    assert same(tmp_path / "run", expected)


def test_a_server_that_comes_back_is_used_again(solved: Path, expected: Path, tmp_path: Path) -> None:
    def comes_back(seen: Seen) -> str:
        return "reset" if 10 <= seen.number < 14 else "slow:0.005"

    with fault_server(comes_back) as first, fault_server(["slow:0.005"]) as second:
        summary = run(solved, tmp_path / "run", first.url, second.url)
        assert summary.failed == 0
        assert len(first.seen) > 40, "it answers again after its four resets"
    assert same(tmp_path / "run", expected)


def test_a_server_that_falls_silent_is_found_out_and_its_requests_go_elsewhere(
    solved: Path, expected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It closes no connection and answers nothing, not even the check; the deadline of a request is far."""
    patient = replace(RULES, connect_timeout=0.1, quiet_after=0.1, health_every=0.05)
    monkeypatch.setattr(openai, "RetryRules", lambda: patient)

    def freezes(seen: Seen) -> str:
        if seen.number == 20:
            first.mute = True
        return "ok" if seen.number < 20 else "hang"

    with fault_server(freezes) as first, fault_server() as second:
        summary = run(solved, tmp_path / "run", first.url, second.url, timeout=300.0)
        assert summary.failed == 0
        assert all(seen.aborted for seen in first.seen if seen.number >= 20)
    assert same(tmp_path / "run", expected)


def test_a_server_that_is_slow_but_alive_keeps_its_requests(
    solved: Path, expected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai, "RetryRules", lambda: replace(RULES, quiet_after=0.05, health_every=0.02, probe_wait=60.0))
    with fault_server(lambda seen: "slow:0.3" if 10 <= seen.number < 50 else "ok") as first, fault_server() as second:
        summary = run(solved, tmp_path / "run", first.url, second.url)
        assert summary.failed == 0
        assert first.greetings[1:], "it was asked for its health"
        assert not any(seen.aborted for seen in first.seen)
    assert same(tmp_path / "run", expected)


def test_all_servers_lost_is_one_sentence_and_resume_continues(solved: Path, expected: Path, tmp_path: Path) -> None:
    def lost(seen: Seen) -> str:
        return "ok" if seen.number < 80 else "reset"

    out = tmp_path / "run"
    with fault_server(lost) as first, fault_server(lost) as second:
        with pytest.raises(TooManyFailures) as caught:
            run(solved, out, first.url, second.url, max_failures=2)
        said = str(caught.value)
        assert "\n" not in said
        assert f"no answer from {first.url}, {second.url} for" in said
        assert said.endswith("--resume tries them again")
    paid = totals(out)["paid_completions"]
    assert paid > 100
    with fault_server() as third:
        summary = run(solved, out, third.url, mode="resume")
        assert len(third.seen) == totals(expected)["completions"] - paid, "only what was not answered is asked for again"
    assert summary.failed == 0
    assert same(out, expected)


def test_no_server_at_all_is_told_before_a_run_begins(solved: Path, tmp_path: Path) -> None:
    with fault_server() as server:
        url = server.url
    with pytest.raises(OpenRDataError, match=f"^no answer from {url} .*--base-url is right$"):
        run(solved, tmp_path / "run", url)
    assert not (tmp_path / "run" / "run.json").exists()


class NoLog:
    """A journal that keeps nothing."""

    async def lookup(self, keys: Any, /) -> dict[bytes, Completion]:
        return {}

    async def record(self, key: bytes, completion: Completion, /) -> None:
        return

    adopt = record


def test_a_rollout_that_nobody_waits_for_frees_its_place_and_its_connection() -> None:
    async def go(server: FaultServer) -> None:
        limits = EngineLimits(base_urls=(server.url,), slots=2)
        async with open_openai(EngineSpec("openai", model="m", template="plain"), limits, RULES) as loaded:
            engine = RecordingEngine(loaded, NoLog())
            call = asyncio.create_task(engine.sample("hang", (), n=6, sampling=SAMPLING))
            while not server.has_seen(2):  # noqa: ASYNC110  # the server lives in another thread
                await asyncio.sleep(0.005)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            done = await asyncio.wait_for(engine.sample("answer", (), n=4, sampling=SAMPLING), 5)
            assert [completion.index for completion in done] == [0, 1, 2, 3]
            assert (engine.scheduler.running, engine.scheduler.waiting, engine.tally.completions) == (0, 0, 4)

    with fault_server(lambda seen: "hang" if "hang" in seen.payload["prompt"] else "ok") as server:
        asyncio.run(go(server))
        hung = [seen for seen in server.seen if "hang" in seen.payload["prompt"]]
        assert 2 <= len(hung) <= 3
        assert all(seen.aborted for seen in hung)
