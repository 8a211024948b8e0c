"""`openr-data quickstart`: the whole story on the built-in model."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import print_json
from openr_data.cli.progress import duration, progress
from openr_data.store.codecs import plain_config

if TYPE_CHECKING:
    from openr_data.pipelines.quickstart import MethodReport, QuickstartReport


def quickstart(
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory for the data sets.")] = Path("quickstart"),
    problems: Annotated[int, typer.Option("--problems", min=1, help="Problems to solve.")] = 60,
    solutions: Annotated[int, typer.Option("--solutions", "-n", min=1, help="Solutions per problem.")] = 4,
    rollouts: Annotated[int, typer.Option("--rollouts", "-k", min=1, help="Rollouts per measured prefix.")] = 8,
    prm_problems: Annotated[
        int, typer.Option("--prm-problems", min=0, help="Problems whose labels a PRM is trained on (0: none).")
    ] = 120,
    seed: options.Seed = 0,
    slots: options.Slots = 0,
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Make a labelled data set with the model that ships inside, and judge every method against the truth.

    Samples solutions of generated arithmetic problems, labels their steps with OmegaPRM, the adaptive labeler, Math-Shepherd and
    MiPS, and compares the labels with an exact oracle. Then trains a process reward model on adaptive labels and lets it choose
    among solutions of new problems. Offline, on a CPU, in about three minutes. Run it again and it goes on where it was.
    """
    from openr_data.cli.quickstart_prm import prm_json
    from openr_data.engines import EngineLimits
    from openr_data.pipelines.quickstart import QuickstartConfig
    from openr_data.pipelines.quickstart import quickstart as tell
    from openr_data.pipelines.quickstart_prm import PRMStage

    config = QuickstartConfig(problems=problems, solutions=solutions, rollouts=rollouts, seed=seed, prm=PRMStage(prm_problems))
    began = time.monotonic()
    with progress() as report:
        result = tell(config, out, EngineLimits(slots=slots, device=device), report=report)
    seconds = time.monotonic() - began
    if as_json:
        plain = {**plain_config(replace(result, prm=None)), "seconds": round(seconds, 1)}
        print_json({**plain, "prm": prm_json(result.prm) if result.prm else None})
        return
    show(result, seconds, out)


def show(result: QuickstartReport, seconds: float, out: Path) -> None:
    from openr_data.cli.quickstart_prm import show_prm
    from openr_data.cli.show import show_labeled, show_problem
    from openr_data.pipelines.quickstart import example

    console.print()
    console.print(comparison(result))
    console.print(
        "[dim]Solutions with a wrong answer: how many could be decided, how often the first wrong step was found "
        "exactly, too early or too late, precision and recall of the steps called wrong. Rollouts and generated tokens "
        "are per labelled solution: right ones included, and those that the trees make of their own rollouts. "
        f"{pilots(result)}"
        f"{result.recovered} solutions took a wrong step back and are right: rollouts cannot see those errors.[/]"
    )
    shown = example(Path(result.methods[0].out))
    if shown is not None:
        console.print()
        show_problem(console, shown[0].problem)
        show_labeled(console, shown[1])
    console.print()
    count = sum(method.labelled for method in result.methods[:1])
    console.print(f"{count} labelled solutions. Load them:", markup=False)
    console.print(f'    datasets.load_dataset("{result.methods[0].out}", split="train")', markup=False, style="bold")
    console.print(f"Its card, with figures: {result.methods[0].out}/README.md", markup=False)
    run = result.methods[0].out
    if result.prm is not None:
        show_prm(console, result.prm)
    console.print(f"Done in {duration(seconds)}. Look further:", markup=False)
    console.print(f"    openr-data inspect {run} --rollouts 2\n    openr-data view {run} --open", markup=False)


def pilots(result: QuickstartReport) -> str:
    """A sentence on what does not stand in the table."""
    drawn = [f"{method.method} {method.pilot.tokens:,} tokens" for method in result.methods if method.pilot.rollouts]
    return f"Not in the table: the pilot that fits a model, {', '.join(drawn)} in all. " if drawn else ""


def comparison(result: QuickstartReport) -> Table:
    """Fits a terminal of 80 columns."""
    table = Table(title="Labels against the exact oracle", title_justify="left", box=box.SIMPLE_HEAD, header_style="bold")
    table.padding, table.pad_edge = (0, 1, 0, 0), False
    table.add_column("method", no_wrap=True)
    for name in ("decided", "exact", "early", "late", "prec.", "recall", "rollouts", "tokens"):
        table.add_column(name, justify="right", no_wrap=True)
    for method in result.methods:
        table.add_row(method.method, *cells(method))
    return table


def cells(report: MethodReport) -> list[str]:
    wrong = report.wrong
    shares = (wrong.exact_match, wrong.too_early, wrong.too_late, wrong.wrong_precision, wrong.wrong_recall)
    return [
        f"{wrong.decided}/{wrong.solutions}",
        *("-" if share is None else f"{share:.2f}" for share in shares),
        f"{report.rollouts_per_solution:.1f}",
        f"{report.tokens_per_solution:,.0f}",
    ]
