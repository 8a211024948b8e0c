"""`openr-data evaluate`: how well a policy answers, by itself and searched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import print_json, warn
from openr_data.errors import UsageError

if TYPE_CHECKING:
    from openr_data.pipelines.evaluating.report import EvaluationReport
    from openr_data.pipelines.stage import Summary
    from openr_data.search.config import SearchConfig

_PROBLEMS = "A benchmark (math500, gsm8k, aime24, aime25, amc23), a file, a directory, a Hub data set (owner/name), or builtin."
_SWEEP = "Search by every one of these strategies at every budget, and draw the scaling figure: beam,dvts,mcts,revision,..."
_BUDGETS = "1,2,4,8,16"


@options.grouped
def evaluate(
    context: typer.Context,
    problems: Annotated[str, typer.Argument(help=_PROBLEMS)],
    out: options.Out,
    *,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy", help="greedy, best_of_n, beam, dvts, mcts, revision or forcing (repeatable).", rich_help_panel="Search"
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Budget of each strategy.", rich_help_panel="Search")] = 16,
    sweep: Annotated[str, typer.Option("--sweep", help=_SWEEP, rich_help_panel="Search")] = "",
    budgets: Annotated[str, typer.Option("--budgets", help="Of the sweep.", rich_help_panel="Search")] = _BUDGETS,
    search: options.SearchOptions,
    selector: Annotated[
        list[str] | None,
        typer.Option(
            "--selector",
            help="How the answer is chosen, in tables and figure (repeatable; all are in the summary): majority_vote or "
            "prm_{min,last,prod,mean}_{max,vote}.",
            rich_help_panel="Report",
            show_default="prm_mean_vote",
        ),
    ] = None,
    draws: Annotated[int, typer.Option("--draws", min=100, help="Of the bootstrap.", rich_help_panel="Report")] = 2000,
    prm: options.PrmOptions,
    summariser: options.SummariserOptions,
    engine: options.EngineOptions,
    sampling: options.SamplingOptions,
    source: options.ProblemOptions,
    grader: options.Grader = "math",
    running: options.RunningOptions,
    scaling: options.ExecutorOptions,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Answer a benchmark by search: pass@k, majority, best of n, beam search, DVTS, MCTS, with intervals and true token counts.

    Every question goes through every search; candidates, trees and bills are kept as tables. The numbers are made of these: exact
    averages over subsets for independent samples, paired bootstrap intervals over questions, tables by level and subject. Kill it
    at any moment: --resume goes on.

    openr-data evaluate math500 --engine vllm --model Qwen/Qwen2.5-1.5B-Instruct --prm runs/prm --sweep beam,dvts --out runs/eval
    """
    from openr_data.cli.executors import carry_out
    from openr_data.cli.run import show_preview
    from openr_data.pipelines.evaluating.config import SUMMARISER, EvaluateConfig
    from openr_data.pipelines.evaluating.report import ReportConfig
    from openr_data.pipelines.evaluating.stage import evaluate_stage
    from openr_data.problems.benchmarks import benchmark

    scorer, drawn = prm.spec(), sampling.sampling()
    second = summariser.second(drawn)
    config = EvaluateConfig(
        source=benchmark(source.source(problems, sampling.seed)),
        engine=engine.spec(),
        sampling=drawn,
        searches=_searches(search, strategy or [], n, sweep, budgets),
        prm=scorer.model if scorer else "",
        grader=grader,
        shard_size=running.shard_size,
        format=running.format,
        engines={SUMMARISER: second} if second else {},
    ).checked()
    without = next((each for each in selector or () if each != "majority_vote"), "") if scorer is None else ""
    if without:
        raise UsageError(f"--selector {without} needs the scores of a process reward model: name one with --prm")
    shown = ReportConfig(tuple(selector or ("prm_mean_vote",)), draws, seed=sampling.seed).checked()
    stage = evaluate_stage(config, scorer)
    if dry_run:
        from openr_data.pipelines.dry_run import preview

        show_preview(preview(stage), as_json=as_json)
        return
    run_options = running.options(out, engine.limits())
    if second:
        from dataclasses import replace

        run_options = replace(run_options, second_limits={SUMMARISER: summariser.limits()})
    summary = carry_out(stage, run_options, scaling.checked(), context, as_json=as_json)
    if summary is not None and not run_options.part:
        _report(summary, shown, out, problems, as_json=as_json)


def _searches(search: options.SearchOptions, strategies: list[str], n: int, sweep: str, budgets: str) -> tuple[SearchConfig, ...]:
    from openr_data.pipelines.evaluating.config import sweep as swept

    if sweep and not any(each.strip() for each in sweep.split(",")):
        raise UsageError("--sweep names strategies with commas between them, such as beam,dvts")
    if not sweep:
        return tuple(search.config(each, n) for each in strategies or ["best_of_n"])
    if strategies:
        raise UsageError("--sweep names its strategies itself: leave --strategy out")
    try:
        sizes = [int(each) for each in budgets.split(",")]
    except ValueError:
        raise UsageError(f"--budgets are numbers with commas between them, such as {_BUDGETS}, not '{budgets}'") from None
    return swept([each.strip() for each in sweep.split(",") if each.strip()], sizes, search.config())


def _report(summary: Summary, config: Any, out: Path, title: str, *, as_json: bool) -> None:
    from dataclasses import asdict

    from openr_data.cli.evaluation_report import show
    from openr_data.pipelines.evaluating.outputs import write_outputs
    from openr_data.pipelines.evaluating.report import evaluation_report
    from openr_data.store.read import RunReader

    report: EvaluationReport = evaluation_report(RunReader.open(out), config)
    written = write_outputs(report, out, title=Path(title).name)
    if as_json:
        print_json(
            {"run": asdict(summary), "report": report.plain(), "files": {kind: str(path) for kind, path in written.items()}}
        )
        return
    show(report, summary)
    for kind, path in written.items():
        console.print(f"{kind:8} {escape(str(path))}", soft_wrap=True)
    if summary.failed:
        warn(f"{summary.failed} questions failed and are in no number: see {out}/failures.jsonl; --resume tries them again")
    if summary.rejected:
        warn(f"{summary.rejected} rows could not be used: see {out}/rejects.jsonl")
