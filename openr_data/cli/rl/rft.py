"""`openr-data rl rft`: a policy that imitates its own right solutions."""

from __future__ import annotations

from typing import Annotated

import typer

from openr_data.cli import options
from openr_data.cli.options.rl import LearnOptions, WatchOptions
from openr_data.cli.rl import running

_PANEL = "Selection"


@options.grouped
def rft(
    problems: Annotated[str, typer.Argument(help=running.PROBLEMS)],
    out: running.Out,
    *,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Times that it samples anew.", rich_help_panel=_PANEL)] = 2,
    questions: Annotated[int, typer.Option("--questions", min=1, help="Of a round.", rich_help_panel=_PANEL)] = 500,
    group: Annotated[int, typer.Option("--group", min=1, help="Solutions of each.", rich_help_panel=_PANEL)] = 8,
    keep: Annotated[
        int, typer.Option("--keep", min=0, help="At most so many different right ones of each (0: all).", rich_help_panel=_PANEL)
    ] = 4,
    least: Annotated[
        float,
        typer.Option("--least", help="With --prm: a worst step below it is right by luck, and left out.", rich_help_panel=_PANEL),
    ] = 0.0,
    reasoning: running.Marks = "",
    updates: running.Updates = 100,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Solutions of an update.", rich_help_panel="Learning")] = 64,
    learn: LearnOptions,
    prm: options.PrmOptions,
    watch: WatchOptions,
    engine: options.EngineOptions,
    sampling: options.SamplingOptions,
    source: options.ProblemOptions,
    grader: options.Grader = "math",
    threads: running.Threads = 0,
    resume: running.Resume = False,
    as_json: options.Json = False,
) -> None:
    """Fine-tune a policy on its own right solutions (rejection sampling), in rounds.

    Of a question the solutions that differ are kept, with --prm those with the best worst step first.

    openr-data rl rft builtin --count 2000 --difficulty 10 --rounds 2 --out runs/rft
    """
    from openr_data.pipelines.rl.config import Rft
    from openr_data.rl.reasoning import Reasoning

    asking = running.Asking(watch, engine, sampling, source, prm.spec(), grader)
    config = asking.config(
        problems,
        teaching=Rft(rounds, questions, group, keep, least, batch),
        learn=learn.value(sampling.sampling()),
        updates=updates,
        reasoning=Reasoning.of(reasoning),
    )
    running.carry_out(asking.asked(config, out, threads, resume=resume), as_json=as_json)
