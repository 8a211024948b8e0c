"""`openr-data label`: a label for every step of every solution."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from openr_data.cli import options
from openr_data.errors import UsageError

_SOLUTIONS = "A run of `openr-data generate`, or a file, directory or Hub data set of questions with solution steps."
_ANSWERS = "File with reference answers, for solutions that come without (joined on the question's text)."


@options.grouped
def label(
    context: typer.Context,
    solutions: Annotated[str, typer.Argument(help=_SOLUTIONS)],
    out: options.Out,
    *,
    method: options.Method = "omegaprm",
    settings: options.MethodOptions,
    answers: Annotated[str, typer.Option("--answers", help=_ANSWERS, rich_help_panel="Input")] = "",
    separator: Annotated[
        str | None,
        typer.Option("--separator", help="What stands between steps of a file's solutions.", rich_help_panel="Input"),
    ] = None,
    engine: options.EngineOptions,
    judge: options.JudgeOptions,
    prover: options.ProverOptions,
    sampling: options.InheritedSamplingOptions,
    verdicts: options.VerdictOptions,
    source: options.SolutionOptions,
    grader: options.Grader = "math",
    running: options.RunningOptions,
    scaling: options.ExecutorOptions,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Label every step of every solution by Monte Carlo rollouts.

    The engine defaults to the one that wrote the solutions, with its sampling. Counts, tree, rollouts, verdicts, seeds and costs
    are all kept: hard and soft labels are readings of them.

    openr-data label runs/math --method omegaprm --out runs/math-labeled
    """
    from openr_data.cli.run import execute
    from openr_data.labelers import checked
    from openr_data.pipelines.config import LabelRunConfig
    from openr_data.pipelines.label import label_stage
    from openr_data.pipelines.sources import is_run, recorded_engine, recorded_sampling
    from openr_data.problems import ProblemSource

    labels = checked(settings.label_config(method, verdicts))
    settings.read_by([method])
    given = source.source(solutions)
    spec = engine.spec_or(recorded_engine(given), separator)
    if separator is not None and is_run(given):
        raise UsageError(f"--separator is for files: the steps of {solutions} stand in its records")
    drawn = sampling.sampling(recorded_sampling(given))
    seconds = {each.name: (each.limits(), second) for each in (judge, prover) if (second := each.second(drawn))}
    if "prover" in seconds:
        settings.beside_prover()
    config = LabelRunConfig(
        source=given,
        engine=spec,
        sampling=drawn,
        label=labels,
        answers=ProblemSource(answers) if answers else None,
        grader=grader,
        shard_size=running.shard_size,
        format=running.format,
        engines={name: second for name, (_, second) in seconds.items()},
    ).checked()
    second_limits = {name: limits for name, (limits, _) in seconds.items()}
    run_options = replace(running.options(out, engine.limits()), second_limits=second_limits)
    execute(label_stage(config), run_options, scaling, context, dry_run=dry_run, as_json=as_json)
