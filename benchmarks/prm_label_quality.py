"""From the quality of labels to the quality of a process reward model: one table over methods and equal token budgets.

    python benchmarks/prm_label_quality.py --work DIR [--head likelihood] [--budgets 50000 100000 200000]

A pool of solutions of the built-in task is labelled by each method. A budget buys the first problems of the pool whose labels
cost no more: every rollout's tokens count, the question filter's too; those of the solutions themselves, about 95 each, do not.
`adaptive` goes without a pilot, whose price would be the whole budget. On the solutions of a budget a process reward model is
trained, for the same number of optimiser steps in every cell, and judged by the exact oracle and by best of 16 on other problems.
What is in DIR already is not made again.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.labelers import LabelConfig, cost_of
from openr_data.labelers.agreement import Agreement, agreement
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions
from openr_data.pipelines.generate import generate
from openr_data.pipelines.label import label
from openr_data.pipelines.prm.config import PRMRunConfig, SourceSpec
from openr_data.pipelines.prm.evaluation.config import EvaluationConfig
from openr_data.pipelines.prm.evaluation.report import EvaluationReport
from openr_data.pipelines.prm.evaluation.run import evaluate
from openr_data.pipelines.prm.training import train_prm
from openr_data.pipelines.quickstart import true_first_error
from openr_data.pipelines.splits import Splits
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.train_config import ModelChoice, TrainConfig
from openr_data.problems import ProblemSource
from openr_data.store.read import RunReader
from openr_data.types import Sampling

METHODS = {"adaptive": 1.0, "omegaprm": 0.5, "math-shepherd": 0.25, "mips": 0.06}
"""The share of the pool that each labels: enough for the largest budget, as far as the pool goes."""
ENGINE = EngineSpec("builtin")
RATES = {"causal": 1e-3, "likelihood": 3e-4}


@dataclass(frozen=True, slots=True)
class Bought:
    """What a budget bought: the first `solutions` of a labelled run, for `tokens`. `whole`: the run had no more."""

    run: Path
    tokens: int
    solutions: int
    labels: Agreement
    whole: bool


def solutions_of(out: Path, problems: int, solutions: int, seed: int) -> None:
    source, sampling = ProblemSource("builtin", count=problems, seed=seed), Sampling(temperature=1.0, max_tokens=256, seed=seed)
    generate(GenerateConfig(source, ENGINE, sampling, solutions), RunOptions(out, mode="resume", limits=EngineLimits()))


def labelled(out: Path, pool: Path, method: str, problems: int) -> None:
    asked = LabelConfig(method=method, rollouts=8, filter_rollouts=8, searches=0, pilot=0)
    source, sampling = ProblemSource(str(pool), limit=problems), Sampling(temperature=1.0, max_tokens=256, seed=1)
    label(LabelRunConfig(source, ENGINE, sampling, asked), RunOptions(out, mode="resume", limits=EngineLimits()))


def bought(run: Path, budget: int) -> Bought:
    """The problems from the first on, up to the one that would cost too much."""
    tokens = solutions = 0
    labels, whole = Agreement(), True
    for item in RunReader.open(run).items():
        price = cost_of(item.nodes).tokens
        if tokens + price > budget:
            whole = False
            break
        given = [one for one in item.labeled if one.origin == "given"]
        tokens, solutions = tokens + price, solutions + len(item.labeled)
        labels += agreement((one, true_first_error(item, one)) for one in given if one.solution.verdict.outcome == "wrong")
    return Bought(run, tokens, solutions, labels, whole)


def trained(found: Bought, folder: Path, args: argparse.Namespace) -> None:
    """Nothing of the truth is looked at: a tenth of the questions chooses the checkpoint by the labels themselves."""
    train = TrainConfig(
        model=ModelChoice(head=args.head), max_steps=args.steps, batch=32, rate=RATES[args.head], positive_weight=0.0
    )
    config = PRMRunConfig((SourceSpec(str(found.run)),), train, Splits(0.9, 0.1, 0.0), limit=found.solutions)
    train_prm(config, folder, resume=(folder / "prm_run.json").is_file())


def judged(folder: Path, held_out: Path) -> EvaluationReport:
    config = EvaluationConfig(oracle=held_out, best_of_n=held_out, split="all")
    (report,) = evaluate([ScorerSpec(str(folder))], config)
    return report


def rows(args: argparse.Namespace) -> Iterator[list[str]]:
    work: Path = args.work
    solutions_of(work / "pool", args.problems, args.solutions, seed=41)
    solutions_of(work / "held-out", args.held_out, 16, seed=42)
    for method, share in METHODS.items():
        labelled(work / method, work / "pool", method, max(1, round(share * args.problems)))
        for budget in args.budgets:
            found = bought(work / method, budget)
            folder = work / f"prm-{args.head}-{method}-{budget}"
            trained(found, folder, args)
            yield row(method, budget, found, judged(folder, work / "held-out"))


def row(method: str, budget: int, found: Bought, report: EvaluationReport) -> list[str]:
    if report.oracle is None or report.best_of_n is None:
        raise ValueError("an evaluation left out what it was asked for")
    quality, curves = report.oracle.quality, report.best_of_n.curves
    vote, most = curves["mean-vote"][-1], curves["majority"][-1]
    exact = found.labels.exact_match
    return [
        method,
        f"{budget:,}",
        f"{found.tokens:,}{' (whole pool)' if found.whole else ''}",
        f"{found.solutions:,}",
        "-" if exact is None else f"{100 * exact:.0f}",
        between(quality.auroc, ".3f"),
        f"{100 * quality.exact.value:.1f}" if quality.exact else "-",
        f"{100 * curves['min'][-1].accuracy.value:.1f}",
        f"{100 * vote.accuracy.value:.1f}",
        f"{100 * most.accuracy.value:.1f}",
        between(vote.lift, "+.1f", 100),
    ]


def between(found: Any, shown: str, factor: float = 1.0) -> str:
    if found is None:
        return "-"
    if found.low is None:
        return f"{factor * found.value:{shown}}"
    return f"{factor * found.value:{shown}} [{factor * found.low:{shown}}, {factor * found.high:{shown}}]"


HEAD = ["method", "budget", "spent", "solutions", "labels exact %", "AUROC", "exact %"]
HEAD += ["best of 16, min", "vote of 16", "majority", "vote above majority"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--work", type=Path, required=True, help="directory for runs and models")
    parser.add_argument("--head", default="causal", choices=list(RATES))
    parser.add_argument("--budgets", type=int, nargs="+", default=[50_000, 100_000, 200_000], help="tokens of labelling")
    parser.add_argument("--problems", type=int, default=800)
    parser.add_argument("--solutions", type=int, default=8, help="of each problem")
    parser.add_argument("--held-out", type=int, default=150, help="problems of the judgement, 16 solutions each")
    parser.add_argument("--steps", type=int, default=150, help="optimiser steps of every training")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(f"{args.head} head, {args.steps} steps of 32 solutions, {torch.get_num_threads()} threads")
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}", flush=True)
    for cells in rows(args):
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
