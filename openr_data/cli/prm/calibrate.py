"""`openr-data prm calibrate`: makes the scores of a process reward model mean what they say."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, cast

import typer

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import print_json
from openr_data.cli.prm.evaluate import Limit, ModelOptions, Split, SplitShares, shares
from openr_data.errors import UsageError


@options.grouped
def calibrate(
    folder: Annotated[Path, typer.Argument(help="Folder of a process reward model.", metavar="PRM", show_default=False)],
    steps: Annotated[
        str, typer.Option("--steps", metavar="DATA", help="Labelled run, file or data set of the Hub.", show_default=False)
    ],
    *,
    method: Annotated[str, typer.Option("--method", help="platt (scale and shift) or temperature (scale alone).")] = "platt",
    split: Split = "validation",
    splits: SplitShares = "",
    limit: Limit = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would be; change nothing.")] = False,
    model: ModelOptions,
    as_json: options.Json = False,
) -> None:
    """Fit scale and shift of a model's scores to labels that it was not trained on, and write them into its prm_config.json.

    p(+) = sigmoid(scale * margin + shift). The order of steps does not change, nor AUROC or best of n by a step's score; what
    changes is what a score means, so choose thresholds anew. Judge the result on other questions: `prm evaluate --split test`.

    openr-data prm calibrate my-prm --steps runs/labels
    """
    from openr_data.cli.progress import progress
    from openr_data.pipelines.prm.evaluation.calibrating import calibrate as run
    from openr_data.pipelines.prm.evaluation.config import EvaluationConfig
    from openr_data.prm.calibration import Method

    if method not in {"platt", "temperature"}:
        raise UsageError(f"--method is platt or temperature, not '{method}'")
    config = EvaluationConfig(steps=steps, split=split, splits=shares(splits, [str(folder)]), limit=limit).checked()
    with progress() as report:
        found = run(model.spec(str(folder)), config, cast("Method", method), report, write=not dry_run)
    if as_json:
        print_json({**asdict(found), "written": not dry_run})
        return
    for name, before, after in (
        ("scale", found.before.scale, found.after.scale),
        ("shift", found.before.shift, found.after.shift),
        ("NLL", found.before.nll, found.after.nll),
        ("ECE", found.before.ece, found.after.ece),
    ):
        console.print(f"{name:<6} {before:.4f} -> {after:.4f}", markup=False)
    where = "nothing was written" if dry_run else f"written to {folder / 'prm_config.json'}"
    console.print(f"fitted to {found.steps:,} steps of {config.told}; {where}", markup=False, soft_wrap=True)
