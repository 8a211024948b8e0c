"""Workers as Ray actors: connects to Ray, asks for what an engine needs, and starts, follows and ends one actor per worker.

The only module that imports Ray, when it is called. Knows no items. Ray is told to be silent: what matters is said by the run.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from openr_data.engines import EngineSpec
from openr_data.errors import EngineError, UsageError
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.dispatch import Away, Gone
from openr_data.pipelines.part_worker import Answer, Job, PartWorker, Unit

VERSION = "2.60"
RESTARTS = 3
"""How often Ray starts a lost actor again by itself, each time on its part; `Dispatcher` decides what comes after that."""

OBJECT_STORE = 100 * 1024 * 1024
"""Bytes of the object store of a Ray that is started here: items and answers are small and travel in the calls."""

CLOSE_SECONDS = 60.0
REACH_SECONDS = 10.0
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS_SKIP_REGEX": "^", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
_ELSEWHERE = frozenset({"openai", "scripted"})
"""Engines that compute nothing in the worker's own process."""


@dataclass(frozen=True, slots=True)
class RayOptions:
    """`workers` 0: one per server, else one per GPU, else one per two CPUs. `address` "": RAY_ADDRESS, else a Ray of our own.

    `patience`: seconds that a worker may be away before its items go to workers that have nothing to do.
    """

    workers: int = 0
    address: str = ""
    patience: float = 60.0


@dataclass(frozen=True, slots=True)
class Resources:
    """What one actor asks of its node."""

    cpus: float
    gpus: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """A connection to Ray. `cpus` and `gpus` of all nodes; `node_cpus` of the largest. `fixed`: it never grows."""

    ray: Any
    cpus: float
    gpus: float
    node_cpus: float
    fixed: bool = False


@contextmanager
def connected(options: RayOptions) -> Iterator[Cluster]:
    """Ray, ours or the one at the address, until the block ends. A connection that is there already is used and left.

    `UsageError`: Ray is not installed, not of the version that is tested, or cannot be reached.
    """
    ray = _import_ray()
    ours = not ray.is_initialized()
    address = options.address or os.environ.get("RAY_ADDRESS", "local")
    if ours:
        _connect(ray, address, options.workers)
    try:
        total = ray.cluster_resources()
        nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        yield Cluster(ray, total.get("CPU", 0), total.get("GPU", 0), max(nodes, default=0), fixed=ours and address == "local")
    finally:
        if ours:
            ray.shutdown()


def _import_ray() -> Any:
    if find_spec("ray") is None:
        raise UsageError("--executor ray needs Ray: pip install 'openr-data[ray]', or use --executor local")
    if not version("ray").startswith(f"{VERSION}."):
        raise UsageError(f"--executor ray is tested with Ray {VERSION} and found {version('ray')}: pip install 'openr-data[ray]'")
    os.environ.update(QUIET)
    import ray

    return ray


