"""`openr-data generate`: solutions of a model, sampled and graded."""

from __future__ import annotations

from typing import Annotated

import typer

from openr_data.cli import options
from openr_data.cli.fold import api_name, engine_name, run_options, truncated_of, ungradable_of

_PROBLEMS = "A file (JSONL, JSON, CSV, Parquet, Arrow), a directory, a Hub data set (owner/name), or builtin."


def generate(
    problems: Annotated[str, typer.Argument(help=_PROBLEMS)],
    out: options.Out,
    engine: options.Engine = "",
    model: options.Model = "",
    revision: options.Revision = "",
    template: options.Template = "auto",
    dtype: options.Dtype = "auto",
    api: options.Api = "completions",
    script: options.Script = "",
    base_url: options.BaseUrl = None,
    api_key_env: options.ApiKeyEnv = "OPENAI_API_KEY",
    slots: options.Slots = 0,
    device: options.Device = "auto",
    timeout: options.Timeout = 600.0,
    tensor_parallel: options.TensorParallel = 1,
    max_model_len: options.MaxModelLen = 0,
    gpu_memory: options.GpuMemory = 0.9,
    solutions: Annotated[
        int, typer.Option("--solutions", "-n", min=1, help="Solutions per problem.", rich_help_panel="Sampling")
    ] = 4,
    temperature: options.Temperature = 1.0,
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    max_tokens: options.MaxTokens = 2048,
    stop: options.Stop = None,
    seed: options.Seed = 0,
    truncated: options.Truncated = "unknown",
    ungradable: options.Ungradable = "unknown",
    split: options.Split = "",
    config_name: options.ConfigName = "",
    data_revision: options.DataRevision = "",
    question_field: options.QuestionField = "",
    answer_field: options.AnswerField = "",
    id_field: options.IdField = "",
    limit: options.Limit = 0,
    count: options.Count = 100,
    difficulty: options.Difficulty = 0,
    grader: options.Grader = "math",
    resume: options.Resume = False,
    fork: options.Fork = None,
    reuse: options.Reuse = None,
    shard_size: options.ShardSize = 500,
    format: options.Format = "parquet",  # noqa: A002 - the option's name
    in_flight: options.InFlight = 0,
    max_failures: options.MaxFailures = 20,
    strict: options.Strict = False,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Sample solutions of every problem and grade their answers.

    Writes a run directory: Parquet tables that `datasets.load_dataset(OUT)` opens, a journal of every completion, rejected rows
    with their reason. Kill it at any moment: `--resume` goes on without paying for a finished completion again.

    openr-data generate problems.jsonl --engine vllm --model Qwen/Qwen2.5-Math-7B-Instruct --out runs/math
    """
    from openr_data.cli.run import execute
    from openr_data.engines import EngineSpec
    from openr_data.pipelines.config import GenerateConfig
    from openr_data.pipelines.generate import generate_stage
    from openr_data.problems import ProblemSource
    from openr_data.problems.arithmetic import DEFAULT_DIFFICULTY
    from openr_data.types import Sampling

    config = GenerateConfig(
        source=ProblemSource(
            location=problems,
            config=config_name,
            split=split,
            revision=data_revision,
            question_field=question_field,
            answer_field=answer_field,
            id_field=id_field,
            limit=limit,
            count=count,
            difficulty=difficulty or DEFAULT_DIFFICULTY,
            seed=seed,
        ),
        engine=EngineSpec(engine_name(engine, model), model, revision, template, None, dtype, api_name(api), script),
        sampling=Sampling(temperature, max_tokens, seed, top_p, top_k, tuple(stop or ())),
        solutions=solutions,
        grader=grader,
        truncated=truncated_of(truncated),
        ungradable=ungradable_of(ungradable),
        shard_size=shard_size,
        format=format,
    ).checked()
    how = run_options(
        out=out,
        resume=resume,
        fork_of=fork,
        reuse=reuse,
        slots=slots,
        device=device,
        base_url=base_url,
        api_key_env=api_key_env,
        timeout=timeout,
        tensor_parallel=tensor_parallel,
        max_model_len=max_model_len,
        gpu_memory=gpu_memory,
        window=in_flight,
        max_failures=max_failures,
        strict=strict,
    )
    execute(generate_stage(config), how, dry_run=dry_run, as_json=as_json)
