"""Kill a run again and again, resume it, and compare what is left with a run that was never killed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

CHILD = Path(__file__).parent / "crash_child.py"


@dataclass(frozen=True, slots=True)
class CrashReport:
    """`paid_twice`: completions that were durable before a kill and generated again after it. `lost_window`: those that were
    finished in the instant before a kill, between the engine's answer and the disk's, and had to be generated again.
    """

    kills: int
    completions: int
    identical: bool
    paid_twice: int
    lost_window: int
    clean_seconds: float


def start(spec: dict[str, Any], folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "spec.json"
    path.write_text(json.dumps({**spec, "out": str(folder / "out"), "log": str(folder / "log")}))
    return subprocess.Popen([sys.executable, str(CHILD), str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def data_digest(out: Path) -> dict[str, str]:
    names = ("manifest.json", "README.md", "rejects.jsonl", "failures.jsonl")
    files = sorted([*out.rglob("*.parquet"), *(path for name in names for path in out.rglob(name))])
    return {str(path.relative_to(out)): sha256(path.read_bytes()).hexdigest() for path in files}


def crash_and_resume(spec: dict[str, Any], folder: Path, kills: int, seed: int = 0) -> CrashReport:
    """One clean run, then runs that are killed at random moments and resumed until they finish, until there were enough kills."""
    began = time.monotonic()
    finish(start(spec, folder / "clean"))
    clean = time.monotonic() - began
    truth = data_digest(folder / "clean" / "out")
    rng = random.Random(seed)
    reports: list[CrashReport] = []
    while sum(report.kills for report in reports) < kills:
        killed = folder / f"killed-{len(reports)}"
        done = kill_until_finished(spec, killed, kills - sum(report.kills for report in reports), rng, clean)
        durable, twice, window = read_log(killed / "log")
        same = data_digest(killed / "out") == truth
        reports.append(CrashReport(done, len(durable), same, twice, window, clean))
    return CrashReport(
        kills=sum(report.kills for report in reports),
        completions=reports[0].completions,
        identical=all(report.identical for report in reports),
        paid_twice=sum(report.paid_twice for report in reports),
        lost_window=sum(report.lost_window for report in reports),
        clean_seconds=clean,
    )


def kill_until_finished(spec: dict[str, Any], folder: Path, kills: int, rng: random.Random, clean: float) -> int:
    """Kill and resume up to `kills` times, then let it finish; returns the number of kills."""
    done = 0
    while done < kills:
        process = start(spec, folder)
        try:
            process.wait(timeout=rng.uniform(0.2, 0.9) * clean)
        except subprocess.TimeoutExpired:
            process.kill()
            done += 1
        process.communicate()
        if process.returncode == 0:
            return done
    finish(start(spec, folder))
    return done


def read_log(path: Path) -> tuple[set[str], int, int]:
    """Keys that are durable, how often a durable key was generated again, and how often one that was only finished."""
    finished: set[str] = set()
    durable: set[str] = set()
    twice = window = 0
    for line in path.read_text().splitlines():
        what, _, key = line.partition(" ")
        if what == "durable":
            durable.add(key)
            continue
        twice += key in durable
        window += key in finished and key not in durable
        finished.add(key)
    return durable, twice, window


def finish(process: subprocess.Popen[bytes]) -> None:
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the run failed: {said.decode(errors='replace')[-2000:]}")
