"""`openr-data estimate`: what a run will cost, before it is paid."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from openr_data.cli import options
from openr_data.cli.console import err, print_json
from openr_data.cli.console import out as console
from openr_data.cli.progress import duration

if TYPE_CHECKING:
    from openr_data.pipelines.estimate import Amount, Estimate

METHODS = ("omegaprm", "math-shepherd", "mips")


@options.grouped
def estimate(
    problems: Annotated[str, typer.Argument(help="As for `generate`.")],
    pilot: Annotated[int, typer.Option("--pilot", min=1, help="Problems that are really sampled.")] = 20,
    solutions: Annotated[int, typer.Option("--solutions", "-n", min=1, help="Solutions per problem.")] = 4,
    rollouts: Annotated[int, typer.Option("--rollouts", "-k", min=1, help="Rollouts per measured prefix.")] = 8,
    filter_rollouts: Annotated[int, typer.Option("--filter-rollouts", min=0, help="Of OmegaPRM's question filter.")] = 32,
    searches: Annotated[int, typer.Option("--searches", min=0, help="OmegaPRM's own searches per problem.")] = 20,
    *,
    engine: options.EngineOptions,
    sampling: options.SamplingOptions,
    source: options.ProblemOptions,
    as_json: options.Json = False,
) -> None:
    """Sample a few problems, then say what generating and each labelling method will cost for all of them.

    Nothing is written. Ranges are two standard errors of the pilot wide; rollouts from a prefix count as half a solution.
    """
    from openr_data.labelers import LabelConfig
    from openr_data.pipelines.config import GenerateConfig
    from openr_data.pipelines.estimate import estimate as run_pilot

    config = GenerateConfig(
        source=source.source(problems, sampling.seed),
        engine=engine.spec(),
        sampling=sampling.sampling(),
        solutions=solutions,
    ).checked()
    label = LabelConfig(rollouts=rollouts, filter_rollouts=filter_rollouts, searches=searches).checked(METHODS)
    with err.status("sampling the pilot"):
        result = run_pilot(config, label, engine.limits(), pilot=pilot, methods=METHODS)
    if as_json:
        print_json(asdict(result))
    else:
        show_estimate(result)


def show_estimate(result: Estimate) -> None:
    pilot = result.pilot
    console.print(
        f"pilot: {pilot.problems} problems, {pilot.solutions} solutions, {pilot.right:.0%} right, {pilot.steps:.1f} steps and "
        f"{pilot.tokens:.0f} tokens each, {pilot.tokens_per_second:,.0f} tokens per second"
    )
    table = Table(title=f"{result.problems:,} problems", box=None, pad_edge=False, title_justify="left", header_style="dim")
    for name in ("stage", "completions", "tokens", "range", "time"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    table.add_row("generate", *_cells(result.generate))
    for method, amount in result.label.items():
        table.add_row(f"label {method}", *_cells(amount))
    console.print(table)


def _cells(amount: Amount) -> tuple[str, str, str, str]:
    spread = f"{amount.low:,.0f} - {amount.high:,.0f}"
    return f"{amount.completions:,.0f}", f"{amount.tokens:,.0f}", spread, duration(amount.hours * 3600)
