"""`openr-data label`: a label for every step of every solution."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from openr_data.cli import options
from openr_data.cli.fold import api_name, engine_name, recorded_or, run_options, truncated_of, ungradable_of

_METHOD = "Method"
_SOLUTIONS = "A run of `openr-data generate`, or a file, directory or Hub data set of questions with solution steps."
_ANSWERS = "File with reference answers, for solutions that come without (joined on the question's text)."
_STEPS = "semantic (the separator's), or tokens (OmegaPRM's equal token spans, 16 per average solution)."


def label(
    solutions: Annotated[str, typer.Argument(help=_SOLUTIONS)],
    out: options.Out,
    method: Annotated[
        str, typer.Option("--method", help="omegaprm, math-shepherd or mips.", rich_help_panel=_METHOD)
    ] = "omegaprm",
    rollouts: Annotated[
        int, typer.Option("--rollouts", "-k", min=1, help="Rollouts per measured prefix.", rich_help_panel=_METHOD)
    ] = 8,
    filter_rollouts: Annotated[
        int, typer.Option("--filter-rollouts", min=0, help="Of the question filter; 0: off (omegaprm).", rich_help_panel=_METHOD)
    ] = 32,
    searches: Annotated[
        int, typer.Option("--searches", min=0, help="Searches of the tree's own rollouts (omegaprm).", rich_help_panel=_METHOD)
    ] = 20,
    rollout_limit: Annotated[
        int, typer.Option("--rollout-limit", min=0, help="Rollouts per problem; 0: no limit (omegaprm).", rich_help_panel=_METHOD)
    ] = 0,
    estimates: Annotated[
        str,
        typer.Option(
            "--estimates", help="hard: right solutions are free; soft: measure them too (math-shepherd).", rich_help_panel=_METHOD
        ),
    ] = "hard",
    alpha: Annotated[float, typer.Option("--alpha", help="Of Q, OmegaPRM Eq. 2.", rich_help_panel=_METHOD)] = 0.5,
    beta: Annotated[float, typer.Option("--beta", help="Of Q, OmegaPRM Eq. 2.", rich_help_panel=_METHOD)] = 0.9,
    length: Annotated[float, typer.Option("--length", help="L of Q in tokens, OmegaPRM Eq. 2.", rich_help_panel=_METHOD)] = 500.0,
    c_puct: Annotated[float, typer.Option("--c-puct", help="Of U, OmegaPRM Eq. 3.", rich_help_panel=_METHOD)] = 0.125,
    steps: Annotated[str, typer.Option("--steps", help=_STEPS, rich_help_panel=_METHOD)] = "semantic",
    answers: Annotated[str, typer.Option("--answers", help=_ANSWERS, rich_help_panel="Input")] = "",
    separator: Annotated[
        str | None,
        typer.Option("--separator", help="What stands between steps of a file's solutions.", rich_help_panel="Input"),
    ] = None,
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
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", "-t", min=0.0, help="Default: the input run's, or 1.", rich_help_panel="Sampling"),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option("--top-p", min=0.0, max=1.0, help="Default: the input run's, or 1 (off).", rich_help_panel="Sampling"),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", min=0, help="Default: the input run's, or 0 (off).", rich_help_panel="Sampling")
    ] = None,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=0, help="0: the input run's, or 2048.", rich_help_panel="Sampling")
    ] = 0,
    stop: options.Stop = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Default: the input run's, or 0.", rich_help_panel="Sampling")
    ] = None,
    truncated: options.Truncated = "unknown",
    ungradable: options.Ungradable = "unknown",
    split: options.Split = "",
    config_name: options.ConfigName = "",
    data_revision: options.DataRevision = "",
    question_field: options.QuestionField = "",
    answer_field: options.AnswerField = "",
    id_field: options.IdField = "",
    steps_field: Annotated[str, typer.Option("--steps-field", help="Column of the steps.", rich_help_panel="Input")] = "",
    limit: options.Limit = 0,
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
    """Label every step of every solution by Monte Carlo rollouts.

    The engine defaults to the one that wrote the solutions, with its sampling. Counts, tree, rollouts, verdicts, seeds and costs
    are all kept: hard and soft labels are readings of them.

    openr-data label runs/math --method omegaprm --out runs/math-labeled
    """
    from openr_data.cli.run import execute
    from openr_data.engines import EngineSpec
    from openr_data.errors import UsageError
    from openr_data.labelers import LabelConfig
    from openr_data.labelers.math_shepherd import Estimates
    from openr_data.pipelines.config import LabelRunConfig
    from openr_data.pipelines.label import label_stage
    from openr_data.pipelines.sources import is_run, recorded_engine, recorded_sampling
    from openr_data.problems import ProblemSource
    from openr_data.types import Sampling

    if steps not in {"semantic", "tokens"}:
        raise UsageError(f"--steps is semantic or tokens, not '{steps}'")
    source = ProblemSource(
        solutions,
        config=config_name,
        split=split,
        revision=data_revision,
        question_field=question_field,
        answer_field=answer_field,
        id_field=id_field,
        steps_field=steps_field,
        limit=limit,
    )
    asked = EngineSpec(engine_name(engine, model), model, revision, template, separator, dtype, api_name(api), script)
    spec = asked if engine or model else recorded_or(recorded_engine(source), asked)
    if separator is not None and is_run(source):
        raise UsageError(f"--separator is for files: the steps of {solutions} stand in its records")
    sampling = recorded_sampling(source) or Sampling(1.0, 2048, 0)
    config = LabelRunConfig(
        source=source,
        engine=spec,
        sampling=Sampling(
            sampling.temperature if temperature is None else temperature,
            max_tokens or sampling.max_tokens,
            sampling.seed if seed is None else seed,
            sampling.top_p if top_p is None else top_p,
            sampling.top_k if top_k is None else top_k,
            tuple(stop) if stop else sampling.stop,
        ),
        label=LabelConfig(
            method=method,
            rollouts=rollouts,
            filter_rollouts=filter_rollouts,
            searches=searches,
            rollout_limit=rollout_limit,
            alpha=alpha,
            beta=beta,
            length=length,
            c_puct=c_puct,
            estimates=cast("Estimates", estimates),
            truncated=truncated_of(truncated),
            ungradable=ungradable_of(ungradable),
            spans=16 if steps == "tokens" else 0,
        ),
        answers=ProblemSource(answers) if answers else None,
        grader=grader,
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
    execute(label_stage(config), how, dry_run=dry_run, as_json=as_json)
