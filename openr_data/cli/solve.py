"""`openr-data solve`: type a problem and watch it being solved."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openr_data.cli import options
from openr_data.cli.console import err, fail
from openr_data.errors import InputError, OpenRDataError, UsageError

if TYPE_CHECKING:
    from openr_data.pipelines.evaluating.live import Solver

_QUESTION = "The problem; - or nothing reads problems from standard input, one a line."


@options.grouped
def solve(
    question: Annotated[str, typer.Argument(help=_QUESTION)] = "",
    *,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="File with problems, one a line.", show_default=False)] = None,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            help="greedy, best_of_n, beam, dvts, mcts, revision or forcing. Default: beam with a --prm, else best_of_n.",
            rich_help_panel="Search",
        ),
    ] = "",
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Its budget.", rich_help_panel="Search")] = 16,
    selector: Annotated[
        str,
        typer.Option(
            "--selector",
            help="How the answer is chosen: majority_vote or prm_{min,last,prod,mean}_{max,vote}. Default: prm_mean_vote with a "
            "--prm, else majority_vote.",
            rich_help_panel="Search",
        ),
    ] = "",
    search: options.SearchOptions,
    prm: options.PrmOptions,
    engine: options.EngineOptions,
    sampling: options.SamplingOptions,
    as_json: options.Json = False,
) -> None:
    """Solve a problem by search and show how: steps coloured by their score as they come, answers with votes, tokens spent.

    Without an engine the built-in model works, guided by its own process reward model; it solves chains of sums only. Nothing is
    written to disk.

    openr-data solve "Start with 19. Step 1: subtract 7. Step 2: multiply by 8. What is the result?"
    """
    from openr_data.pipelines.evaluating.live import open_solver
    from openr_data.pipelines.evaluating.report import ReportConfig
    from openr_data.prm.score.base import ScorerSpec
    from openr_data.search.config import GUIDED

    scorer = prm.spec() or (None if engine.chosen else ScorerSpec("builtin"))
    chosen = selector or ("prm_mean_vote" if scorer else "majority_vote")
    ReportConfig((chosen,)).checked()
    if scorer is None and chosen != "majority_vote":
        raise UsageError(f"--selector {chosen} needs the scores of a process reward model: name one with --prm")
    config = search.config(strategy or ("beam" if scorer else "best_of_n"), n).checked()
    if config.strategy in GUIDED and scorer is None:
        raise UsageError(f"--strategy {config.strategy} is guided by a process reward model: name one with --prm")
    questions = list(_questions(question, file))

    async def run() -> int:
        async with open_solver(engine.spec(), engine.limits(), scorer, sampling.sampling(), config, chosen) as solver:
            return await _all(solver, questions, as_json=as_json)

    failed = asyncio.run(run())
    if failed:
        raise typer.Exit(1)


def _questions(question: str, file: Path | None) -> Iterator[str]:
    """What is asked, from where it is said. Raises `InputError` and `UsageError`."""
    if question not in {"", "-"} and file is not None:
        raise UsageError("give the problem itself or a --file of problems, not both")
    if question not in {"", "-"}:
        lines = [question]
    elif file is not None:
        lines = _read(file).splitlines()
    elif sys.stdin.isatty():
        lines = [err.input("Problem: ")]
    else:
        lines = sys.stdin.read().splitlines()
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise InputError("there is no problem to solve: type one, pipe one, or name a --file")
    yield from found


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"{file} cannot be read: {getattr(fault, 'strerror', None) or fault}") from fault


async def _all(solver: Solver, questions: list[str], *, as_json: bool) -> int:
    """One question after another; how many could not be done."""
    from openr_data.cli.solving import show_json, show_solved, watching

    failed = 0
    for question in questions:
        try:
            if as_json:
                show_json(await solver.solve(question))
                continue
            with watching(question, scored=solver.scorer is not None) as watch:
                solved = await solver.solve(question, watch)
            show_solved(solved)
        except OpenRDataError as error:
            if len(questions) == 1:
                raise
            fail(str(error))
            failed += 1
    return failed
