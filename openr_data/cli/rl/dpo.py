"""`openr-data rl dpo`: a policy that learns which of two steps is the right one."""

from __future__ import annotations

from typing import Annotated

import typer

from openr_data.cli import options
from openr_data.cli.options.rl import LearnOptions, WatchOptions
from openr_data.cli.rl import running

_DATA = "Labelled solutions: runs of label, published folders or data sets, or files of a known layout."
_PANEL = "Pairs"


@options.grouped
def dpo(
    data: Annotated[list[str], typer.Argument(help=_DATA, metavar="DATA...", show_default=False)],
    out: running.Out,
    *,
    whole: Annotated[
        bool, typer.Option("--whole", help="Compare everything from the step on, not the step alone.", rich_help_panel=_PANEL)
    ] = False,
    per_question: Annotated[
        int, typer.Option("--per-question", min=0, help="At most so many pairs (0: all).", rich_help_panel=_PANEL)
    ] = 8,
    beta: Annotated[
        float, typer.Option("--beta", help="Strength of the tie to the policy that came in.", rich_help_panel=_PANEL)
    ] = (0.1),
    smoothing: Annotated[
        float, typer.Option("--smoothing", help="Share of pairs taken to be the wrong way round.", rich_help_panel=_PANEL)
    ] = 0.0,
    likelihood: Annotated[
        float, typer.Option("--likelihood", help="Weight of the likelihood of what is chosen.", rich_help_panel=_PANEL)
    ] = 0.0,
    epochs: Annotated[float, typer.Option("--epochs", help="Times over the pairs.", rich_help_panel="Learning")] = 1.0,
    updates: Annotated[
        int, typer.Option("--updates", min=0, help="Instead of --epochs (0: as it says).", rich_help_panel="Learning")
    ] = 0,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Pairs of an update.", rich_help_panel="Learning")] = 64,
    learn: LearnOptions,
    watch: WatchOptions,
    engine: options.EngineOptions,
    sampling: options.SamplingOptions,
    source: options.ProblemOptions,
    grader: options.Grader = "math",
    threads: running.Threads = 0,
    resume: running.Resume = False,
    as_json: options.Json = False,
) -> None:
    """Train a policy on preference pairs of labelled solutions: Step-DPO, or DPO over the rest of the solution (--whole).

    Rejected is the first wrong step of a solution, chosen a right one after the same steps: of another solution, or of a rollout
    that ended right. A step ends with its separator and no end token, so that nobody learns to stop after one.

    openr-data rl dpo runs/labels --out runs/dpo
    """
    from openr_data.pipelines.rl.config import Dpo
    from openr_data.rl.preferences import PairLoss

    asking = running.Asking(watch, engine, sampling, source, None, grader)
    teaching = Dpo(tuple(data), whole, per_question, batch, epochs, PairLoss(beta, smoothing, likelihood))
    config = asking.config("", teaching=teaching, learn=learn.value(sampling.sampling()), updates=updates)
    running.carry_out(asking.asked(config, out, threads, resume=resume), as_json=as_json)
