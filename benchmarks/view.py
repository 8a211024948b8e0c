"""The page of `openr-data view` for a large run: its size, the time and memory it takes to make, and how fast it is in a browser.

    .venv/bin/python benchmarks/view.py [--steps 100000]

The browser is a headless Chromium in the environment of `make test-view`; without it, only the making is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
BROWSER = ROOT / ".venv-view" / "bin" / "python"
_PATH = {**os.environ, "PYTHONPATH": str(TESTS)}


def written(run: Path, steps: int) -> None:
    code = f"from pathlib import Path; from view_runs import write_large; write_large(Path({str(run)!r}), {steps})"
    subprocess.run([sys.executable, "-c", code], env=_PATH, check=True)


def made(run: Path) -> dict[str, object]:
    """One command in a process of its own: what it says, and its wall time; peak memory is what the system counted since."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "openr_data", "view", str(run), "--json"]
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    return {**json.loads(said.stdout), "wall_seconds": round(seconds, 2)}


def browsed(page: Path) -> dict[str, object]:
    command = [BROWSER, TESTS / "view_tier" / "measure.py", page]
    said = subprocess.run(command, env=_PATH, check=True, capture_output=True, text=True)
    return dict(json.loads(said.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--made", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.made:  # a process whose only child is the command, so that the peak is the command's
        summary = made(args.made)
        print(json.dumps({**summary, "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024}))
        return
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "large"
        written(run, args.steps)
        child = [sys.executable, __file__, "--made", str(run)]
        summary = json.loads(subprocess.run(child, check=True, capture_output=True, text=True).stdout)
        for name in ("problems", "solutions", "steps", "rollouts", "bytes", "wall_seconds", "peak_mb"):
            print(f"{name:<22} {summary[name]}")
        if not BROWSER.exists():
            print("browser                not measured: run `make test-view` once")
            return
        for name, value in browsed(Path(summary["out"])).items():
            print(f"{name:<22} {value}")


if __name__ == "__main__":
    main()
