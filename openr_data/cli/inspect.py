"""`openr-data inspect`: what a run holds, and a labelled solution to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import print_json
from openr_data.cli.progress import duration

if TYPE_CHECKING:
    from openr_data.pipelines.inspection import Found, Overview
    from openr_data.store.read import ItemRecords


def inspect(
    run: Annotated[Path, typer.Argument(help="Run directory.", show_default=False)],
    problem: Annotated[str, typer.Option("--problem", help="Show the solutions of this problem id.")] = "",
    show: Annotated[int, typer.Option("--show", min=0, help="How many solutions to show.")] = 1,
    rollouts: Annotated[int, typer.Option("--rollouts", min=0, help="Also show this many rollouts of each prefix.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Show the counts of a run and a labelled solution, its steps coloured, with Monte Carlo values and counts."""
    from openr_data.errors import UsageError
    from openr_data.pipelines.inspection import overview, records

    summary = overview(run)
    if as_json:
        print_json(asdict(summary))
        return
    show_overview(summary)
    items = records(run, problem) if show else iter(())
    shown = show_items(items, show, rollouts)
    if problem and show and not shown:
        raise UsageError(f"{run} has no problem '{problem}' in its finished shards")


def show_overview(summary: Overview) -> None:
    from openr_data.cli.show import visible

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("command", visible(f"{summary.command} {summary.method}".strip()))
    table.add_row("status", visible(summary.status))
    table.add_row("engine", visible(summary.engine))
    table.add_row("records", _counts(summary.rows))
    if summary.failed:
        table.add_row("failed", f"{summary.failed:,} problems: see failures.jsonl; --resume tries them again")
    table.add_row("answers", visible(_counts(summary.verdicts)))
    if summary.undecided:
        table.add_row("undecided", visible(_counts(summary.undecided)))
    if summary.first_errors:
        table.add_row("first errors", _counts(summary.first_errors))
        table.add_row("evidence", visible(_counts(summary.reasons)))
        add_certainty(table, summary)
        table.add_row("step values", visible(_counts(summary.estimators)))
        table.add_row("per solution", f"{summary.cost_rollouts:.1f} rollouts, {summary.cost_tokens:,.0f} tokens")
    table.add_row("steps", f"{summary.steps:.1f} per solution")
    paid = summary.totals.get("paid_tokens", 0)
    table.add_row("paid", f"{paid:,.0f} tokens in {duration(summary.totals.get('seconds', 0.0))}")
    console.print(table)


def show_items(items: Iterator[ItemRecords], limit: int, rollouts: int) -> int:
    """Wrong solutions first within a problem: they are what labels are about. Returns how many solutions were shown."""
    from openr_data.cli.show import show_labeled, show_nodes, show_problem, show_solution

    shown = 0
    for item in items:
        if shown >= limit:
            break
        console.print()
        show_problem(console, item.problem)
        for labeled in islice(sorted(item.labeled, key=lambda one: one.first_error in {None, -1}), limit - shown):
            show_labeled(console, labeled)
            shown += 1
        for solution in islice(item.solutions, limit - shown):
            show_solution(console, solution)
            shown += 1
        if rollouts:
            show_nodes(console, item.nodes, rollouts)
    return shown


def add_certainty(table: Table, summary: Overview | Found) -> None:
    """How far the labels can be relied on, where their method tells."""
    if summary.judge:
        table.add_row("judge", _agreement(summary.judge))
    if summary.confidence:
        table.add_row("confidence", _confidence(summary.confidence))
    if summary.pilot:
        table.add_row("model", _pilot(summary.pilot))


def _agreement(judge: Mapping[str, int]) -> str:
    asked = sum(judge.values())
    agreed = judge.get("agreement", 0)
    undecided = judge.get("judge_undecided", 0)
    return f"agreed on {agreed:,} of {asked:,} solutions ({agreed / asked:.0%}), came to nothing on {undecided:,}"


def _confidence(shown: Mapping[str, float]) -> str:
    below = f"{shown['below_0.5']:.0%} below 0.5, {shown['below_0.9']:.0%} below 0.9"
    return f"{shown['mean']:.2f} on average over {shown['solutions']:,.0f} solutions; {below}; {shown['uncertain']:.0%} uncertain"


def _pilot(pilot: Mapping[str, int]) -> str:
    if not pilot["solutions"]:
        return f"the default one: no wrong solution in {pilot['problems']:,} problems could be searched"
    fitted = f"fitted to {pilot['solutions']:,} wrong solutions of {pilot['problems']:,} problems"
    return f"{fitted}: {pilot['completions']:,} rollouts, {pilot['tokens']:,} tokens; labels reuse them where they can"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"
