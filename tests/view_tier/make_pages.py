"""Writes the pages that the browser looks at, with the package's own environment."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from view_runs import write_generated, write_imported, write_labeled, write_large, write_odd

from openr_data.pipelines.viewing.view import ViewLimits, write_view

STEPS = 100_000


def main(pages: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        write_labeled(runs / "labeled")
        write_labeled(runs / "unfinished", finish=False)
        write_generated(runs / "generated")
        write_odd(runs / "odd")
        write_imported(runs / "imported")
        write_large(runs / "large", STEPS)
        for run in runs.iterdir():
            limits = ViewLimits(rollouts=6) if run.name == "labeled" else ViewLimits()
            write_view(run, pages / f"{run.name}.html", limits)
    whole = (pages / "labeled.html").read_text("utf-8")
    (pages / "cut.html").write_text("\n".join(line for line in whole.split("\n") if 'id="tree-0"' not in line), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
