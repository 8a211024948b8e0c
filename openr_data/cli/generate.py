"""`openr-data generate`: solutions of a model, sampled and graded."""

from __future__ import annotations

from typing import Annotated

import typer

from openr_data.cli import options

_PROBLEMS = "A file (JSONL, JSON, CSV, Parquet, Arrow), a directory, a Hub data set (owner/name), or builtin."


@options.grouped
def generate(
    context: typer.Context,
    problems: Annotated[str, typer.Argument(help=_PROBLEMS)],
    out: options.Out,
    *,
    engine: options.EngineOptions,
    solutions: options.Solutions = 4,
    sampling: options.SamplingOptions,
    verdicts: options.VerdictOptions,
    source: options.ProblemOptions,
    grader: options.Grader = "math",
    running: options.RunningOptions,
    scaling: options.ExecutorOptions,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Sample solutions of every problem and grade their answers.

    Writes a run directory: Parquet tables that `datasets.load_dataset(OUT)` opens, a journal of every completion, rejected rows
    with their reason. Kill it at any moment: `--resume` goes on without paying for a finished completion again.

    openr-data generate problems.jsonl --engine vllm --model Qwen/Qwen2.5-Math-7B-Instruct --out runs/math
    """
    from openr_data.cli.run import execute
    from openr_data.pipelines.config import GenerateConfig
    from openr_data.pipelines.generate import generate_stage

    config = GenerateConfig(
        source=source.source(problems, sampling.seed),
        engine=engine.spec(),
        sampling=sampling.sampling(),
        solutions=solutions,
        grader=grader,
        truncated=verdicts.of_truncated,
        ungradable=verdicts.of_ungradable,
        shard_size=running.shard_size,
        format=running.format,
    ).checked()
    execute(generate_stage(config), running.options(out, engine.limits()), scaling, context, dry_run=dry_run, as_json=as_json)
