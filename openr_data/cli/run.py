"""Run a stage for a person or a program: dry run, progress, and the summary at the end."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from openr_data.cli.console import out as console
from openr_data.cli.console import print_json, warn
from openr_data.cli.executors import carry_out
from openr_data.cli.options import ExecutorOptions
from openr_data.cli.progress import duration
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.plan import Stage
from openr_data.pipelines.stage import Summary


def execute(
    stage: Stage[Any], options: RunOptions, how: ExecutorOptions, context: typer.Context, *, dry_run: bool, as_json: bool
) -> None:
    if dry_run:
        from openr_data.pipelines.dry_run import preview

        show_preview(preview(stage), as_json=as_json)
        return
    summary = carry_out(stage, options, how.checked(), context, as_json=as_json)
    if summary is None:
        return
    if as_json:
        print_json({**asdict(summary), "tokens_per_second": round(summary.tokens_per_second, 1)})
    else:
        show_summary(summary)


def show_summary(summary: Summary) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("run", escape(summary.out))
    rows = ", ".join(f"{count:,} {name}" for name, count in summary.rows.items())
    table.add_row("records", rows)
    table.add_row(
        "problems", f"{summary.items - summary.failed:,} done, {summary.rejected:,} rejected, {summary.failed:,} failed"
    )
    rate = f"{summary.tokens:,} tokens in {duration(summary.seconds)} ({summary.tokens_per_second:,.0f} per second)"
    table.add_row("this attempt", f"{rate}, {summary.reused:,} completions reused")
    for name in ("judge", "prover"):
        if f"{name}_tokens" in summary.totals:
            tokens, drawn = summary.totals[f"{name}_tokens"], summary.totals[f"{name}_completions"]
            table.add_row(f"the {name}", f"{tokens:,} tokens of {drawn:,} completions, in all attempts, apart from these")
    if summary.rows.get("labeled"):
        _add_labels(table, summary)
    console.print(table)
    if summary.rejected:
        warn(f"{summary.rejected} rows could not be used: see {summary.out}/rejects.jsonl")
    if summary.failed:
        warn(f"{summary.failed} problems failed: see {summary.out}/failures.jsonl; --resume tries them again")


def _add_labels(table: Table, summary: Summary) -> None:
    from openr_data.cli.inspect import add_certainty, label_counts
    from openr_data.pipelines.inspection import found

    labels = found(Path(summary.out))
    table.add_row("labels", label_counts(labels.first_errors))
    add_certainty(table, labels)


def show_preview(shown: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    import json

    console.print(json.dumps(shown["config"], indent=2, ensure_ascii=False, default=str), markup=False, highlight=False)
    console.rule("first prompt")
    console.print(shown["prompt"], markup=False, highlight=False, soft_wrap=True)
    if "judge_prompt" in shown:
        console.rule("first prompt of the judge")
        console.print(shown["judge_prompt"], markup=False, highlight=False, soft_wrap=True)
    console.rule()
