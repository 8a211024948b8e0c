"""`openr-data prm score`: what a process reward model says of every step."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import print_json, warn
from openr_data.cli.prm.evaluate import ModelOptions
from openr_data.cli.progress import duration, progress
from openr_data.errors import InputError, UsageError

if TYPE_CHECKING:
    from openr_data.pipelines.prm.scoring import ScoringSummary
    from openr_data.prm.score.base import ScoreRequest, ScorerSpec
    from openr_data.prm.scores import StepScores

_LINES = 1024
"""Solutions of standard input that are scored together."""


@options.grouped
def score(
    source: Annotated[
        str,
        typer.Argument(
            help="Run, published folder, file of a known layout or data set of the Hub; - reads JSON lines with question and "
            "steps from standard input.",
        ),
    ] = "",
    *,
    prm: Annotated[str, typer.Option("--prm", help="Process reward model: a folder, a Hub name or builtin.", show_default=False)],
    model: ModelOptions,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write, or a file ending in .parquet or .arrow.", show_default=False),
    ] = None,
    aggregate: Annotated[
        list[str] | None,
        typer.Option("--aggregate", help="Score of a whole solution (repeatable). Default: min, last, product, mean."),
    ] = None,
    question: Annotated[str, typer.Option("--question", "-q", help="Score this question's --step now and print it.")] = "",
    step: Annotated[list[str] | None, typer.Option("--step", help="A step of the solution (repeatable).")] = None,
    as_json: options.Json = False,
) -> None:
    """Score the steps of solutions: of a whole data set into Parquet or Arrow, or of a few into the terminal.

    Every solution gets the margin and the probability of each step and its aggregates, or the reason why it has none. The same
    command goes on where it was stopped.

    openr-data prm score runs/solutions --prm runs/prm --out scores.parquet
    """
    from openr_data.pipelines.prm.scoring import DEFAULT_AGGREGATES, check_aggregates

    names = tuple(aggregate or DEFAULT_AGGREGATES)
    check_aggregates(names)
    _check(source, out, question, step)
    spec = model.spec(prm)
    if question:
        _show([(question, tuple(step or ()))], spec, names, as_json=as_json)
    elif source == "-":
        _show(_lines(), spec, names, as_json=as_json)
    elif out is not None:
        _score_all(source, spec, out, names, as_json=as_json)


def _check(source: str, out: Path | None, question: str, step: Sequence[str] | None) -> None:
    """What is asked for, in one way."""
    if bool(question) != bool(step):
        raise UsageError("--question and --step go together: a question, and --step for each step of its solution")
    if bool(question) == bool(source):
        raise UsageError("name a data set to score (or - for JSON lines), or give --question and --step")
    if out is None and source not in {"", "-"}:
        raise UsageError("name where the scores go, with --out: a folder, or a file ending in .parquet or .arrow")
    if out is not None and source in {"", "-"}:
        raise UsageError("--out is for the scores of a data set; those of --question and of standard input are printed")


def _score_all(source: str, spec: ScorerSpec, out: Path, names: tuple[str, ...], *, as_json: bool) -> None:
    from openr_data.pipelines.prm.config import parse_source
    from openr_data.pipelines.prm.score_sources import open_solutions
    from openr_data.pipelines.prm.scoring import score_solutions
    from openr_data.prm.score.open import open_scorer

    solutions = open_solutions(parse_source(source))
    if not solutions.complete:
        warn(f"{source} is not complete: what is finished so far is scored")
    scorer = open_scorer(spec)
    with progress() as report:
        summary = score_solutions(solutions, scorer, out, aggregates=names, report=report)
    if as_json:
        print_json(asdict(summary))
    else:
        show_summary(summary)


def show_summary(summary: ScoringSummary) -> None:
    from openr_data.cli.show import visible

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("scores", visible(summary.out))
    before = f", {summary.before:,} of them before" if summary.before else ""
    table.add_row("solutions", f"{summary.solutions:,}{before}; {summary.steps:,} steps")
    rate = f"{summary.tokens:,} tokens in {duration(summary.seconds)} ({summary.tokens_per_second:,.0f} per second)"
    used = summary.model_flops_utilisation
    table.add_row("this attempt", rate + ("" if used is None else f", {used:.0%} of the device's peak"))
    table.add_row("means", ", ".join(f"{name} {value:.4g}" for name, value in summary.means.items()))
    table.add_row("model", summary.model[:16])
    console.print(table)
    if summary.rejected:
        warn(f"{summary.rejected:,} rows are not of the layout of {summary.source} and were left out")
    if summary.scored < summary.solutions:
        missing = summary.solutions - summary.scored
        warn(f"{missing:,} solutions have no score (column reason), for example: {summary.reason}")


def _lines() -> Iterator[ScoreRequest]:
    for number, line in enumerate(sys.stdin, 1):
        if line.strip():
            yield _request(line, number)


def _request(line: str, number: int) -> ScoreRequest:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    question, steps = (found.get("question"), found.get("steps")) if isinstance(found, dict) else (None, None)
    if not isinstance(question, str) or not isinstance(steps, list) or not all(isinstance(step, str) for step in steps):
        raise InputError(f'line {number} is not of the form {{"question": "...", "steps": ["...", ...]}}')
    return question, tuple(steps)


def _show(
    requests: Iterator[ScoreRequest] | list[ScoreRequest], spec: ScorerSpec, names: tuple[str, ...], *, as_json: bool
) -> None:
    """Each solution as soon as it is scored; JSON lines with --json."""
    from openr_data.prm.score.open import open_scorer

    scorer = open_scorer(spec)
    rest = iter(requests)
    while some := list(islice(rest, _LINES)):
        for request, scores in zip(some, scorer.score(some), strict=True):
            if as_json:
                sys.stdout.write(json.dumps(facts(request, scores, names), ensure_ascii=False) + "\n")
            else:
                show_scores(request, scores, names)


def facts(request: ScoreRequest, scores: StepScores, names: Sequence[str]) -> dict[str, Any]:
    from openr_data.aggregate import AGGREGATES

    values = {name: AGGREGATES[name](scores.probabilities) if scores.margins else None for name in names}
    return {
        "question": request[0],
        "steps": list(request[1]),
        "margins": list(scores.margins),
        "probabilities": list(scores.probabilities),
        **values,
        "reason": scores.reason,
    }


def show_scores(request: ScoreRequest, scores: StepScores, names: Sequence[str]) -> None:
    """A line per step, coloured by its probability; text is shown as it is, never obeyed."""
    from openr_data.cli.show import colour, visible

    question, steps = request
    console.print(visible(question, "bold"), soft_wrap=not console.is_terminal)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "p(+)", "margin"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("step", overflow="fold")
    values = scores.probabilities or (None,) * len(steps)
    margins = scores.margins or (None,) * len(steps)
    for number, (step, value, margin) in enumerate(zip(steps, values, margins, strict=True), 1):
        table.add_row(str(number), _number(value, ".3f"), _number(margin, "+.2f"), visible(step, colour(value)))
    console.print(table)
    if scores.reason:
        warn(f"not scored: {scores.reason}")
    else:
        found = facts(request, scores, names)
        console.print(", ".join(f"{name} {found[name]:.4g}" for name in names), style="dim", markup=False)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
