"""`openr-data view`: a run as one HTML file to browse."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import print_json, warn
from openr_data.cli.progress import duration, progress

if TYPE_CHECKING:
    from openr_data.pipelines.viewing.view import ViewSummary


def view(
    run: Annotated[Path, typer.Argument(help="Run directory.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write (default: view.html in the run).", show_default=False)
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Problems on the page, from the first on (0: all).")] = 5000,
    rollouts: Annotated[int, typer.Option("--rollouts", min=0, help="Rollouts of each prefix whose text is kept.")] = 16,
    as_json: options.Json = False,
) -> None:
    """Write one HTML file to browse a run: problems, solutions with coloured steps, trees, figures and costs.

    The file needs no network and no server: open it in any current browser, or send it to somebody. Texts of a model are shown as
    text, whatever is in them. An earlier page is made again; any other file is left alone. A run that is not finished shows the
    shards that are.

    openr-data view runs/math-omegaprm --open
    """
    from openr_data.pipelines.viewing.view import ViewLimits, write_view

    with progress() as report:
        summary = write_view(run, out, ViewLimits(limit, rollouts), report)
    if as_json:
        print_json(asdict(summary))
    else:
        show_summary(summary)
    if open_page:
        _open(Path(summary.out))


def show_summary(summary: ViewSummary) -> None:
    held = (
        f"{summary.problems:,} problems, {summary.solutions:,} solutions, {summary.steps:,} steps, {summary.rollouts:,} rollouts"
    )
    console.print(f"page       {summary.out}", markup=False, soft_wrap=True)
    console.print(f"holds      {held}", markup=False, soft_wrap=True)
    console.print(f"size       {size(summary.bytes)}, made in {duration(summary.seconds)}", markup=False)
    if not summary.complete:
        warn("the run is not finished: the page shows its finished shards")
    for sentence in summary.left_out:
        warn(f"left out: {sentence}")


def size(count: int) -> str:
    """A size a person can read.

    >>> size(900), size(250_000), size(3_400_000)
    ('0.9 kB', '250 kB', '3.4 MB')
    """
    if count < 1_000_000:
        return f"{count / 1000:.1f} kB" if count < 10_000 else f"{count / 1000:.0f} kB"
    return f"{count / 1_000_000:.1f} MB"


def _open(page: Path) -> None:
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        warn(f"no browser could be opened; open {page} yourself")
