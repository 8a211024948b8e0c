"""`openr-data report`: what a data set holds, how good its labels are, and what of it stands in benchmarks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from openr_data.cli import options
from openr_data.cli.console import err, print_json, warn
from openr_data.cli.console import out as console
from openr_data.errors import OpenRDataError, UsageError

if TYPE_CHECKING:
    from openr_data.data_cards.report import Section
    from openr_data.data_cards.statistics import Statistics

_LIST = Annotated[
    list[Path] | None,
    typer.Argument(help="Further runs that labelled the same solutions: how far they agree.", metavar="OTHER"),
]


def report(
    run: Annotated[Path, typer.Argument(help="Run directory of generate, label or import.", show_default=False)],
    others: _LIST = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against",
            help="A benchmark that must not be in the data: a file, directory or Hub data set with questions, such as MATH-500 "
            "(repeatable).",
            show_default=False,
        ),
    ] = None,
    question_field: Annotated[
        str, typer.Option("--question-field", help="Column of the benchmarks with the question, where it is not recognised.")
    ] = "",
    ngram: Annotated[int, typer.Option("--ngram", min=1, help="Words in an n-gram; shorter questions are compared whole.")] = 8,
    threshold: Annotated[
        float, typer.Option("--threshold", help="Share of a benchmark question's n-grams from which on a problem overlaps.")
    ] = 0.5,
    fail_on_overlap: Annotated[
        bool, typer.Option("--fail-on-overlap", help="Exit with 1 when a problem overlaps with a benchmark.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the report here, as Markdown.", show_default=False)
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Report on a data set: label balance, first errors, values, lengths, pass rates, duplicates and cost per labelled step.

    With further runs, how far their labels agree on the same solutions; with --against, which problems stand in a benchmark, or
    nearly so. An unfinished run is reported as far as it is sealed.

    openr-data report runs/labels runs/other-labels --against math500.jsonl --out report.md
    """
    from openr_data.pipelines.statistics import statistics
    from openr_data.problems import ProblemSource
    from openr_data.store.read import RunReader

    check_options(out, against, fail_on_overlap=fail_on_overlap)
    complete = RunReader.open(run).complete
    with err.status("reading the shards"):
        found = statistics(
            run,
            benchmarks=[ProblemSource(str(each), question_field=question_field) for each in against or ()],
            others=others or (),
            ngram=ngram,
            threshold=threshold,
        )
    if out is not None:
        write_report(out, run.resolve().name, found)
    if as_json:
        print_json({"run": str(run), "complete": complete, **asdict(found)})
    else:
        show_report(found)
    if not complete:
        warn(f"{run} is not complete: this is what is sealed so far")
    overlapping = sum(each.overlapping for each in found.overlaps)
    if fail_on_overlap and overlapping:
        raise OpenRDataError(
            f"{overlapping:,} overlaps with benchmarks: leave those problems out, or raise --threshold where they differ"
        )


def check_options(out: Path | None, against: list[Path] | None, *, fail_on_overlap: bool) -> None:
    """Before anything is read."""
    if fail_on_overlap and not against:
        raise UsageError("--fail-on-overlap needs a benchmark to compare with; name one with --against")
    if out is not None and out.exists():
        raise UsageError(f"{out} is there already; choose another file for the report, or remove it")


def write_report(path: Path, name: str, found: Statistics) -> None:
    from openr_data.data_cards.report import render_report
    from openr_data.store.atomic import storage_errors, write_text

    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render_report(f"Report on {name}", found))


def show_report(found: Statistics) -> None:
    """Tables, then bars."""
    from openr_data.cli.charts import show_charts
    from openr_data.data_cards.report import sections

    for section in sections(found):
        console.print(section_table(section))
        if section.note:
            console.print(section.note, style="dim", markup=False)
        console.print()
    show_charts(console, found)


def section_table(section: Section) -> Table:
    """Text of files and models is shown as it is, never obeyed."""
    from openr_data.cli.show import visible

    table = Table(title=section.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD if section.head else None)
    table.show_edge = False
    table.pad_edge, table.padding, table.show_header = False, (0, 2, 0, 0), bool(section.head)
    for place, name in enumerate(section.head or ("", "")):
        table.add_column(visible(name), justify="right" if place and section.head else "left", overflow="fold")
    for row in section.rows:
        table.add_row(*map(visible, row))
    return table
