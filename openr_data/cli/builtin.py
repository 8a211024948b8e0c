"""`openr-data builtin`: make and measure the small model that ships with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openr_data.cli import options
from openr_data.cli.console import err, print_json
from openr_data.cli.console import out as console

app = typer.Typer(help="Make and measure the small model that ships with the package.", no_args_is_help=True)


@app.command()
def train(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the model.", show_default=False)],
    seed: options.Seed = 1,
    steps: Annotated[int, typer.Option("--steps", min=0, help="Training steps (0: the recipe's).")] = 0,
    threads: Annotated[
        int, typer.Option("--threads", min=1, help="CPU threads; more than one pays only on an idle machine.")
    ] = 1,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
) -> None:
    """Train the built-in policy from nothing by its recipe; a run that was killed goes on where it was.

    Takes under an hour on two CPU cores and minutes on a GPU; writes weights, tokenizer and RECIPE.json with checksums.
    """
    from dataclasses import replace

    from openr_data.pipelines.builtin_config import BuiltinTraining
    from openr_data.pipelines.builtin_train import train_builtin

    config = replace(BuiltinTraining(), seed=seed, threads=threads, device=device)
    if steps:
        config = replace(config, steps=steps)
    folder = train_builtin(config, out, lambda progress: err.print(str(progress), markup=False))
    console.print(f"the model is in {folder}", markup=False)


@app.command()
def evaluate(
    model: Annotated[Path | None, typer.Option("--model", "-m", help="Model folder (default: the shipped one).")] = None,
    problems: Annotated[int, typer.Option("--problems", min=1, help="Problems per difficulty.")] = 100,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Solutions per problem.")] = 8,
    difficulty: Annotated[list[int] | None, typer.Option("--difficulty", help="Operations per problem (repeatable).")] = None,
    as_json: options.Json = False,
) -> None:
    """Judge the model's solutions by the exact oracle: accuracy, pass@k, where and how it goes wrong, how often it recovers."""
    from openr_data.engines.builtin import WEIGHTS
    from openr_data.pipelines.builtin_evaluate import BuiltinEvaluation, evaluate_builtin

    defaults = BuiltinEvaluation()
    config = BuiltinEvaluation(
        problems=problems, samples=samples, difficulties=tuple(difficulty) if difficulty else defaults.difficulties
    )
    reports = evaluate_builtin(config, model or WEIGHTS)
    if as_json:
        print_json({"difficulties": [report.as_json() for report in reports]})
        return
    for report in reports:
        for name, value in report.as_json().items():
            shown = f"{value:.3f}" if isinstance(value, float) else str(value)
            console.print(f"{name:<22}{shown}", markup=False)
        console.print()


@app.command()
def write(
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (JSONL).", show_default=False)],
    count: Annotated[int, typer.Option("--count", min=1, help="Solutions, each of another question.")] = 1000,
    difficulty: Annotated[int, typer.Option("--difficulty", help="Operations per problem.")] = 8,
    style: Annotated[
        str,
        typer.Option("--style", help="plain; reasoned (each line first says what is to be done); planned (all subtasks first)."),
    ] = "plain",
    split: Annotated[str, typer.Option("--split", help="train, or test: the half that evaluations ask.")] = "train",
    seed: options.Seed = 0,
) -> None:
    """Write exact solutions of the built-in task, for `rl sft`.

    Reasoning stands in round brackets: --reasoning "( )" discards it.

    openr-data builtin write --style reasoned --count 20000 --difficulty 10 --out reasoned.jsonl
    """
    from openr_data.pipelines.builtin_solutions import write_solutions

    write_solutions(out, count, difficulty, style=style, split=split, seed=seed)
    console.print(f"{count:,} solutions are in {out}", markup=False)
