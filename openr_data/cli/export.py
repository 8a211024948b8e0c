"""`openr-data export`: step labels as other programs read them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import plain, print_json
from openr_data.cli.progress import duration, progress

if TYPE_CHECKING:
    from openr_data.pipelines.exporting.config import ExportSummary

_FORMAT = (
    "Layout of the rows. Parquet: trl, rlhflow, scan, step-dpo, preference, sft. JSON lines: prm800k, math-shepherd, math-aps, "
    "math-aps-tree, openr, openrlhf, processbench."
)
_LABELS = "hard (true and false), soft (the measured value), or auto: what the layout usually holds."
_AFTER = "Steps after the first wrong one: keep (they count as wrong), or cut."
_UNCERTAIN = "Also solutions whose first error is only the likeliest one (reason `uncertain`)."
_SPLITS = "Shares of train/validation/test by question, such as 90/5/5."
_SEPARATOR = "Between steps, where the layout holds them as one text (default: that of the run)."
_ORIGIN = "Solutions that came in (given), those sampled while labelling (rollout), or all."
_PAIRS = "Most preference pairs of a problem (0: all)."
_READING, _FILES = "Reading", "Files"

Labels = Literal["auto", "hard", "soft"]
After = Literal["keep", "cut"]
Origin = Literal["all", "given", "rollout"]


def export(
    run: Annotated[Path, typer.Argument(help="Run directory of `label` or `import`.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory to write.", show_default=False)],
    layout: Annotated[str, typer.Option("--format", "-f", help=_FORMAT, show_default=False)],
    labels: Annotated[Labels, typer.Option("--labels", help=_LABELS, rich_help_panel=_READING)] = "auto",
    after_error: Annotated[After, typer.Option("--after-error", help=_AFTER, rich_help_panel=_READING)] = "keep",
    keep_uncertain: Annotated[bool, typer.Option("--keep-uncertain", help=_UNCERTAIN, rich_help_panel=_READING)] = False,
    min_confidence: Annotated[
        float,
        typer.Option("--min-confidence", min=0, max=1, help="Leave out labels less sure than this.", rich_help_panel=_READING),
    ] = 0.0,
    origin: Annotated[
        Origin,
        typer.Option("--origin", help="Solutions that came in, those sampled while labelling, or all.", rich_help_panel=_READING),
    ] = "all",
    splits: Annotated[str, typer.Option("--splits", help=_SPLITS, rich_help_panel=_FILES)] = "100",
    separator: Annotated[
        str | None, typer.Option("--separator", help=_SEPARATOR, show_default=False, rich_help_panel=_READING)
    ] = None,
    pairs_per_problem: Annotated[
        int,
        typer.Option("--pairs-per-problem", min=0, help="Most preference pairs of a problem (0: all).", rich_help_panel=_READING),
    ] = 8,
    shard_mb: Annotated[int, typer.Option("--shard-mb", min=1, help="Largest file, in megabytes.", rich_help_panel=_FILES)] = 500,
    as_json: options.Json = False,
) -> None:
    """Write the labelled solutions of a run in a layout of the field, ready for `datasets.load_dataset`.

    Every solution of the run stands in a row or is counted with the reason why not. A run that was imported from the same layout
    gives back its rows as they were, unless something is asked of their labels.

    openr-data export runs/math-omegaprm --format trl --splits 90/5/5 --out data/math-trl
    """
    from openr_data.pipelines.exporting.config import ExportConfig
    from openr_data.pipelines.exporting.export import export as run_export
    from openr_data.pipelines.splits import parse_splits

    config = ExportConfig(
        format=layout,
        labels=labels,
        after_error=after_error,
        keep_uncertain=keep_uncertain,
        min_confidence=min_confidence,
        origin=origin,
        splits=parse_splits(splits),
        separator=separator,
        pairs_per_problem=pairs_per_problem,
        shard_bytes=shard_mb * 1_000_000,
    )
    with progress() as report:
        summary = run_export(run, config, out, report)
    if as_json:
        print_json(asdict(summary))
    else:
        _show(summary)


def _show(summary: ExportSummary) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("solutions in the run", f"{summary.solutions:,}")
    table.add_row("in the rows", f"{summary.used:,}")
    for reason, count in summary.dropped.items():
        table.add_row(f"left out: {plain(reason)}", f"{count:,}")
    table.add_row("steps of the selected solutions", f"{summary.steps:,}")
    if summary.filled:
        table.add_row("soft values that are hard labels", f"{summary.filled:,}")
    if summary.left_out:
        table.add_row("pairs beyond the bound", f"{summary.left_out:,}")
    for split, count in summary.splits.items():
        table.add_row(f"rows in {split}", f"{count:,}")
    console.print(table)
    size = sum(file.bytes for file in summary.files)
    files = f"{len(summary.files)} file{'s' * (len(summary.files) != 1)}, {size / 1e6:,.1f} MB"
    if summary.unchanged:
        console.print(f"nothing changed: {summary.out} holds this export already", markup=False, soft_wrap=True)
        return
    what = "the published rows, as they were" if summary.faithful else f"{summary.labels} labels"
    console.print(
        f"{summary.format}, {what}: {files} in {duration(summary.seconds)}, {summary.out}", markup=False, soft_wrap=True
    )
