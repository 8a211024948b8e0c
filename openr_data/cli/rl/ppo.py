"""`openr-data rl ppo`: a policy with a value head."""

from __future__ import annotations

from typing import Annotated

import typer

from openr_data.cli import options
from openr_data.cli.options.rl import CurriculumOptions, GuardOptions, LearnOptions, RatioOptions, WatchOptions
from openr_data.cli.options.shared import option
from openr_data.cli.rl import running

_PANEL = "Rewards"
_REWARDS = "outcome (the answer), prm (p(+) of each step), mixed (both), or shaped (the answer, and how much p(+) rises)."


@options.grouped
def ppo(
    problems: Annotated[str, typer.Argument(help=running.PROBLEMS)],
    out: running.Out,
    *,
    rewards: Annotated[str, option("--rewards", _REWARDS, _PANEL)] = "outcome",
    weight: Annotated[float, option("--weight", "Of the steps' rewards.", _PANEL)] = 1.0,
    level: Annotated[str, option("--level", "Of values and advantages: token, step or turn.", _PANEL)] = "token",
    discount: Annotated[float, option("--discount", "Between segments.", _PANEL)] = 1.0,
    decay: Annotated[float, option("--decay", "Lambda of generalised advantage estimation.", _PANEL)] = 0.95,
    critic_rate: Annotated[float, option("--critic-rate", "Learning rate of the value head.", "Learning")] = 1e-3,
    critic_epochs: Annotated[int, option("--critic-epochs", "Its passes over an update.", "Learning")] = 4,
    overlong: running.Overlong = "wrong",
    reasoning: running.Marks = "",
    updates: running.Updates = 100,
    questions: Annotated[int, option("--questions", "Of an update.", "Learning", min=1)] = 64,
    group: Annotated[int, option("--group", "Solutions of each.", "Learning", min=1)] = 4,
    curriculum: CurriculumOptions,
    learn: LearnOptions,
    ratio: RatioOptions,
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
    """Train a policy by PPO: a value head on its own hidden states says what is still to come, and GAE what each token did.

    --level step with --ratio step is OpenR's APPO, --level token its TPPO.

    openr-data rl ppo builtin --count 6000 --difficulty 10 --epochs 2 --minibatches 2 --out runs/ppo
    """
    from openr_data.pipelines.rl.config import Play
    from openr_data.rl.ppo import Ppo
    from openr_data.rl.reasoning import Reasoning
    from openr_data.rl.rewards import Rewards

    asking = running.Asking(watch, engine, sampling, source, prm.spec(), grader)
    paid = Rewards(rewards, weight)  # type: ignore[arg-type]  # `Rewards` says what is wrong with it
    head = Ppo(paid, level, discount, decay, critic_rate, critic_epochs)  # type: ignore[arg-type]
    config = asking.config(
        problems,
        teaching=Play(head, questions, group, curriculum.value()),
        learn=learn.value(sampling.sampling(), ratio),
        guards=guards.value(),
        updates=updates,
        overlong=overlong,
        reasoning=Reasoning.of(reasoning),
        easiest=curriculum.easiest,
    )
    running.carry_out(asking.asked(config, out, threads, resume=resume), as_json=as_json)
