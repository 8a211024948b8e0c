"""Tokens per second of `label` against the same engine's raw speed on the same requests, alternating in one run.

    .venv/bin/python benchmarks/label_throughput.py [--engine builtin] [--model DIR] [--problems 40] [--rounds 3]

Raw: the engine alone, given every request of the labelling at once, nothing graded, journalled or written. Each round runs
both, the order changing from round to round; the median of the ratios counts, since the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.open import open_engine
from openr_data.labelers import LabelConfig
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions
from openr_data.pipelines.generate import generate
from openr_data.pipelines.label import label
from openr_data.problems import ProblemSource
from openr_data.store.read import RunReader
from openr_data.types import Sampling, Steps

Request = tuple[str, Steps, int]


def requests_of(run: Path) -> list[Request]:
    """(question, prefix, sample index) of every rollout of a labelled run."""
    return [
        (item.problem.question, node.prefix, rollout.completion.index)
        for item in RunReader.open(run).items()
        for node in item.nodes
        for rollout in node.rollouts
    ]


async def raw(spec: EngineSpec, limits: EngineLimits, requests: list[Request], sampling: Sampling) -> tuple[int, float]:
    """Tokens and seconds of the engine alone; loading is not counted."""
    async with open_engine(spec, limits) as engine:
        began = time.perf_counter()
        calls = [engine.sample(q, prefix, n=1, sampling=sampling, start=index) for q, prefix, index in requests]
        tokens = sum(completion.token_count for group in await asyncio.gather(*calls) for completion in group)
        return tokens, time.perf_counter() - began


def labelled(config: LabelRunConfig, limits: EngineLimits, out: Path) -> tuple[int, float]:
    summary = label(config, RunOptions(out, limits=limits))
    return summary.tokens, summary.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="builtin")
    parser.add_argument("--model", default="")
    parser.add_argument("--template", default="auto")
    parser.add_argument("--method", default="mips")
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slots", type=int, default=0)
    arguments = parser.parse_args()
    spec = EngineSpec(arguments.engine, arguments.model, template=arguments.template)
    limits = EngineLimits(slots=arguments.slots)
    sampling = Sampling(1.0, 256, 0)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        source = ProblemSource("builtin", count=arguments.problems)
        generate(GenerateConfig(source, spec, sampling), RunOptions(base / "solutions", limits=limits))
        # Another seed than the solutions' own, so that no rollout is found in their journal.
        rollouts = Sampling(1.0, 256, 1)
        config = LabelRunConfig(ProblemSource(str(base / "solutions")), spec, rollouts, LabelConfig(method=arguments.method))
        labelled(config, limits, base / "warm-up")
        requests = requests_of(base / "warm-up")
        print(f"{len(requests)} requests, engine {arguments.engine}, method {arguments.method}")
        print(f"{'round':>5} {'label tok/s':>12} {'raw tok/s':>12} {'ratio':>7}")
        ratios = []
        for number in range(arguments.rounds):
            speeds = {}
            for what in ("label", "raw") if number % 2 == 0 else ("raw", "label"):
                if what == "label":
                    tokens, seconds = labelled(config, limits, base / f"label-{number}")
                else:
                    tokens, seconds = asyncio.run(raw(spec, limits, requests, rollouts))
                speeds[what] = tokens / seconds
            ratios.append(speeds["label"] / speeds["raw"])
            print(f"{number:>5} {speeds['label']:>12,.0f} {speeds['raw']:>12,.0f} {ratios[-1]:>7.2f}", flush=True)
        print(f"median ratio {median(ratios):.3f}")


if __name__ == "__main__":
    main()
