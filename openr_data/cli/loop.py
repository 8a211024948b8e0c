"""`openr-data loop`: from policy to data to process reward model to policy, and again."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from openr_data.cli import options
from openr_data.cli.console import print_json, warn
from openr_data.cli.options.rl import CreditOptions, GuardOptions, LearnOptions, RatioOptions
from openr_data.cli.options.shared import option
from openr_data.cli.rl import running

if TYPE_CHECKING:
    from openr_data.pipelines.loop.config import LoopConfig

_DATA, _PRM, _RL, _MEASURE = "Data of a round", "Process reward model of a round", "Learning", "Measuring"


@options.grouped
def loop(
    problems: Annotated[str, typer.Argument(help=running.PROBLEMS)],
    out: running.Out,
    *,
    rounds: Annotated[int, option("--rounds", "How often.", _DATA, min=1)] = 2,
    label_questions: Annotated[int, option("--label-questions", "Questions whose solutions are labelled.", _DATA, min=1)] = 300,
    solutions: Annotated[int, option("--solutions", "Solutions of each.", _DATA, min=1)] = 8,
    method: Annotated[str, option("--method", "How they are labelled.", _DATA)] = "adaptive",
    rollouts: Annotated[int, option("--rollouts", "Of a prefix.", _DATA, min=1)] = 8,
    head: Annotated[str, option("--head", "causal, likelihood, ...: see `prm train`.", _PRM)] = "likelihood",
    prm_epochs: Annotated[float, option("--prm-epochs", "Passes over the labels.", _PRM)] = 2.0,
    prm_rate: Annotated[float, option("--prm-rate", "Its learning rate (0: as suits).", _PRM)] = 3e-4,
    prm_batch: Annotated[int, option("--prm-batch", "Solutions of a step.", _PRM, min=1)] = 32,
    updates: Annotated[int, option("--updates", "Updates of the policy.", _RL, min=1)] = 60,
    questions: Annotated[int, option("--questions", "Questions of an update.", _RL, min=1)] = 32,
    group: Annotated[int, option("--group", "Solutions of each.", _RL, min=2)] = 8,
    credit: CreditOptions,
    learn: LearnOptions,
    ratio: RatioOptions,
    guards: GuardOptions,
    held_out: Annotated[str, option("--held-out", "Questions that choose the best policy of a round.", _MEASURE)] = "",
    confirming: Annotated[str, option("--confirming", "Other ones, that say what a round brought.", _MEASURE)] = "",
    held_out_count: Annotated[int, option("--held-out-count", "At most so many of either.", _MEASURE, min=1)] = 300,
    against: Annotated[
        list[str] | None, option("--against", "Evaluation set that nobody learns from (repeatable).", _MEASURE, metavar="FILE")
    ] = None,
    go_on: Annotated[bool, option("--go-on", "Also after a round without a gain.", _MEASURE)] = False,
    engine: options.EngineOptions,
    sampling: options.SamplingOptions,
    source: options.ProblemOptions,
    grader: options.Grader = "math",
    threads: running.Threads = 0,
    resume: running.Resume = False,
    as_json: options.Json = False,
) -> None:
    """Sample, label, train a process reward model, let the policy learn from it, and again with the better policy.

    Each round has a folder with its data, its models and a manifest: digests, tokens, what the round brought on questions that
    nobody learnt from or chose by. A round without a gain is the last one. Kill it at any moment: --resume goes on.

    openr-data loop builtin --difficulty 10 --max-tokens 256 --out runs/loop
    """
    from openr_data.cli.rl.report import show_round
    from openr_data.labelers import LabelConfig
    from openr_data.pipelines.loop.config import LoopConfig
    from openr_data.pipelines.loop.rounds import LoopListeners, run_loop
    from openr_data.pipelines.rl.config import Grpo
    from openr_data.prm.train_config import ModelChoice, TrainConfig

    drawn, asked = sampling.sampling(), source.source(problems, sampling.seed)
    others, known = replace(asked, seed=sampling.seed + 1), "builtin" if problems == "builtin" else ""
    # With --credit outcome nothing would ask the model that each round trains.
    kind = "process" if credit.credit == "outcome" else credit.credit
    config: LoopConfig = LoopConfig(
        source=running.learning_half(asked),
        held_out=running.measuring(asked, held_out or known, "--held-out", held_out_count),
        confirming=running.measuring(others, confirming or known, "--confirming", held_out_count),
        engine=engine.spec(),
        sampling=drawn,
        rounds=rounds,
        questions=label_questions,
        solutions=solutions,
        label=LabelConfig(method=method, rollouts=rollouts, filter_rollouts=rollouts, searches=0, pilot=40),
        prm=TrainConfig(
            ModelChoice(head=head),  # type: ignore[arg-type]  # `ModelChoice` says what is wrong with it
            epochs=prm_epochs,
            batch=prm_batch,
            rate=prm_rate,
            positive_weight=0.0,
            device=engine.device,
        ),
        teaching=Grpo(replace(credit.value(), kind=kind), questions, group),  # type: ignore[arg-type]
        learn=learn.value(drawn, ratio),
        guards=guards.value(),
        updates=updates,
        grader=grader,
        against=tuple(against or ()),
        go_on=go_on,
        seed=sampling.seed,
    ).checked()
    listeners = LoopListeners(
        on_stage=lambda number, stage: running.told(f"round {number}: {stage}"),
        on_round=lambda found: None if as_json else show_round(found),
    )
    found = run_loop(config, out, engine.limits(), replace(listeners, rl=running.quiet(warn)), resume=resume, threads=threads)
    if as_json:
        print_json({"out": str(out), "rounds": [asdict(each) for each in found]})
