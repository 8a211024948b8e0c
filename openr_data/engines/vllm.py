"""vLLM in process: its asynchronous engine, one request per sample. Knows vLLM; refuses to know graders, labelers and files.

Requests join and leave vLLM's batch at any time, so callers simply ask for what they need next. The engine runs in processes
of its own; prefix caching is on, and the samples of one prefix are handed over together. Works with vLLM 0.30 to 0.33.
Equal seeds give equal samples up to rounding: a kernel may round differently in another batch and so, rarely, flip a token
(vLLM's own switch against that, on the GPUs that have it, is the environment variable VLLM_BATCH_INVARIANT=1).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from itertools import count
from multiprocessing import active_children, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openr_data.engines.base import EngineLimits, EngineSpec, LoadedEngine, context_mark, sample_seed
from openr_data.engines.builtin import WEIGHTS
from openr_data.engines.local_files import model_digest, model_folder
from openr_data.engines.local_text import TextSide, load_text_side
from openr_data.engines.orphans import Watcher
from openr_data.engines.prompts import PromptTemplate
from openr_data.engines.stops import stop_at
from openr_data.errors import ContextOverflow, EngineError, UsageError
from openr_data.types import Completion, FinishReason, Sampling, Steps

if TYPE_CHECKING:
    from vllm.sampling_params import SamplingParams
    from vllm.v1.engine.async_llm import AsyncLLM

ENVIRONMENT: Mapping[str, str] = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a fork of a process with threads can hang
    "TORCH_CPP_LOG_LEVEL": "ERROR",
}
"""What vLLM is told before it is imported: no telemetry, no chatter. A variable that is already set wins."""

GIB = 1 << 30

_FINISHED: Mapping[str | None, FinishReason] = {"stop": "stop", "length": "length"}


@asynccontextmanager
async def open_vllm(spec: EngineSpec, limits: EngineLimits) -> AsyncIterator[LoadedEngine]:
    """The model loaded in vLLM; its processes end with the context.

    `UsageError`: vLLM is not installed, or the model, template or device cannot be used; `EngineError`: vLLM did not start.
    Model and tokenizer are looked at before vLLM is imported, so that a wrong name costs a second and not a start.
    """
    if not installed():
        raise UsageError("the vllm engine needs vLLM, which is not installed: pip install 'openr-data[vllm]'")
    folder = await asyncio.to_thread(model_folder, spec)
    text = await asyncio.to_thread(_text_side, spec, folder)
    async with _running(spec, limits, folder) as (core, digest):
        yield VllmEngine(core, text, f"vllm:{digest[:32]}:{_dtype(core)}{context_mark(limits)}")


def installed() -> bool:
    """Is there a package vllm? A mere folder of that name on the path (no file of its own) is none."""
    spec = find_spec("vllm")
    return spec is not None and spec.origin is not None


def _text_side(spec: EngineSpec, folder: Path) -> TextSide:
    text = load_text_side(folder, spec.template, builtin=folder.resolve() == WEIGHTS.resolve())
    if spec.separator is not None:
        text.template = replace(text.template, separator=spec.separator)
    return text


def _dtype(core: AsyncLLM) -> str:
    return str(core.model_config.dtype).removeprefix("torch.")


@asynccontextmanager
async def _running(spec: EngineSpec, limits: EngineLimits, folder: Path) -> AsyncIterator[tuple[AsyncLLM, str]]:
    """The processes of vLLM, and the digest of the model, which is made while they start."""
    watcher = Watcher()
    start = asyncio.create_task(asyncio.to_thread(_start, spec, limits, folder))
    digest = asyncio.create_task(asyncio.to_thread(model_digest, folder))
    try:
        while not start.done():
            await asyncio.wait((start,), timeout=0.2)
            for child in _engine_processes():
                watcher.watch(child.pid or 0)
        yield await start, await digest
    finally:
        if not start.done():  # nobody waits for it any more; without its engine process it fails at once
            for child in _engine_processes():
                child.terminate()
        with suppress(Exception):
            core = await start
            if core.output_handler:  # else it may take the end for a death, and log it
                core.output_handler.cancel()
                await asyncio.wait((core.output_handler,))
            await asyncio.to_thread(core.shutdown)
            core.shutdown = _nothing  # its finaliser calls it again, at times with the interpreter half gone
        watcher.close()


def _nothing() -> None:
    return


def _engine_processes() -> Sequence[BaseProcess]:
    return [child for child in active_children() if child.name.startswith("EngineCore")]


class VllmEngine:
    """A loaded vLLM. `slots` is the number of sequences that vLLM runs at once."""

    def __init__(self, core: AsyncLLM, text: TextSide, identity: str) -> None:
        self.identity = identity
        self.slots: int = core.vllm_config.scheduler_config.max_num_seqs
        self.context: int = core.model_config.max_model_len
        self._core = core
        self._text = text
        self._names = count()

    @property
    def template(self) -> PromptTemplate:
        return self._text.template

    def prompt(self, question: str, prefix: Steps, /) -> str:
        return self._text.prompt(question, prefix)

    def pieces(self, text: str, /) -> Sequence[str]:
        return self._text.pieces(text)

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        """See `openr_data.types.Engine`. Token counts include the end token. Cancelling aborts the requests in vLLM."""
        prompt = self.prompt(question, prefix)
        ids = self._text.encode(prompt)
        room = self._room(ids, sampling)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._draw(prompt, list(ids), index, sampling, room)) for index in range(start, start + n)
                ]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return [task.result() for task in tasks]

    def _room(self, ids: Sequence[int], sampling: Sampling) -> int:
        if not ids:
            raise EngineError("vLLM cannot continue an empty prompt")
        if len(ids) >= self.context:
            raise ContextOverflow(f"the prompt has {len(ids)} tokens and the model's context is {self.context}")
        return min(sampling.max_tokens, self.context - len(ids))

    async def _draw(self, prompt: str, ids: list[int], index: int, sampling: Sampling, room: int) -> Completion:
        from vllm.exceptions import VLLMClientError
        from vllm.inputs import tokens_input
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        seed = sample_seed(sampling, prompt, index)
        stops = [stop for stop in (*self.template.stop, *sampling.stop) if stop]
        output: Any = None
        try:
            params = sampling_params(sampling, stops, seed, room)
            async for answer in self._core.generate(tokens_input(ids), params, str(next(self._names))):
                output = answer
        except EngineDeadError as error:
            raise EngineError("the vLLM engine died; its own last messages, if any, are above") from error
        except EngineGenerateError:
            return Completion("", 0, "error", index, seed)
        except (VLLMClientError, ValueError) as error:
            raise EngineError(f"vLLM refuses the request: {error}") from error
        completion = _completion(output, index, seed)
        cut = stop_at(completion.text, stops, prompt)  # vLLM does not see a stop string that begins in the prompt
        return completion if cut is None else replace(completion, text=completion.text[:cut], finish_reason="stop", ended=False)


def _completion(answer: Any, index: int, seed: int) -> Completion:
    """`answer` is vLLM's RequestOutput, complete. Any end but the model's own or the limit (an abort, say) says nothing.

    Its stop reason is the stop string that was met, an end token beside the usual one, or `None`.
    """
    if answer is None:
        return Completion("", 0, "error", index, seed)
    output = answer.outputs[0]
    reason = _FINISHED.get(output.finish_reason, "error")
    text = "" if reason == "error" else output.text
    ended = not isinstance(output.stop_reason, str) if reason == "stop" else None
    return Completion(text, len(output.token_ids), reason, index, seed, ended=ended, ids=tuple(output.token_ids))


def sampling_params(sampling: Sampling, stop: Sequence[str], seed: int, room: int) -> SamplingParams:
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        max_tokens=room,
        seed=seed,
        stop=list(stop),
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_clone=True,
    )


def _start(spec: EngineSpec, limits: EngineLimits, folder: Path) -> AsyncLLM:
    """Start vLLM's processes with the interrupt signal blocked: they inherit that.

    Ctrl-C reaches every process of a terminal. Ours answers it by finishing what is in flight, for which vLLM must live on.
    Runs in a thread of its own, so this program stays interruptible.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    resource_tracker.ensure_running()  # its own start would unblock the signal again
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.async_llm import AsyncLLM

        options = engine_options(spec, limits, folder, on_cpu=current_platform.is_cpu())
        with _warnings_hushed():
            return AsyncLLM.from_engine_args(AsyncEngineArgs(**options))
    except UsageError:
        raise
    except Exception as error:
        raise EngineError(f"vLLM could not start '{spec.model}': {_reason(error)}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _reason(error: Exception) -> str:
    """One line: what pydantic found wrong with an option, or how the message begins."""
    found: list[dict[str, object]] = getattr(error, "errors", list)()
    text = "; ".join(str(problem["msg"]) for problem in found) or str(error)
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)


