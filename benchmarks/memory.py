"""Peak resident memory of `generate` and `label` on growing numbers of problems with the scripted engine.

    .venv/bin/python benchmarks/memory.py [--problems 10000 100000]

Each run is a process of its own; its peak is what the operating system counted (`ru_maxrss`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from openr_data.engines.chain import chain_problems


def write_problems(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for problem in chain_problems(count):
            file.write(json.dumps({"id": problem.id, "question": problem.question, "answer": problem.answer}) + "\n")


def measured(arguments: list[str]) -> tuple[float, float]:
    """Peak MB and wall seconds of one command."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "openr_data", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed: {said.decode()[-500:]}")
    return usage.ru_maxrss / 1024, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, nargs="+", default=[10_000, 100_000])
    counts = parser.parse_args().problems
    print(f"{'problems':>9} {'command':<24} {'peak MB':>8} {'seconds':>8}")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            base = Path(folder)
            write_problems(base / "problems.jsonl", count)
            generate = ["generate", str(base / "problems.jsonl"), "--engine", "scripted", "--out", str(base / "run"), "-n", "1"]
            label = ["label", str(base / "run"), "--method", "math-shepherd", "-k", "1", "--out", str(base / "labeled")]
            for name, command in (("generate -n 1", generate), ("label math-shepherd -k 1", label)):
                peak, seconds = measured(command)
                print(f"{count:>9,} {name:<24} {peak:>8.0f} {seconds:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
