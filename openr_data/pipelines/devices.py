"""Which GPUs and how many threads each worker of this machine gets, as environment variables. Loads no library of theirs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from openr_data.engines import EngineLimits, EngineSpec

_ON_GPU = ("builtin", "transformers", "vllm")
_PATIENCE = 20


def worker_environments(engine: EngineSpec, limits: EngineLimits, workers: int) -> list[dict[str, str]]:
    """One per worker. GPUs go round, as many to each as share one model; without any, the CPU's threads are divided."""
    if engine.engine not in _ON_GPU:
        return [{} for _ in range(workers)]
    gpus = [] if limits.device == "cpu" else visible_gpus()
    if gpus:
        groups = [gpus[at : at + limits.tensor_parallel] for at in range(0, len(gpus), limits.tensor_parallel)]
        whole = [group for group in groups if len(group) == limits.tensor_parallel] or groups
        return [{"CUDA_VISIBLE_DEVICES": ",".join(whole[index % len(whole)])} for index in range(workers)]
    if "OMP_NUM_THREADS" in os.environ:
        return [{} for _ in range(workers)]
    return [{"OMP_NUM_THREADS": str(max(1, len(os.sched_getaffinity(0)) // workers))} for _ in range(workers)]


def default_workers(engine: EngineSpec, limits: EngineLimits) -> int:
    """One per server; else one per GPU, or group of GPUs that share a model; else one per two CPUs."""
    if limits.base_urls:
        return len(limits.base_urls)
    gpus = visible_gpus() if engine.engine in _ON_GPU and limits.device != "cpu" else []
    return max(1, len(gpus) // limits.tensor_parallel if gpus else len(os.sched_getaffinity(0)) // 2)


def dealt(addresses: Sequence[str], worker: int, workers: int) -> Sequence[str]:
    """The servers of one worker: all are dealt out, and where there are fewer than workers, some share one.

    >>> dealt("abc", 0, 2), dealt("abc", 1, 2), dealt("ab", 2, 3), dealt("", 0, 1)
    ('ac', 'b', 'a', '')
    """
    if len(addresses) >= workers or not addresses:
        return addresses[worker::workers]
    place = worker % len(addresses)
    return addresses[place : place + 1]


def visible_gpus() -> list[str]:
    """Their names as `CUDA_VISIBLE_DEVICES` has them: what it says, else all that `nvidia-smi` lists."""
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    if said is not None:
        return [name for each in said.split(",") if (name := each.strip()) and name != "-1"]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        query = [program, "--query-gpu=index", "--format=csv,noheader"]
        answer = subprocess.run(query, capture_output=True, text=True, timeout=_PATIENCE, check=True)  # noqa: S603  (no input of a user)
    except (OSError, subprocess.SubprocessError):
        return []
    return answer.stdout.split()
