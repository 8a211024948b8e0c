"""`openr-data merge`: the parts of a run become the run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import print_json, warn
from openr_data.cli.progress import duration, progress

if TYPE_CHECKING:
    from openr_data.pipelines.merge import MergeSummary


def merge(
    parts: Annotated[list[Path], typer.Argument(help="Directories of the parts, all of them.", show_default=False)],
    out: options.Out,
    as_json: options.Json = False,
) -> None:
    """Merge the parts of a run (made with --shard, or by --executor slurm) into the run that one process would have made.

    Every problem must be in one of the parts; one that failed there stays a failure, and --resume on the merged run tries it
    again. A merge that was stopped is done again by the same command, and one that was done changes nothing.

    openr-data merge runs/math-1 runs/math-2 --out runs/math
    """
    from openr_data.pipelines.merge import merge as merge_parts

    with progress() as report:
        summary = merge_parts(parts, out, report=report, warn=warn)
    if as_json:
        print_json(asdict(summary))
    else:
        show_merged(summary)
    if not summary.changed:
        warn(f"these parts were merged into {out} before; nothing was changed")


def show_merged(summary: MergeSummary) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("run", escape(summary.out))
    table.add_row("records", ", ".join(f"{count:,} {name}" for name, count in summary.rows.items()))
    done = f"{summary.items - summary.failed:,} done, {summary.rejected:,} rejected, {summary.failed:,} failed"
    table.add_row("problems", done)
    table.add_row("merged", f"{summary.parts:,} parts in {duration(summary.seconds)}")
    console.print(table)
    if summary.failed:
        warn(f"{summary.failed} problems failed: see {summary.out}/failures.jsonl; --resume on the run tries them again")
