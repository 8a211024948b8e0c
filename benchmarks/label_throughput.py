"""Tokens per second of `label` against the same engine's raw speed on the same requests, alternating in one run; and its tail.

    .venv/bin/python benchmarks/label_throughput.py [--engine builtin] [--model DIR] [--problems 40] [--in-flight 256]

Raw: the engine alone, given every request of the labelling at once, nothing graded, journalled or written. Each round runs
both, the order changing from round to round; the median of the ratios counts, since the machine's speed drifts. `by CPU` is the
ratio of the tokens per second of this process's CPU time, for an engine inside it, without the loading: what a machine that
others use cannot change. Of the local engine it prints for both: `steps`, and `prefill`, the computed and the reused tokens of
prompts.

Of `label` it also prints: `tail`, the share of the time that passed after 95 % of the questions were done; `busy`, the mean count
of sequences in the engine (at most its slots), and until 95 % were done; `idle`, the share of the time until then in which a slot
was free while sequences waited before the engine; `open`, the most questions open at once; `lag`, how late the event loop
came back to a task that slept 5 ms (median and 99th percentile; the step of a small local model is part of it); `journal`, the
milliseconds until a completion was durable (median, 99th percentile); and `lookup`, the same until a key was found or not.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from unittest.mock import patch

from openr_data.engines import EngineLimits, EngineSpec, LoadedEngine
from openr_data.engines.local import LocalEngine
from openr_data.engines.open import open_engine
from openr_data.labelers import LabelConfig
from openr_data.pipelines import work
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions
from openr_data.pipelines.generate import generate
from openr_data.pipelines.label import label_stage
from openr_data.pipelines.scheduler import Scheduler
from openr_data.pipelines.stage import run_stage
from openr_data.problems import ProblemSource
from openr_data.store.journal import Journal
from openr_data.store.read import RunReader
from openr_data.types import Completion, Sampling, Steps

Request = tuple[str, Steps, int]
NAP = 0.005


@dataclass
class Watch:
    """What is seen of one labelling. `levels` are (time, sequences in the engine, sequences that wait before it)."""

    slots: int = 0
    inside: int = 0
    open: int = 0
    most_open: int = 0
    loading: float = 0.0
    counts: str = ""
    scheduler: Scheduler | None = None
    levels: list[tuple[float, int, int]] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    journal: list[float] = field(default_factory=list)
    lookups: list[float] = field(default_factory=list)

    def moved(self, change: int) -> None:
        self.inside += change
        self.levels.append((time.perf_counter(), self.inside, self.scheduler.waiting if self.scheduler else 0))

    def told(self) -> str:
        began, ended = self.levels[0][0], self.done[-1]
        cut = sorted(self.done)[max(0, -(-len(self.done) * 95 // 100) - 1)]
        spans = [(now, after, *level) for (now, *level), (after, *_) in zip(self.levels, self.levels[1:], strict=False)]
        busy = [(min(self.slots, inside) * (after - now), now) for now, after, inside, _ in spans]
        idle = sum(after - now for now, after, inside, waiting in spans if inside < self.slots and waiting and now < cut)
        whole = sum(amount for amount, _ in busy) / (ended - began)
        steady = sum(amount for amount, now in busy if now < cut) / (cut - began)
        return (
            f"tail {(ended - cut) / (ended - began):.1%}  busy {whole:.0f}, {steady:.0f} of {self.slots}  "
            f"idle {idle / (cut - began):.2%}  open {self.most_open}  lag {_spread(self.lags)}  "
            f"journal {_spread(self.journal)}  lookup {_spread(self.lookups)}"
        )


def _spread(seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return "-"
    return f"{1000 * median(seconds):.1f}/{1000 * quantiles(seconds, n=100)[98]:.1f} ms"


class Watched:
    """An engine that notes how many sequences are in it."""

    def __init__(self, engine: LoadedEngine, watch: Watch) -> None:
        self._engine, self._watch = engine, watch
        watch.slots = engine.slots

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        self._watch.moved(n)
        try:
            return await self._engine.sample(question, prefix, n=n, sampling=sampling, start=start)
        finally:
            self._watch.moved(-n)


def requests_of(run: Path) -> list[Request]:
    """(question, prefix, sample index) of every rollout of a labelled run."""
    return list(
        {
            (item.problem.question, node.prefix, rollout.completion.index): None
            for item in RunReader.open(run).items()
            for node in item.nodes
            for rollout in node.rollouts
        }
    )


async def raw(spec: EngineSpec, limits: EngineLimits, requests: list[Request], sampling: Sampling) -> tuple[int, float, Watch]:
    """Tokens and seconds of the engine alone; loading is not counted."""
    watch = Watch()
    async with opened(spec, limits, watch) as engine:
        began = time.perf_counter()
        calls = [engine.sample(q, prefix, n=1, sampling=sampling, start=index) for q, prefix, index in requests]
        tokens = sum(completion.token_count for group in await asyncio.gather(*calls) for completion in group)
        return tokens, time.perf_counter() - began, watch


@asynccontextmanager
async def opened(spec: EngineSpec, limits: EngineLimits, watch: Watch) -> AsyncIterator[LoadedEngine]:
    began = time.process_time()
    async with open_engine(spec, limits) as engine:
        watch.loading = time.process_time() - began
        yield engine
        if isinstance(engine, LocalEngine):
            computed, reused = engine.prompt_tokens
            watch.counts = f"steps {engine.steps:,}  prefill {computed:,} + {reused:,}"


def labelled(config: LabelRunConfig, options: RunOptions) -> tuple[int, float, Watch]:
    watch = Watch()
    stage = label_stage(config)

    async def watched_work(item: Any, tools: Any) -> Any:
        watch.scheduler = tools.engine.scheduler
        watch.open += 1
        watch.most_open = max(watch.most_open, watch.open)
        try:
            return await stage.work(item, tools)
        finally:
            watch.open -= 1
            watch.done.append(time.perf_counter())

    with watching(watch):
        summary = run_stage(replace(stage, work=watched_work), options)
    return summary.tokens, summary.seconds, watch


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """While the block runs, engines and journals are watched, and the event loop of the run is asked how late it is."""

    @asynccontextmanager
    async def watched(spec: EngineSpec, limits: EngineLimits) -> AsyncIterator[Watched]:
        async with opened(spec, limits, watch) as engine:
            napping = asyncio.create_task(nap())
            yield Watched(engine, watch)
            napping.cancel()

    async def nap() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(NAP)
            watch.lags.append(time.perf_counter() - began - NAP)

    with (
        patch.object(work, "open_engine", watched),
        patch.object(Journal, "record", _timed(Journal.record, watch.journal)),
        patch.object(Journal, "lookup", _timed(Journal.lookup, watch.lookups)),
    ):
        yield


def _timed(call: Callable[..., Awaitable[Any]], into: list[float]) -> Callable[..., Awaitable[Any]]:
    async def timed(*arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return await call(*arguments)
        finally:
            into.append(time.perf_counter() - began)

    return timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="builtin")
    parser.add_argument("--model", default="")
    parser.add_argument("--template", default="auto")
    parser.add_argument("--method", default="mips")
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--searches", type=int, default=LabelConfig().searches)
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slots", type=int, default=0)
    parser.add_argument("--in-flight", type=int, default=0)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--profile", type=Path, help="write a cProfile of one labelling there, and measure nothing")
    arguments = parser.parse_args()
    spec = EngineSpec(arguments.engine, arguments.model, template=arguments.template)
    limits = EngineLimits(slots=arguments.slots)
    sampling = Sampling(1.0, arguments.max_tokens, 0)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        source = ProblemSource("builtin", count=arguments.problems)
        generate(GenerateConfig(source, spec, sampling), RunOptions(base / "solutions", limits=limits))
        # Another seed than the solutions' own, so that no rollout is found in their journal.
        rollouts = replace(sampling, seed=1)
        method = LabelConfig(method=arguments.method, rollouts=arguments.rollouts, searches=arguments.searches)
        config = LabelRunConfig(ProblemSource(str(base / "solutions")), spec, rollouts, method)

        def once(name: str) -> tuple[int, float, Watch]:
            return labelled(config, RunOptions(base / name, limits=limits, window=arguments.in_flight))

        if arguments.profile:
            with cProfile.Profile() as profile:
                once("profiled")
            profile.dump_stats(arguments.profile)
            return
        once("warm-up")
        requests = requests_of(base / "warm-up")
        print(f"{len(requests)} requests, {arguments.problems} problems, engine {arguments.engine}, method {arguments.method}")
        print(f"{'round':>5} {'label tok/s':>12} {'raw tok/s':>12} {'ratio':>7} {'by CPU':>7}")
        ratios, by_cpu = [], []
        for number in range(arguments.rounds):
            speeds, cheap, seen = {}, {}, {}
            for what in ("label", "raw") if number % 2 == 0 else ("raw", "label"):
                spent = time.process_time()
                if what == "label":
                    tokens, seconds, seen[what] = once(f"label-{number}")
                else:
                    tokens, seconds, seen[what] = asyncio.run(raw(spec, limits, requests, rollouts))
                spent = time.process_time() - spent - seen[what].loading
                speeds[what], cheap[what] = tokens / seconds, tokens / spent
            ratios.append(speeds["label"] / speeds["raw"])
            by_cpu.append(cheap["label"] / cheap["raw"])
            row = f"{number:>5} {speeds['label']:>12,.0f} {speeds['raw']:>12,.0f} {ratios[-1]:>7.3f} {by_cpu[-1]:>7.3f}"
            print(f"{row}  {seen['label'].told()}")
            for what, watch in seen.items():
                if watch.counts:
                    print(f"{what:>5} {cheap[what]:>12,.0f} tok/CPU s  {watch.counts}", flush=True)
        print(f"median ratio {median(ratios):.3f}, by CPU {median(by_cpu):.3f}")


if __name__ == "__main__":
    main()
