"""`openr-data rl grpo`: a policy that learns from groups of its own solutions."""

from __future__ import annotations

from typing import Annotated

import typer

from openr_data.cli import options
from openr_data.cli.options.rl import (
    CreditOptions,
    CurriculumOptions,
    GuardOptions,
    LearnOptions,
    RatioOptions,
    ScaleOptions,
    WatchOptions,
)
from openr_data.cli.rl import running


@options.grouped
def grpo(
    problems: Annotated[str, typer.Argument(help=running.PROBLEMS)],
    out: running.Out,
    *,
    updates: running.Updates = 100,
    questions: Annotated[int, typer.Option("--questions", min=1, help="Of an update.", rich_help_panel="Learning")] = 32,
    group: Annotated[int, typer.Option("--group", min=2, help="Solutions of each.", rich_help_panel="Learning")] = 8,
    credit: CreditOptions,
    overlong: running.Overlong = "wrong",
    reasoning: running.Marks = "",
    curriculum: CurriculumOptions,
    learn: LearnOptions,
    ratio: RatioOptions,
    scale: ScaleOptions,
    prm: options.PrmOptions,
    watch: WatchOptions,
    guards: GuardOptions,
    engine: options.EngineOptions,
    sampling: options.SamplingOptions,
    source: options.ProblemOptions,
    grader: options.Grader = "math",
    threads: running.Threads = 0,
    resume: running.Resume = False,
    as_json: options.Json = False,
) -> None:
    """Train a policy by GRPO: its solutions of a question are compared, by their answers or by the scores of their steps.

    The answer is always graded, and its share stands beside the rewards of the steps. Held-out questions measure the policy on
    the way, and the best one is kept; guards end a run that games its rewards. Evaluation sets are refused as questions to learn
    from. Kill it at any moment: --resume goes on from the last checkpoint.

    openr-data rl grpo builtin --count 5000 --difficulty 10 --out runs/grpo

    openr-data rl grpo math_train.jsonl --model Qwen/Qwen2.5-0.5B-Instruct --credit process --prm runs/prm --held-out held.jsonl
    --out runs/process
    """
    from openr_data.pipelines.rl.config import Grpo
    from openr_data.rl.reasoning import Reasoning

    asking = running.Asking(watch, engine, sampling, source, prm.spec(), grader)
    config = asking.config(
        problems,
        teaching=Grpo(credit.value(), questions, group, curriculum.value()),
        learn=learn.value(sampling.sampling(), ratio),
        guards=guards.value(),
        updates=updates,
        overlong=overlong,
        reasoning=Reasoning.of(reasoning),
        easiest=curriculum.easiest,
        scale=scale.value(),
    )
    running.carry_out(asking.asked(config, out, threads, resume=resume), as_json=as_json)
