"""`openr-data rl sft`: a policy that imitates right solutions of data sets."""

from __future__ import annotations

from typing import Annotated

import typer

from openr_data.cli import options
from openr_data.cli.options.rl import LearnOptions, WatchOptions
from openr_data.cli.rl import running

_DATA = "Solutions: runs, published folders or data sets, or files of a known layout. Right ones are learnt from."
_SEPARATOR = r"What stands between steps, instead of the template's own: \n, or \n\n for a blank line (format training)."


@options.grouped
def sft(
    data: Annotated[list[str], typer.Argument(help=_DATA, metavar="DATA...", show_default=False)],
    out: running.Out,
    *,
    epochs: Annotated[float, typer.Option("--epochs", help="Times over the solutions.", rich_help_panel="Learning")] = 2.0,
    updates: Annotated[
        int, typer.Option("--updates", min=0, help="Instead of --epochs (0: as it says).", rich_help_panel="Learning")
    ] = 0,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Solutions of an update.", rich_help_panel="Learning")] = 64,
    separator: Annotated[str, typer.Option("--separator", help=_SEPARATOR, show_default=False, rich_help_panel="Learning")] = "",
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
    r"""Fine-tune a policy on right solutions of data sets: behaviour cloning, and the format of its steps.

    Where steps are labelled, solutions with a wrong step are left out. Questions that measure, and those of evaluation sets, are
    never learnt from.

    openr-data rl sft runs/solutions --separator '\n\n' --out runs/policy
    """
    from dataclasses import replace

    from openr_data.pipelines.rl.config import Sft

    asking = running.Asking(watch, engine, sampling, source, None, grader)
    config = asking.config("", teaching=Sft(tuple(data), batch, epochs), learn=learn.value(sampling.sampling()), updates=updates)
    if separator:
        config = replace(config, engine=engine.spec(separator.replace("\\n", "\n")))
    running.carry_out(asking.asked(config, out, threads, resume=resume), as_json=as_json)