def _connect(ray: Any, address: str, workers: int) -> None:
    if address.startswith("ray://"):
        raise UsageError(f"--ray-address is that of the cluster itself, such as head-node:6379 or auto, not {address}")
    if address not in {"local", "auto"}:
        _check_reachable(address)
    here: dict[str, Any] = {}
    if address == "local":
        cpus = max(workers, os.cpu_count() or 1)
        here = {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": OBJECT_STORE}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="fatal", **here)
    except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as fault:
        where = "Ray cannot be started" if here else f"the Ray cluster at {address} cannot be used"
        reason = " ".join(str(fault).split())[:300]
        raise UsageError(
            f"{where} ({reason}); check --ray-address, and that Ray {VERSION} runs there on the same Python"
        ) from None


def _check_reachable(address: str) -> None:
    """Ray itself asks for minutes and then ends the program."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_SECONDS):
            return
    except (OSError, ValueError, OverflowError) as fault:
        raise UsageError(
            f"there is no Ray cluster at {address} ({fault}); give --ray-address as host:port of its head node, or auto"
        ) from None


def worker_count(options: RunOptions, asked: int, spec: EngineSpec, cluster: Cluster) -> int:
    """How many workers: what was asked for, or one for each server or GPU; without any, engines that compute share the CPUs."""
    if asked:
        return asked
    if options.limits.base_urls:
        return len(options.limits.base_urls)
    gpus = _gpus(options, spec, cluster)
    if gpus:
        return max(1, int(cluster.gpus // gpus))
    return max(1, int(cluster.cpus) // 2)


def resources(options: RunOptions, spec: EngineSpec, workers: int, cluster: Cluster) -> Resources:
    """GPUs for an engine on CUDA; an engine that computes on the CPU shares the CPUs with its like; any other gets one."""
    gpus = _gpus(options, spec, cluster)
    if gpus or spec.engine in _ELSEWHERE:
        return Resources(1, gpus)
    return Resources(max(1, min(cluster.node_cpus, cluster.cpus // workers)), 0)


def check_room(needed: Resources, workers: int, cluster: Cluster, warn: Callable[[str], None]) -> None:
    """Say at once what Ray would only wait for: a cluster may grow. `UsageError`: this machine has no room for one worker."""
    fit = min(cluster.cpus // needed.cpus, cluster.gpus // needed.gpus if needed.gpus else workers)
    has = f"{cluster.cpus:g} CPUs and {cluster.gpus:g} GPUs"
    if fit < 1 and cluster.fixed:
        raise UsageError(
            f"this machine has {has}, and a worker needs {needed.cpus:g} and {needed.gpus:g}; see --device and --ray-address"
        )
    if fit < workers:
        warn(f"the cluster has {has}, room for {fit:g} of {workers} workers; the others begin when it grows")


def _gpus(options: RunOptions, spec: EngineSpec, cluster: Cluster) -> int:
    device = options.limits.device
    if spec.engine in _ELSEWHERE or device == "cpu" or (device == "auto" and not cluster.gpus):
        return 0
    return options.limits.tensor_parallel


def base_urls(urls: Sequence[str], worker: int, workers: int) -> tuple[str, ...]:
    """The servers of worker `worker` (from 0), dealt out like cards; with fewer servers than workers some share one.

    >>> base_urls(["a", "b", "c"], 0, 2), base_urls(["a", "b"], 2, 3)
    (('a', 'c'), ('a',))
    """
    return tuple(urls[worker::workers]) or tuple(urls[worker % len(urls) :][:1] if urls else ())


@dataclass(eq=False)
class RayHand:
    """One actor, from outside: see `openr_data.pipelines.dispatch.Hand`. It is started by its first turn: where there is room
    for few actors, those that are asked come first.
    """

    name: str
    job: Job
    resources: Resources
    ray: Any
    _actor: Any = field(init=False, default=None)

    @property
    def part(self) -> Path:
        return self.job.options.out

    def _start(self) -> Any:
        actor = self.ray.remote(PartWorker).options(
            num_cpus=self.resources.cpus,
            num_gpus=self.resources.gpus,
            max_restarts=RESTARTS,
            max_task_retries=0,  # repeated by us, with every item that is unfinished and not only those of the call
            scheduling_strategy="SPREAD",
        )
        return actor.remote(self.job)

    async def turn(self, units: Sequence[Unit], reuse: Sequence[str], /) -> Answer:
        exceptions = self.ray.exceptions
        if self._actor is None:
            self._actor = self._start()
        try:
            answer: Answer = await self._actor.turn.remote(units, reuse)
        except exceptions.ActorUnavailableError as fault:
            raise Away from fault
        except exceptions.RayActorError as fault:
            raise Gone(_sentence(fault)) from fault
        except exceptions.RayError as fault:
            raise EngineError(f"{self.name} failed in Ray: {_sentence(fault)}") from fault
        return answer

    async def revive(self) -> None:
        await self.dismiss()
        self._actor = self._start()

    async def dismiss(self) -> None:
        if self._actor is None:
            return
        with suppress(self.ray.exceptions.RayError, ValueError):
            await asyncio.to_thread(self.ray.kill, self._actor)

    async def close(self, items: int | None, /) -> None:
        """A worker that does not answer is left as it is: what it finished is in its part."""
        with suppress(self.ray.exceptions.RayError, TimeoutError):
            await asyncio.wait_for(self._actor.close.remote(items), CLOSE_SECONDS)


def _sentence(fault: Exception) -> str:
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("The actor is dead because", "The actor died"))]
    return (told or lines or [type(fault).__name__])[-1][:300]
