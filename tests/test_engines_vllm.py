"""The vllm engine without vLLM: what is refused before anything starts, its options, and what it makes of vLLM's answers."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.base import sample_seed
from openr_data.engines.builtin import WEIGHTS
from openr_data.engines.local_text import load_text_side
from openr_data.engines.orphans import Watcher
from openr_data.engines.vllm import VllmEngine, engine_options, installed, open_vllm
from openr_data.errors import ContextOverflow, EngineError, UsageError
from openr_data.types import Sampling

WARM = Sampling(temperature=0.7, max_tokens=20, seed=3, top_p=0.9, top_k=5, stop=("END",))


def opened(spec: EngineSpec) -> None:
    async def enter() -> None:
        async with open_vllm(spec, EngineLimits()):
            raise AssertionError("it must not start")

    asyncio.run(enter())


# What is refused before vLLM is imported


@pytest.mark.skipif(installed(), reason="vLLM is installed here")
def test_without_vllm_the_user_is_told_how_to_install_it() -> None:
    with pytest.raises(UsageError, match=r"pip install 'openr-data\[vllm\]'"):
        opened(EngineSpec("vllm", str(WEIGHTS)))


@pytest.mark.parametrize("model", ["", "./no/such/folder", "/no/such/folder"])
def test_a_model_that_is_not_there(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    monkeypatch.setattr("openr_data.engines.vllm.installed", lambda: True)
    with pytest.raises(UsageError, match=model or "--model"):
        opened(EngineSpec("vllm", model))


def test_a_folder_without_a_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("openr_data.engines.vllm.installed", lambda: True)
    with pytest.raises(UsageError, match="holds no model"):
        opened(EngineSpec("vllm", str(tmp_path)))


def test_a_chat_template_that_the_model_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openr_data.engines.vllm.installed", lambda: True)
    with pytest.raises(UsageError, match="needs a model with a chat template"):
        opened(EngineSpec("vllm", str(WEIGHTS), template="boxed"))


# Options


def test_options_on_a_gpu() -> None:
    limits = EngineLimits(slots=300, tensor_parallel=4, max_model_len=4096, gpu_memory=0.8)
    options = engine_options(EngineSpec("vllm", "m", dtype="bfloat16"), limits, Path("/m"), on_cpu=False)
    assert options == {
        "model": "/m",
        "dtype": "bfloat16",
        "tensor_parallel_size": 4,
        "max_model_len": 4096,
        "enable_prefix_caching": True,
        "trust_remote_code": False,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        "max_num_seqs": 300,
        "gpu_memory_utilization": 0.8,
    }


def test_options_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    options = engine_options(EngineSpec("vllm", "m"), EngineLimits(), Path("/m"), on_cpu=True)
    assert options["max_model_len"] == -1
    assert options["enable_chunked_prefill"] is False
    assert 1 << 30 <= options["kv_cache_memory_bytes"] <= 4 << 30
    assert "gpu_memory_utilization" not in options
    assert "max_num_seqs" not in options
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "2")
    assert "kv_cache_memory_bytes" not in engine_options(EngineSpec("vllm", "m"), EngineLimits(), Path("/m"), on_cpu=True)


@pytest.mark.parametrize(("device", "on_cpu"), [("cuda", True), ("cpu", False), ("tpu", False)])
def test_a_device_that_this_vllm_does_not_have(device: str, on_cpu: bool) -> None:
    with pytest.raises(UsageError, match="--device auto"):
        engine_options(EngineSpec("vllm", "m"), EngineLimits(device=device), Path("/m"), on_cpu=on_cpu)


# What it makes of vLLM's answers: vLLM's few names in use are stood in for


class Dead(Exception):
    pass


class Failed(Exception):
    pass


class Refused(Exception):
    pass


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    def module(name: str, **members: object) -> None:
        made = ModuleType(name)
        vars(made).update(members)
        monkeypatch.setitem(sys.modules, name, made)

    module("vllm")
    module("vllm.exceptions", VLLMClientError=Refused)
    module("vllm.inputs", tokens_input=lambda ids: {"type": "token", "prompt_token_ids": ids})
    module("vllm.sampling_params", SamplingParams=SimpleNamespace, RequestOutputKind=SimpleNamespace(FINAL_ONLY="final"))
    for name in ("vllm.v1", "vllm.v1.engine"):
        module(name)
    module("vllm.v1.engine.exceptions", EngineDeadError=Dead, EngineGenerateError=Failed)


Answer = Callable[[Any, str], Any]


@dataclass
class Core:
    """Stands for AsyncLLM: `answer(params, request name)` is the output of a request, or what it raises."""

    answer: Answer
    requests: list[tuple[Any, Any]] = field(default_factory=list)
    aborted: int = 0
    vllm_config: Any = field(default_factory=lambda: SimpleNamespace(scheduler_config=SimpleNamespace(max_num_seqs=7)))
    model_config: Any = field(default_factory=lambda: SimpleNamespace(max_model_len=64))

    async def generate(self, prompt: Any, params: Any, name: str) -> AsyncIterator[Any]:
        self.requests.append((prompt, params))
        try:
            await asyncio.sleep(0)
            outcome = self.answer(params, name)
            if isinstance(outcome, Exception):
                raise outcome
            if outcome is None:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.aborted += 1
            raise
        yield SimpleNamespace(outputs=[outcome])


def output(text: str = "Step", tokens: int = 3, reason: str = "stop", met: str | int | None = None) -> Any:
    return SimpleNamespace(text=text, token_ids=[0] * tokens, finish_reason=reason, stop_reason=met)


def engine_with(answer: Answer) -> tuple[VllmEngine, Core]:
    core = Core(answer)
    return VllmEngine(core, load_text_side(WEIGHTS, "auto", builtin=True), "vllm:test"), core


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")


@pytest.mark.usefixtures("names")
def test_a_request_per_sample_with_its_own_seed() -> None:
    engine, core = engine_with(lambda params, _: output(text=str(params.seed)))
    completions = asyncio.run(engine.sample("Q", ("a",), n=3, sampling=WARM, start=5))
    prompt = engine.prompt("Q", ("a",))
    seeds = [sample_seed(WARM, prompt, index) for index in (5, 6, 7)]
    assert prompt == "Q\na\n"
    assert [(c.index, c.seed, c.text) for c in completions] == [(5 + i, seed, str(seed)) for i, seed in enumerate(seeds)]
    assert {request["type"] for request, _ in core.requests} == {"token"}
    assert all(request["prompt_token_ids"] == list(engine._text.encode(prompt)) for request, _ in core.requests)
    params = core.requests[0][1]
    assert (params.temperature, params.top_p, params.top_k, params.max_tokens) == (0.7, 0.9, 5, 20)
    assert (params.stop, params.output_kind) == (["END"], "final")
    assert (engine.slots, engine.context) == (7, 64)


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize(
    ("reason", "expected"),
    [("stop", ("Step", "stop")), ("length", ("Step", "length")), ("abort", ("", "error")), ("error", ("", "error"))],
)
def test_finish_reasons(reason: str, expected: tuple[str, str]) -> None:
    engine, _ = engine_with(lambda _, __: output(reason=reason))
    (completion,) = asyncio.run(engine.sample("Q", (), n=1, sampling=WARM))
    assert (completion.text, completion.finish_reason) == expected
    assert completion.token_count == 3


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize(
    ("said", "ended"),
    [
        (output(), True),
        (output(met="END"), False),
        (output(met=151643), True),
        (output(text="a END b"), False),
        (output(reason="length"), None),
        (output(reason="abort"), None),
    ],
)
def test_whether_the_model_ended_or_a_stop_string_was_met(said: Any, ended: bool | None) -> None:
    engine, _ = engine_with(lambda _, __: said)
    assert asyncio.run(engine.sample("Q", (), n=1, sampling=WARM))[0].ended is ended


@pytest.mark.usefixtures("names")
def test_a_stop_string_may_begin_in_the_prefix_and_an_empty_one_stops_nothing() -> None:
    engine, core = engine_with(lambda _, __: output(text="Question: more", reason="length"))
    sampling = replace(WARM, stop=("", "\nQuestion:"))
    (completion,) = asyncio.run(engine.sample("Q", ("a",), n=1, sampling=sampling))
    assert (completion.text, completion.finish_reason, completion.token_count) == ("", "stop", 3)
    assert core.requests[0][1].stop == ["\nQuestion:"]


@pytest.mark.usefixtures("names")
def test_an_option_that_vllm_refuses_is_an_error_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise ValueError("top_p must be in (0, 1], got 0.0.")

    monkeypatch.setattr(sys.modules["vllm.sampling_params"], "SamplingParams", refuse)
    engine, _ = engine_with(lambda _, __: output())
    with pytest.raises(EngineError, match="vLLM refuses the request: top_p must be"):
        asyncio.run(engine.sample("Q", (), n=1, sampling=WARM))


@pytest.mark.usefixtures("names")
def test_one_failed_request_is_one_lost_sample() -> None:
    engine, _ = engine_with(lambda _, name: Failed() if name == "1" else output())
    completions = asyncio.run(engine.sample("Q", (), n=3, sampling=WARM))
    assert [completion.finish_reason for completion in completions] == ["stop", "error", "stop"]


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize(("fault", "said"), [(Dead(), "the vLLM engine died"), (Refused("no"), "vLLM refuses the request: no")])
def test_a_dead_engine_and_a_refused_request_end_the_call(fault: Exception, said: str) -> None:
    engine, core = engine_with(lambda _, name: fault if name == "0" else None)
    with pytest.raises(EngineError, match=said):
        asyncio.run(engine.sample("Q", (), n=3, sampling=WARM))
    assert core.aborted == 2


@pytest.mark.usefixtures("names")
def test_cancelling_a_call_cancels_its_requests() -> None:
    engine, core = engine_with(lambda _, __: None)

    async def cancel() -> None:
        call = asyncio.create_task(engine.sample("Q", (), n=4, sampling=WARM))
        await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(cancel())
    assert core.aborted == 4


@pytest.mark.usefixtures("names")
def test_the_context_bounds_prompt_and_completion() -> None:
    engine, core = engine_with(lambda _, __: output())
    asyncio.run(engine.sample("7" * 59, (), n=1, sampling=WARM))
    assert core.requests[-1][1].max_tokens == 4
    with pytest.raises(ContextOverflow, match="64 tokens and the model's context is 64"):
        asyncio.run(engine.sample("7" * 63, (), n=1, sampling=WARM))


# Processes that must not outlive the program

_PROGRAM = """
import subprocess, sys, time
from openr_data.engines.orphans import Watcher
watcher = Watcher()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
watcher.watch(child.pid)
watcher.watch(child.pid)
if sys.argv[1] == "close":
    watcher.close()
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="handles of processes are Linux's")
@pytest.mark.parametrize(("how", "survives"), [("leave", False), ("close", True)])
def test_a_killed_program_takes_the_watched_processes_along(how: str, survives: bool) -> None:
    psutil = pytest.importorskip("psutil")
    with subprocess.Popen([sys.executable, "-c", _PROGRAM, how], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        child = psutil.Process(int(program.stdout.readline()))
        program.send_signal(signal.SIGKILL)
    if survives:
        with pytest.raises(psutil.TimeoutExpired):
            child.wait(0.5)
        child.kill()
    else:
        child.wait(10)


def test_the_watcher_ends_with_its_program() -> None:
    watcher = Watcher()
    watcher.close()
    assert watcher._process.returncode == 0


def test_a_watcher_that_was_killed_is_done_without() -> None:
    watcher = Watcher()
    watcher._process.kill()
    watcher._process.wait()
    watcher.watch(1 << 30)
    watcher.close()
    assert watcher._process.returncode == -signal.SIGKILL
