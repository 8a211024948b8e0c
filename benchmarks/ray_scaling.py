"""Two Ray workers against one: the time of the work itself (first to last problem), and what starting Ray and merging cost.

The scripted engine's simulated latency stands for a real engine: each worker has its own slots, as each GPU would.

python benchmarks/ray_scaling.py --problems 300
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from openr_data.engines import EngineSpec
from openr_data.pipelines.config import GenerateConfig, RunOptions
from openr_data.pipelines.generate import generate_stage
from openr_data.pipelines.progress import Snapshot
from openr_data.pipelines.ray_cluster import RayOptions
from openr_data.pipelines.ray_executor import run_ray
from openr_data.problems import ProblemSource
from openr_data.types import Sampling


class Clock:
    """When the first problem was begun (a completion was there) and the last was done."""

    def __init__(self) -> None:
        self.began = self.started = time.perf_counter()
        self.done = self.tokens = 0
        self.ended = 0.0

    def report(self, now: Snapshot) -> None:
        if now.stage == "merge":
            return
        if not now.completions:
            self.started = time.perf_counter()
        if now.completions and not now.final:
            self.done, self.tokens, self.ended = now.done, now.tokens, time.perf_counter()


def measure(workers: int, problems: int, script: str) -> tuple[float, float, float]:
    """Seconds of work, seconds of everything else, and generated tokens per second of work."""
    source = ProblemSource("builtin", count=problems, seed=1)
    config = GenerateConfig(source, EngineSpec("scripted", script=script), Sampling(1.0, 400, 0), solutions=4)
    clock = Clock()
    with TemporaryDirectory() as folder:
        summary = run_ray(generate_stage(config), RunOptions(Path(folder) / "run", report=clock.report), RayOptions(workers))
        whole = time.perf_counter() - clock.began
    work = clock.ended - clock.started
    assert summary.items == problems
    return work, whole - work, clock.tokens / work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=300)
    parser.add_argument("--script", default="steps=8,tokens_per_step=10,latency=0.2,token_latency=0.01,slots=32")
    arguments = parser.parse_args()
    print("| workers | work s | start, merge, end s | tokens/s of work | scaling |\n| --- | --- | --- | --- | --- |")
    rates = []
    for workers in (1, 2):
        work, rest, rate = measure(workers, arguments.problems, arguments.script)
        rates.append(rate)
        print(f"| {workers} | {work:.1f} | {rest:.1f} | {rate:,.0f} | {rate / rates[0]:.2f}x |", flush=True)


if __name__ == "__main__":
    main()
