"""`openr-data prm evaluate`: how good a process reward model is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import print_json
from openr_data.errors import UsageError

if TYPE_CHECKING:
    from openr_data.data_cards.report import Section
    from openr_data.pipelines.prm.evaluation.config import Threshold
    from openr_data.pipelines.splits import Splits
    from openr_data.prm.config import AfterError
    from openr_data.prm.score.base import ScorerSpec

_MODEL, _DATA, _READING = "Model", "Data", "Reading"


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Where a model runs."""

    backend: Annotated[str, typer.Option("--backend", help="transformers, vllm or http.", rich_help_panel=_MODEL)] = (
        "transformers"
    )
    base_url: Annotated[
        str, typer.Option("--base-url", help="Address of a vLLM server (backend http).", rich_help_panel=_MODEL)
    ] = ""
    revision: Annotated[str, typer.Option("--revision", help="Branch, tag or commit on the Hub.", rich_help_panel=_MODEL)] = ""
    style: Annotated[
        str, typer.Option("--style", help="How a model of others is asked, where its files do not say.", rich_help_panel=_MODEL)
    ] = ""
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.", rich_help_panel=_MODEL)] = "auto"
    dtype: Annotated[str, typer.Option("--dtype", help="auto, float32, bfloat16 or float16.", rich_help_panel=_MODEL)] = "auto"
    batch_tokens: Annotated[
        int, typer.Option("--batch-tokens", min=0, help="Tokens of a forward pass (0: as suits).", rich_help_panel=_MODEL)
    ] = 0

    def spec(self, model: str) -> ScorerSpec:
        from openr_data.prm.score.base import ScorerSpec

        return ScorerSpec(
            model,
            backend=self.backend,
            revision=self.revision,
            base_url=self.base_url,
            device=self.device,
            dtype=self.dtype,
            batch_tokens=self.batch_tokens,
            style=self.style,
        )


Split = Annotated[
    str, typer.Option("--split", help="Questions to look at: train, validation, test or all.", rich_help_panel=_READING)
]
SplitShares = Annotated[
    str,
    typer.Option(
        "--splits", help="Shares of train/validation/test. Default: the training's, else 90/5/5.", rich_help_panel=_READING
    ),
]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Questions of each part (0: all).", rich_help_panel=_DATA)]


@options.grouped
def evaluate(
    models: Annotated[list[str], typer.Argument(help="Process reward models: folders, Hub names or builtin.", metavar="PRM...")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to write the report to.", show_default=False)] = None,
    *,
    steps: Annotated[
        str, typer.Option("--steps", metavar="DATA", help="Labelled run, file or data set of the Hub.", rich_help_panel=_DATA)
    ] = "",
    processbench: Annotated[
        list[str] | None,
        typer.Option(
            "--processbench",
            metavar="FILE",
            help="File of ProcessBench, or Qwen/ProcessBench (repeatable).",
            rich_help_panel=_DATA,
        ),
    ] = None,
    best_of_n: Annotated[
        Path | None, typer.Option("--best-of-n", metavar="RUN", help="Run with many solutions each.", rich_help_panel=_DATA)
    ] = None,
    oracle: Annotated[
        Path | None, typer.Option("--oracle", metavar="RUN", help="Run of the built-in task.", rich_help_panel=_DATA)
    ] = None,
    one_rollout: Annotated[
        Path | None,
        typer.Option(
            "--one-rollout",
            metavar="RUN",
            help="Labels of the oracle's solutions by math-shepherd --exact-counts: one rollout per prefix as a baseline.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    split: Split = "test",
    splits: SplitShares = "",
    threshold: Annotated[
        str,
        typer.Option(
            "--threshold",
            help="A step is wrong below it: fixed (0.5), tuned (on validation questions, and on gsm8k) or a probability.",
            rich_help_panel=_READING,
        ),
    ] = "fixed",
    after_error: Annotated[
        str, typer.Option("--after-error", help="Steps after the first wrong one: mask or keep.", rich_help_panel=_READING)
    ] = "mask",
    seed: Annotated[int, typer.Option("--seed", help="Of resampling.", rich_help_panel=_READING)] = 0,
    limit: Limit = 0,
    model: ModelOptions,
    as_json: options.Json = False,
) -> None:
    """Judge process reward models: step scores against labels, ProcessBench, best of n, and the oracle of the built-in task.

    Steps: AUROC, average precision, calibration, likelihood, first errors. Best of n: every aggregation and weighted vote against
    the majority of the same candidates, with paired intervals. By default only questions of the test split count, which training
    has held out; --split all takes data that were not trained on whole. With --out, report.md with figures, report.json and
    Parquet tables of every step and candidate.

    openr-data prm evaluate prm --steps runs/labels --processbench Qwen/ProcessBench --best-of-n runs/solutions --out eval
    """
    from openr_data.cli.progress import progress
    from openr_data.pipelines.prm.evaluation.config import EvaluationConfig
    from openr_data.pipelines.prm.evaluation.report import comparison
    from openr_data.pipelines.prm.evaluation.run import evaluate as run

    config = EvaluationConfig(
        steps=steps,
        processbench=tuple(processbench or ()),
        best_of_n=best_of_n,
        oracle=oracle,
        one_rollout=one_rollout,
        split=split,
        splits=shares(splits, models),
        threshold=_threshold(threshold),
        after_error=_after(after_error),
        limit=limit,
        seed=seed,
    ).checked()
    with progress() as report:
        found = run([model.spec(each) for each in models], config, out, report)
    if as_json:
        print_json({"out": str(out) if out else None, "models": [each.as_json() for each in found]})
        return
    for each in found:
        if len(found) > 1:
            console.rule(each.model, align="left")
        show(each.sections())
    if len(found) > 1:
        show(comparison(found))
    if out is not None:
        console.print(f"report  {out / 'report.md'}", markup=False, soft_wrap=True)


def shares(text: str, models: Sequence[str]) -> Splits:
    """What is asked for, else what the models were trained with."""
    from openr_data.pipelines.prm.evaluation.held_out import training_splits
    from openr_data.pipelines.splits import parse_splits

    return parse_splits(text) if text else training_splits(models)


def show(sections: Sequence[Section]) -> None:
    from openr_data.cli.report import section_table

    for section in sections:
        console.print(section_table(section))
        if section.note:
            console.print(section.note, style="dim", markup=False)
        console.print()


def _threshold(text: str) -> Threshold:
    if text in {"fixed", "tuned"}:
        return cast("Threshold", text)
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--threshold is fixed, tuned or a probability, not '{text}'") from None


def _after(text: str) -> AfterError:
    if text not in {"mask", "keep"}:
        raise UsageError(f"--after-error is mask or keep, not '{text}'")
    return cast("AfterError", text)
