"""CPU seconds of `openr-data --help`, and which heavy libraries importing the command line loads (it must be none).

.venv/bin/python benchmarks/startup.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median

HEAVY = ("torch", "transformers", "vllm", "datasets", "pyarrow", "polars", "numpy")


def cpu_seconds(command: list[str]) -> float:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    command = [sys.executable, "-m", "openr_data", "--help"]
    cpu_seconds(command)
    runs = [cpu_seconds(command) for _ in range(7)]
    probe = f"import sys, openr_data.cli.app; print([name for name in {HEAVY!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.strip()
    print(f"openr-data --help: median {median(runs):.3f} s of CPU ({min(runs):.3f} - {max(runs):.3f}); loaded: {loaded}")


if __name__ == "__main__":
    main()
