"""kill -9 at random moments of generate and label, then resume: are the data the same bytes, and was anything paid twice?

.venv/bin/python benchmarks/kill_resume.py [--kills 20] [--engine builtin scripted]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from crashes import crash_and_resume

from openr_data.engines.chain import chain_problems


def scripted(folder: Path) -> dict[str, Any]:
    path = folder / "problems.jsonl"
    rows = ({"id": p.id, "question": p.question, "answer": p.answer} for p in chain_problems(60))
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    script = "error=0.1,recovery=0.02,latency=0.03,slow=0.1,slow_seconds=0.1,slots=64"
    return {"engine": "scripted", "problems": str(path), "script": script, "method": "omegaprm", "rollouts": 8}


def builtin(_: Path) -> dict[str, Any]:
    return {"engine": "builtin", "problems": "builtin", "count": 24, "method": "omegaprm", "rollouts": 8}


SPECS = {"scripted": scripted, "builtin": builtin}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--engine", nargs="+", choices=sorted(SPECS), default=sorted(SPECS))
    arguments = parser.parse_args()
    heads = f"{'completions':>11} {'identical':>9} {'paid twice':>10} {'in the last instant':>19}"
    print(f"{'engine':<10} {'kills':>5} {heads} {'clean s':>8}")
    for name in arguments.engine:
        with tempfile.TemporaryDirectory() as folder:
            report = crash_and_resume(SPECS[name](Path(folder)), Path(folder), arguments.kills)
        counts = f"{report.completions:>11} {report.identical!s:>9} {report.paid_twice:>10} {report.lost_window:>19}"
        print(f"{name:<10} {report.kills:>5} {counts} {report.clean_seconds:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
