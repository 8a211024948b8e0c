"""`openr-data estimate`: what a run will cost, before it is paid."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from openr_data.cli import options
from openr_data.cli.console import err, print_json
from openr_data.cli.console import out as console
from openr_data.cli.fold import api_name, engine_name
from openr_data.cli.progress import duration

if TYPE_CHECKING:
    from openr_data.pipelines.estimate import Amount, Estimate

METHODS = ("omegaprm", "math-shepherd", "mips")


def estimate(
    problems: Annotated[str, typer.Argument(help="As for `generate`.")],
    pilot: Annotated[int, typer.Option("--pilot", min=1, help="Problems that are really sampled.")] = 20,
    solutions: Annotated[int, typer.Option("--solutions", "-n", min=1, help="Solutions per problem.")] = 4,
    rollouts: Annotated[int, typer.Option("--rollouts", "-k", min=1, help="Rollouts per measured prefix.")] = 8,
    filter_rollouts: Annotated[int, typer.Option("--filter-rollouts", min=0, help="Of OmegaPRM's question filter.")] = 32,
    searches: Annotated[int, typer.Option("--searches", min=0, help="OmegaPRM's own searches per problem.")] = 20,
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
    temperature: options.Temperature = 1.0,
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    max_tokens: options.MaxTokens = 2048,
    stop: options.Stop = None,
    seed: options.Seed = 0,
    split: options.Split = "",
    config_name: options.ConfigName = "",
    data_revision: options.DataRevision = "",
    question_field: options.QuestionField = "",
    answer_field: options.AnswerField = "",
    id_field: options.IdField = "",
    limit: options.Limit = 0,
    count: options.Count = 100,
    difficulty: options.Difficulty = 0,
    as_json: options.Json = False,
) -> None:
    """Sample a few problems, then say what generating and each labelling method will cost for all of them.

    Nothing is written. Ranges are two standard errors of the pilot wide; rollouts from a prefix count as half a solution.
    """
    from openr_data.engines import EngineLimits, EngineSpec
    from openr_data.labelers import LabelConfig
    from openr_data.pipelines.config import GenerateConfig
    from openr_data.pipelines.estimate import estimate as run_pilot
    from openr_data.problems import ProblemSource
    from openr_data.problems.arithmetic import DEFAULT_DIFFICULTY
    from openr_data.types import Sampling

    config = GenerateConfig(
        source=ProblemSource(
            problems,
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
    ).checked()
    label = LabelConfig(rollouts=rollouts, filter_rollouts=filter_rollouts, searches=searches).checked(METHODS)
    limits = EngineLimits(
        slots=slots,
        device=device,
        base_urls=tuple(base_url or ()),
        api_key_env=api_key_env,
        timeout=timeout,
        tensor_parallel=tensor_parallel,
        max_model_len=max_model_len,
        gpu_memory=gpu_memory,
    )
    with err.status("sampling the pilot"):
        result = run_pilot(config, label, limits, pilot=pilot, methods=METHODS)
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
