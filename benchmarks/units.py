"""Work units by the million: time and peak memory of planning, doing (with a kill -9 in the middle), resuming and merging them.

    python benchmarks/units.py --units 1000000 --shards 2 --folder /somewhere/with/room

The work of a unit is next to nothing, so what is measured is what the machinery around it costs. Every phase is a process of its
own, whose peak memory is read when it ends.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from openr_data.engines import EngineSpec
from openr_data.pipelines.config import GenerateConfig, RunOptions
from openr_data.pipelines.merge import merge
from openr_data.pipelines.parts import Marks, Share
from openr_data.pipelines.plan import Stage, Tables, Tools
from openr_data.pipelines.progress import Snapshot
from openr_data.pipelines.stage import run_stage
from openr_data.problems import ProblemSource
from openr_data.store.codecs import generation_tables
from openr_data.types import Problem, Sampling


@dataclass(frozen=True)
class Phase:
    """`units` that the phase went through, its wall time and the peak memory of its process."""

    name: str
    units: int
    seconds: float
    peak_mib: float

    def __str__(self) -> str:
        rate = self.units / self.seconds if self.seconds else 0.0
        return f"{self.name:<28}{self.units:>10,} units {self.seconds:>8.1f} s {rate:>10,.0f}/s {self.peak_mib:>8.0f} MiB"


def problems(units: int) -> Iterator[Problem]:
    return (Problem(f"p{number}", f"What is {number} + 1?", str(number + 1)) for number in range(units))


async def work(problem: Problem, _: Tools) -> Tables:
    return generation_tables(problem, ())


def stage(units: int) -> Stage[Problem]:
    engine = EngineSpec("scripted")
    return Stage(
        command="generate",
        config=GenerateConfig(ProblemSource("builtin"), engine, Sampling(1.0, 16, 0), grader="exact"),
        engine=engine,
        grader="exact",
        inputs={"problems": f"units:{units}"},
        tables=("solutions", "problems"),
        shard_items=5000,
        items=partial(problems, units),
        work=work,
        name=lambda problem: problem.id,
        total=units,
    )


def plan(units: int) -> None:
    """Number and mark every unit, as each worker does on its way through the input."""
    marks = Marks(wanted=True)
    for problem in problems(units):
        marks.next(problem)


def do(units: int, share: Share | None, out: Path, die_at: int) -> None:
    def report(snapshot: Snapshot) -> None:
        if die_at and snapshot.done >= die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    run_stage(stage(units), RunOptions(out, "resume", window=512, part=str(share or ""), share=share, report=report))


def phase(name: str, units: int, arguments: dict[str, Any], *, killed: bool = False) -> Phase:
    """Runs it in a process of its own."""
    began = time.monotonic()
    child = subprocess.run(
        [sys.executable, __file__, "--phase", json.dumps(arguments)], check=False, capture_output=True, text=True
    )
    seconds = time.monotonic() - began
    if killed and child.returncode != -signal.SIGKILL:
        raise RuntimeError(f"{name} was not killed: {child.stderr[-2000:]}")
    if not killed and child.returncode:
        raise RuntimeError(f"{name} failed: {child.stderr[-2000:]}")
    return Phase(name, units, seconds, 0.0 if killed else float(child.stdout.split()[-1]))


def run_phase(arguments: dict[str, Any]) -> None:
    """In the child: do it, and print the peak memory in MiB."""
    kind, units = arguments["kind"], arguments["units"]
    folder = Path(arguments["folder"])
    if kind == "plan":
        plan(units)
    elif kind == "merge":
        merge([folder / f"part-{index}" for index in range(1, arguments["shards"] + 1)], folder / "run")
    else:
        share = Share.parse(arguments["share"])
        do(units, share, folder / f"part-{share.index}", arguments["die_at"])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measure(units: int, shards: int, folder: Path) -> Iterator[Phase]:
    """Every phase of `units` units in `shards` parts, one after the other; the first part is killed half way."""
    common = {"units": units, "shards": shards, "folder": str(folder)}
    share = -(-units // shards)
    first = {**common, "kind": "do", "share": f"1/{shards}"}
    yield phase("plan", units, {**common, "kind": "plan"})
    yield phase("part 1, killed half way", share // 2, {**first, "die_at": share // 2}, killed=True)
    yield phase("part 1, resumed", share - share // 2, {**first, "die_at": 0})
    yield phase("part 1, nothing left", share, {**first, "die_at": 0})
    for index in range(2, shards + 1):
        yield phase(f"part {index}", share, {**common, "kind": "do", "share": f"{index}/{shards}", "die_at": 0})
    yield phase("merge", units, {**common, "kind": "merge"})
    yield phase("merge again", units, {**common, "kind": "merge"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None, help="Where to write (default: a temporary folder).")
    parser.add_argument("--phase", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.phase:
        run_phase(json.loads(options.phase))
        return
    folder = Path(tempfile.mkdtemp(prefix="units-", dir=options.folder))
    try:
        for each in measure(options.units, options.shards, folder):
            print(each, flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
