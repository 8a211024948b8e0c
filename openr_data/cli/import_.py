"""`openr-data import`: published step labels, in any layout of the field, become a run."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import print_json, warn
from openr_data.cli.progress import duration, progress

if TYPE_CHECKING:
    from openr_data.pipelines.importing.run import ImportSummary

_FILE = "A file (JSONL, JSON, Parquet, Arrow), a directory of them, or a Hub data set (owner/name)."
_FORMAT = (
    "Layout of the rows: prm800k, math-shepherd, math-aps, math-aps-tree, openr, trl, rlhflow, openrlhf, processbench, scan, "
    "step-dpo, preference, sft; or auto."
)
_NEUTRAL = "What a neutral rating of PRM800K is: good (as its paper scores), bad (as TRL reads it), or none (no label)."
_THRESHOLD = "A soft value is right from here on (0: above 0). Default: as the layout's authors read it."
_EXCLUDED = "Also read what PRM800K's rules set aside: quality control, screening, bad problems, give-ups, flagged ratings."


def import_(
    file: Annotated[str, typer.Argument(help=_FILE, show_default=False)],
    out: options.Out,
    layout: Annotated[str, typer.Option("--format", "-f", help=_FORMAT)] = "auto",
    neutral: Annotated[str, typer.Option("--neutral", help=_NEUTRAL)] = "good",
    threshold: Annotated[float | None, typer.Option("--threshold", min=0, max=1, help=_THRESHOLD, show_default=False)] = None,
    keep_excluded: Annotated[bool, typer.Option("--keep-excluded", help=_EXCLUDED)] = False,
    split: Annotated[str, typer.Option("--split", help="Split of a Hub data set, or of a folder.")] = "",
    config_name: Annotated[str, typer.Option("--config-name", help="Configuration of a Hub data set.")] = "",
    data_revision: Annotated[str, typer.Option("--data-revision", help="Revision of a Hub data set.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="Use the first N rows (0: all).")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the import in --out.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first row that cannot be used.")] = False,
    shard_size: Annotated[int, typer.Option("--shard-size", min=1, help="Problems per shard.")] = 5000,
    as_json: options.Json = False,
) -> None:
    """Read a published data set of step labels into a run, which every other command then takes.

    Nothing is lost: a row that is not of the layout goes to rejects.jsonl with its reason, and what a row says beyond our
    records is kept beside them, so that `export --format` with the same layout gives back the same rows.

    openr-data import phase2_train.jsonl --format prm800k --out runs/prm800k
    """
    from openr_data.errors import UsageError
    from openr_data.layouts.base import ReadOptions
    from openr_data.pipelines.importing.run import ImportConfig, import_file
    from openr_data.problems import ProblemSource

    if neutral not in {"good", "bad", "none"}:
        raise UsageError(f"--neutral is good, bad or none, not '{neutral}'")
    source = ProblemSource(file, config=config_name, split=split, revision=data_revision, limit=limit)
    config = ImportConfig(source, layout, ReadOptions(neutral, threshold, keep_excluded), shard_size)  # type: ignore[arg-type]
    with progress() as report:
        mode = "resume" if resume else "new"
        summary = import_file(config, out, mode=mode, strict=strict, report=report, on_layout=_tell_guess, warn=warn)  # type: ignore[arg-type]
    if as_json:
        print_json(asdict(summary))
    else:
        _show(summary)
    if summary.rejected:
        warn(f"{sum(summary.rejected.values()):,} rows could not be used: see {summary.out}/rejects.jsonl")


def _tell_guess(layout: str) -> None:
    warn(f"the columns are those of {layout}, and it is read as such; name another layout with --format")


def _show(summary: ImportSummary) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("run", escape(summary.out))
    table.add_row("layout", summary.format)
    table.add_row("rows in", f"{summary.rows:,}")
    table.add_row("rows used", f"{summary.used:,}")
    for reason, count in summary.rejected.items():
        table.add_row("", f"{count:,} rejected: {escape(reason)}")
    table.add_row("records", f"{summary.items:,} problems, {summary.solutions:,} solutions")
    table.add_row("steps", f"{summary.steps:,}, {summary.labelled:,} with a label")
    table.add_row("time", duration(summary.seconds))
    console.print(table)
