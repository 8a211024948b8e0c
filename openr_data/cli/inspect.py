"""`openr-data inspect`: what a run holds, and labelled solutions to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import print_json, warn
from openr_data.cli.options.choice import ChoiceOptions
from openr_data.cli.progress import duration

if TYPE_CHECKING:
    from openr_data.pipelines.inspection import Chosen, Found, Overview
    from openr_data.pipelines.selection import Choice
    from openr_data.store.read import ItemRecords
    from openr_data.types import Node


@options.grouped
def inspect(
    run: Annotated[Path, typer.Argument(help="Run directory of generate, label or import.", show_default=False)],
    *,
    which: ChoiceOptions,
    rollouts: Annotated[int, typer.Option("--rollouts", min=0, help="Also show this many rollouts of each prefix.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Show what a run holds: counts, label balance, first errors, values, costs; and solutions, their steps coloured by label.

    Under a condition only the solutions that meet it are shown; that none does is told in a note, and is no error. An unfinished
    run shows what is sealed so far.

    openr-data inspect runs/labels --first-error 3 --max-value 0.2 --sample 5
    """
    from openr_data.pipelines.inspection import chosen, overview

    choice = which.choice()
    found = chosen(run, choice, rollouts=rollouts > 0)
    if as_json:
        print_json(_facts(overview(run), found, rollouts))
        return
    if not choice.conditions:
        show_summary(overview(run))
    shown = show_items(found.items, rollouts)
    _tell(found, choice, shown)


def show_summary(summary: Overview) -> None:
    """Numbers, then bars."""
    from openr_data.cli.charts import show_charts

    show_overview(summary)
    if not summary.complete:
        warn("the run is not complete: these are the shards that are finished")
    show_charts(console, summary.statistics)


def _facts(summary: Overview, found: Chosen, rollouts: int) -> dict[str, Any]:
    """Everything in one object; of each measured prefix the first rollouts."""
    records = []
    for item in found.items:
        nodes = tuple(replace(node, rollouts=node.rollouts[:rollouts]) for node in item.nodes)
        records.append(asdict(replace(item, nodes=nodes)))
    return {**asdict(summary), "matched": found.matched, "records": records}


def _tell(found: Chosen, choice: Choice, shown: int) -> None:
    """How the shown solutions stand to those that were not."""
    if not choice.conditions:
        return
    if not found.matched:
        together = " meets this condition" if choice.conditions == 1 else f" meets all {choice.conditions} conditions"
        warn(f"none of {found.total:,} solutions{together}{found.hint and '; '}{found.hint}")
        return
    console.print()
    more = "" if shown == found.matched else "; --show N shows more, --sample N some at random"
    console.print(f"{shown:,} shown of {found.matched:,} that match, among {found.total:,} solutions{more}", style="dim")


def show_overview(summary: Overview) -> None:
    from openr_data.cli.show import visible

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("command", visible(f"{summary.command} {summary.method}".strip()))
    table.add_row("status", visible(summary.status))
    table.add_row("engine", visible(summary.engine))
    table.add_row("records", _counts(summary.rows))
    table.add_row("sources", visible(_counts({name or "(no name)": n for name, n in summary.statistics.sources.items()})))
    if summary.failed:
        table.add_row("failed", f"{summary.failed:,} problems: see failures.jsonl; --resume tries them again")
    if summary.statistics.skipped:
        table.add_row("left out", visible(_counts(summary.statistics.skipped)) + Text(" problems"))
    table.add_row("answers", visible(_counts(summary.verdicts)))
    if summary.undecided:
        table.add_row("undecided", visible(_counts(summary.undecided)))
    if summary.first_errors:
        _add_labels(table, summary)
    repeated = summary.statistics.duplicates
    if repeated.problems or repeated.solutions:
        table.add_row("repeated", f"{repeated.problems:,} questions and {repeated.solutions:,} solutions, word for word")
    table.add_row("steps", f"{summary.statistics.steps:,}, {summary.steps:.1f} per solution")
    _add_cost(table, summary)
    console.print(table)


def _add_labels(table: Table, summary: Overview) -> None:
    from openr_data.cli.show import visible

    table.add_row("labels", label_counts(summary.first_errors))
    table.add_row("evidence", visible(_counts(summary.reasons)))
    add_certainty(table, summary)
    table.add_row("step values", visible(_counts(summary.estimators)))
    oracle = summary.statistics.oracle
    if oracle and oracle.exact is not None:
        shares = f"{oracle.exact:.2f} exact, {oracle.early or 0:.2f} too early, {oracle.late or 0:.2f} too late"
        table.add_row("oracle", f"first wrong step {shares}, of {oracle.decided:,} decided wrong solutions")
    if summary.cost_rollouts:
        table.add_row("per solution", f"{summary.cost_rollouts:.1f} rollouts, {summary.cost_tokens:,.0f} tokens")


def label_counts(first_errors: Mapping[str, int]) -> str:
    undecided, right = first_errors.get("undecided", 0), first_errors.get("none", 0)
    wrong = sum(first_errors.values()) - undecided - right
    return f"{wrong:,} with a first wrong step, {right:,} without one, {undecided:,} undecided"


def _add_cost(table: Table, summary: Overview) -> None:
    cost = summary.statistics.cost
    if not cost.rollouts:
        return
    each = [cost.per_step(amount) for amount in (cost.rollouts, cost.tokens, cost.hours * 3600)]
    if cost.labelled_steps:
        rollouts, tokens, seconds = (amount or 0.0 for amount in each)
        table.add_row(
            "per step", f"{rollouts:.2f} rollouts, {tokens:,.0f} tokens, {seconds:.2g} s (of {cost.labelled_steps:,} labelled)"
        )
    table.add_row("paid", f"{cost.tokens:,} tokens in {duration(cost.hours * 3600)}")


def show_items(items: Iterator[ItemRecords], rollouts: int) -> int:
    """Returns how many solutions were shown."""
    from openr_data.cli.show import show_labeled, show_nodes, show_problem, show_solution, visible

    shown = 0
    for item in items:
        console.print()
        show_problem(console, item.problem)
        if item.skipped:
            console.print(visible(f"left out by the labeler: {item.skipped}", "yellow"))
        for labeled in item.labeled:
            show_labeled(console, labeled)
        for solution in item.solutions:
            show_solution(console, solution)
        if rollouts:
            show_nodes(console, passed(item), rollouts)
        shown += len(item.labeled) + len(item.solutions)
    return shown


def passed(item: ItemRecords) -> tuple[Node, ...]:
    """The measured prefixes of the solutions that are shown; all, where none is."""
    shown = [one.solution.steps for one in item.labeled]
    return tuple(node for node in item.nodes if not shown or any(steps[: len(node.prefix)] == node.prefix for steps in shown))


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
