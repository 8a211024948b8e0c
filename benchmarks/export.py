"""Speed and peak memory of `export`, per layout, on a synthetic run of a million labelled steps.

    .venv/bin/python benchmarks/export.py [--steps 1000000] [--formats trl math-shepherd] [--keep FOLDER]

Every layout is exported by a process of its own, whose peak and processor time are what the operating system counted
(`wait4`). Steps per second and core are the steps of the run over the processor time, start of Python and all reading included.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from openr_data.engines import EngineSpec
from openr_data.labelers import LabelConfig
from openr_data.layouts import LAYOUTS
from openr_data.layouts.columnar import ARROW_LAYOUTS
from openr_data.pipelines.config import LabelRunConfig
from openr_data.problems import ProblemSource
from openr_data.store.bulk import open_bulk
from openr_data.store.codecs import labeling_tables, plain_config
from openr_data.store.run_record import RunIdentity
from openr_data.types import (
    NO_ERROR,
    Completion,
    Cost,
    Estimate,
    LabeledSolution,
    Labeling,
    Node,
    Problem,
    Rollout,
    Sampling,
    Solution,
    StepLabel,
    Verdict,
)

CONFIG = LabelRunConfig(ProblemSource("synthetic"), EngineSpec("scripted"), Sampling(1.0, 64, 0), LabelConfig("omegaprm"))
TABLES = ("labeled", "problems", "nodes", "rollouts")
SOLUTIONS, STEPS, ROLLOUTS = 8, 8, 4
RIGHT, WRONG = Verdict("right", "exact", "42"), Verdict("wrong", "different", "41")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--formats", nargs="+", default=list(LAYOUTS))
    parser.add_argument("--labels", choices=["auto", "hard", "soft"], default="auto")
    parser.add_argument("--keep", type=Path, help="Folder for the run, reused when it is there.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = (arguments.keep or Path(folder)) / f"run-{arguments.steps}"
        if not run.exists():
            write_run(run, arguments.steps)
        print(f"{'layout':<14} {'files':<8} {'MB':>7} {'wall s':>7} {'cpu s':>7} {'steps/s/core':>13} {'peak MB':>8}", flush=True)
        for name in arguments.formats:
            out = Path(folder) / name
            peak, wall, processor = measured(
                ["export", str(run), "--format", name, "--labels", arguments.labels, "--out", str(out)]
            )
            size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
            kind = "Parquet" if name in ARROW_LAYOUTS else "JSONL"
            speed = arguments.steps / processor
            print(f"{name:<14} {kind:<8} {size:>7.0f} {wall:>7.1f} {processor:>7.1f} {speed:>13,.0f} {peak:>8.0f}", flush=True)


def measured(command: list[str]) -> tuple[float, float, float]:
    """Peak MB, wall seconds and processor seconds of one command."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "openr_data", *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {said.decode()[-1000:]}")
    return usage.ru_maxrss / 1024, time.perf_counter() - began, usage.ru_utime + usage.ru_stime


def write_run(path: Path, steps: int) -> None:
    """A finished run with so many steps: solutions that share prefixes, counts at every step, and rollouts at every node."""
    items = -(-steps // (SOLUTIONS * STEPS))
    identity = RunIdentity("label", {"run": plain_config(CONFIG)}, "synthetic", {}, TABLES, shard_items=500)
    with open_bulk(path, identity, settings={"separator": "\n"}) as run:
        for item in range(items):
            run.add(labeling_tables(*labelled(item)))
        run.complete()
        run.finish("# Synthetic\n")


def labelled(item: int) -> tuple[Problem, Labeling]:
    draw = random.Random(item)
    question = f"Problem {item}: wie groß ist die Summe ∑ der ersten {item} Zahlen, „θ“ eingeschlossen, wenn jede zweite fehlt?"
    problem = Problem(f"p{item}", question, "42", "synthetic", metadata={"level": "3"})
    solutions = tuple(labelled_solution(problem, index, draw) for index in range(SOLUTIONS))
    wrong = {each.solution.steps[: each.first_error] for each in solutions if each.first_error not in {None, NO_ERROR}}
    nodes = tuple(node(problem, number, prefix, draw) for number, prefix in enumerate(sorted(wrong)))
    return problem, Labeling(problem.id, solutions, nodes)


def labelled_solution(problem: Problem, index: int, draw: random.Random) -> LabeledSolution:
    first = NO_ERROR if draw.random() < 0.5 else draw.randrange(STEPS)
    steps = tuple(step(problem, place, draw, right=first == NO_ERROR or place < first) for place in range(STEPS))
    hits = [draw.randint(1, 8) if first == NO_ERROR or place < first else 0 for place in range(STEPS)]
    solution = Solution(f"{problem.id}/{index}", problem.id, steps, RIGHT if first == NO_ERROR else WRONG, 200, "synthetic")
    estimates = tuple(Estimate(hit / 8, "mean") for hit in hits)
    labels = tuple(StepLabel(hit, 8) for hit in hits)
    return LabeledSolution(solution, labels, first, "omegaprm", Cost(64, 6400), "binary_search", estimates=estimates)


def step(problem: Problem, place: int, draw: random.Random, *, right: bool) -> str:
    """Right steps of a problem come in few wordings, so that its solutions share them; no two problems share one."""
    wording = draw.randrange(2) if right else draw.randrange(2, 1000)
    number = zlib.crc32(f"{problem.id} {place} {wording}".encode())
    factor, part = number % 8191, number % 997
    return f"Step {place + 1}: daher gilt $x_{place} = {number} \\cdot θ$, also ist der Teil {part} von {factor} ≤ {place}."


def node(problem: Problem, number: int, prefix: tuple[str, ...], draw: random.Random) -> Node:
    rollouts = tuple(
        Rollout(Completion(text(problem, len(prefix), draw), 100, "stop", index, index), draw.choice([RIGHT, WRONG]))
        for index in range(ROLLOUTS)
    )
    return Node(f"{problem.id}/n{number}", problem.id, "", prefix, rollouts)


def text(problem: Problem, start: int, draw: random.Random) -> str:
    return "\n".join(iter_steps(problem, start, draw))


def iter_steps(problem: Problem, start: int, draw: random.Random) -> Iterator[str]:
    return (step(problem, place, draw, right=True) for place in range(start, STEPS))


if __name__ == "__main__":
    main()
