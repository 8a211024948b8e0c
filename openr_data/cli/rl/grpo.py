"""`openr-data rl grpo`: a policy that learns from groups of its own solutions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openr_data.cli import options
from openr_data.cli.console import print_json, warn
from openr_data.cli.options.rl import CreditOptions, GuardOptions, LearnOptions, WatchOptions
from openr_data.errors import UsageError

if TYPE_CHECKING:
    from openr_data.problems import ProblemSource

_PROBLEMS = "Questions to learn from: a file, a directory, a Hub data set (owner/name), or builtin."


@options.grouped
def grpo(
    problems: Annotated[str, typer.Argument(help=_PROBLEMS)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the model.", show_default=False, rich_help_panel="Run")],
    *,
    credit: CreditOptions,
    learn: LearnOptions,
    prm: options.PrmOptions,
    watch: WatchOptions,
    guards: GuardOptions,
    engine: options.EngineOptions,
    sampling: options.SamplingOptions,
    source: options.ProblemOptions,
    grader: options.Grader = "math",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on exactly where the run in --out stopped.", rich_help_panel="Run")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Train a policy by GRPO: solutions of a question are compared with each other, by their answers or by the scores of their
    steps.

    The answer is always graded, and its share stands beside the rewards of the steps. Held-out questions measure the policy on
    the way, and the best one is kept; guards end a run that games its rewards. Evaluation sets are refused as questions to learn
    from. Kill it at any moment: --resume goes on from the last checkpoint.

    openr-data rl grpo builtin --count 5000 --difficulty 10 --out runs/grpo

    openr-data rl grpo math_train.jsonl --model Qwen/Qwen2.5-0.5B-Instruct --credit process --prm runs/prm --held-out held.jsonl
    --out runs/process
    """
    from openr_data.cli.rl.progress import watching
    from openr_data.cli.rl.report import show_result, warn_of
    from openr_data.pipelines.rl.config import RLConfig
    from openr_data.pipelines.rl.training import Asked, Listeners, train_policy

    drawn, scorer = sampling.sampling(), prm.spec()
    config = RLConfig(
        source=_train(source.source(problems, sampling.seed)),
        held_out=_held_out(source, watch, problems, sampling.seed),
        engine=engine.spec(),
        credit=credit.value(),
        learn=learn.value(sampling.temperature, sampling.max_tokens),
        guards=guards.value(),
        prm=scorer.model if scorer else "",
        grader=grader,
        updates=learn.updates,
        questions=learn.questions,
        group=learn.group,
        evaluate_every=watch.evaluate_every,
        save_every=watch.save_every,
        overlong=credit.overlong,
        against=tuple(watch.against or ()),
        seed=sampling.seed,
    ).checked()
    warn_of(config)
    asked = Asked(config, drawn, out, engine.limits(), scorer, learn.threads, resume)
    with watching(config.updates, out) as (on_update, on_evaluation):
        result = train_policy(asked, Listeners(on_update, on_evaluation, warn))
    if as_json:
        print_json({"out": str(out), **result.plain()})
    else:
        show_result(result, out)


def _train(source: ProblemSource) -> ProblemSource:
    """Of the built-in task the half that no evaluation sees, unless a split is named."""
    from dataclasses import replace

    return replace(source, split="train") if source.location == "builtin" and not source.split else source


def _held_out(source: options.ProblemOptions, watch: WatchOptions, problems: str, seed: int) -> ProblemSource:
    from dataclasses import replace

    from openr_data.problems import ProblemSource

    location = watch.held_out or ("builtin" if problems == "builtin" else "")
    if not location:
        raise UsageError("name the questions that measure the policy: --held-out FILE (they are never learnt from)")
    if location == "builtin":
        return replace(source.source("builtin", seed), split="", limit=0, count=watch.held_out_count)
    return ProblemSource(location, limit=watch.held_out_count)
