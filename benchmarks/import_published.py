"""Speed and peak memory of `import`, per layout: a synthetic run is exported to it, and what was published is read back.

    .venv/bin/python benchmarks/import_published.py [--steps 1000000] [--formats trl math-shepherd]

Steps per second and core are the steps of the exported run over the processor time of a process of its own, start included.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from export import measured, write_run

from openr_data.layouts import LAYOUTS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--formats", nargs="+", default=list(LAYOUTS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        write_run(run, arguments.steps)
        print(f"{'layout':<14} {'rows':>9} {'wall s':>7} {'cpu s':>7} {'steps/s/core':>13} {'peak MB':>8}", flush=True)
        for name in arguments.formats:
            published, back = Path(folder) / f"{name}-published", Path(folder) / f"{name}-back"
            measured(["export", str(run), "--format", name, "--out", str(published)])
            rows = json.loads((published / "export.json").read_text("utf-8"))["summary"]["rows"]
            peak, wall, processor = measured(["import", str(published), "--format", name, "--out", str(back)])
            speed = arguments.steps / processor
            print(f"{name:<14} {rows:>9,} {wall:>7.1f} {processor:>7.1f} {speed:>13,.0f} {peak:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