@contextmanager
def _warnings_hushed() -> Iterator[None]:
    """Python processes started meanwhile print no warnings (of libraries about libraries, to the user's terminal)."""
    name = "PYTHONWARNINGS"
    before = os.environ.get(name)
    os.environ.setdefault(name, "ignore")
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


def engine_options(spec: EngineSpec, limits: EngineLimits, folder: Path, *, on_cpu: bool) -> dict[str, Any]:
    """The arguments of vLLM's `AsyncEngineArgs`. A context of -1 is the model's own, cut to what the memory holds."""
    if limits.device not in ("auto", "cpu" if on_cpu else "cuda"):
        raise UsageError(f"this vLLM runs on {'the CPU' if on_cpu else 'GPUs'} only; use --device auto")
    options: dict[str, Any] = {
        "model": str(folder),
        "dtype": spec.dtype,
        "tensor_parallel_size": limits.tensor_parallel,
        "max_model_len": limits.max_model_len or -1,
        "enable_prefix_caching": True,
        "trust_remote_code": False,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
    }
    if limits.slots:
        options["max_num_seqs"] = limits.slots
    if not on_cpu:
        return options | {"gpu_memory_utilization": limits.gpu_memory}
    if "VLLM_CPU_KVCACHE_SPACE" not in os.environ:
        options["kv_cache_memory_bytes"] = _cpu_cache_bytes()
    # Compiling takes longer than it saves on a CPU. A seeded request whose prompt is prefilled in chunks kills vLLM there
    # (a CPU generator has no offset to set back), so prompts are prefilled whole.
    return options | {"enforce_eager": True, "enable_chunked_prefill": False, "block_size": 32}


def _cpu_cache_bytes() -> int:
    """An eighth of the memory, from 1 to 4 GiB. vLLM's own choice is 90 % of all memory, and it fills it at the start."""
    return min(max(GIB, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 8), 4 * GIB)
