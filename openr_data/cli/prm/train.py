"""`openr-data prm train`: from labelled data sets to a process reward model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openr_data.cli import options
from openr_data.cli.console import print_json, warn
from openr_data.cli.options.prm_training import (
    PRMDataOptions,
    PRMLabelOptions,
    PRMMachineOptions,
    PRMModelOptions,
    PRMTrainingOptions,
    PRMWatchingOptions,
)
from openr_data.cli.prm.training_progress import training_progress
from openr_data.errors import Interrupted

if TYPE_CHECKING:
    from openr_data.pipelines.prm.collecting import DataReport
    from openr_data.pipelines.prm.config import PRMRunConfig
    from openr_data.prm.train import TrainResult

_SOURCES = (
    "Labelled data sets: runs, files of a known layout, published folders, or OWNER/NAME[@REVISION] on the Hub. "
    "=WEIGHT behind one shows its rows so many times as often."
)


@options.grouped
def train(
    sources: Annotated[list[str], typer.Argument(help=_SOURCES, metavar="DATA...", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the model.", show_default=False, rich_help_panel="Run")],
    *,
    data: PRMDataOptions,
    labels: PRMLabelOptions,
    model: PRMModelOptions,
    training: PRMTrainingOptions,
    machine: PRMMachineOptions,
    watching: PRMWatchingOptions,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on exactly where the training in --out stopped.", rich_help_panel="Run")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print statistics, the configuration and one row as the model sees it.", rich_help_panel="Run"
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Train a process reward model: it says + or - at a tag behind every step.

    Questions are split by their text, the same in every data set; the validation split is measured during training, and the test
    split is left for `prm evaluate`. Rows are never cut. On several GPUs: torchrun or accelerate launch before the command.

    openr-data prm train runs/labels --out prm

    openr-data prm train math-aps.jsonl prm800k.jsonl=2 peiyi9979/Math-Shepherd@main=.5 --base Qwen/Qwen2.5-Math-1.5B-Instruct
    --lora 16 --against math500.jsonl --out math-psa
    """
    from openr_data.pipelines.prm.config import PRMRunConfig, parse_source
    from openr_data.prm.train_config import TrainConfig

    config = PRMRunConfig(
        sources=tuple(map(parse_source, sources)),
        train=TrainConfig(
            model=model.choice(),
            labels=labels.reading(model.head),
            **training.values(model.head),
            **machine.values(),
            **watching.values(),
        ),
        validation_rows=watching.validation_rows,
        **data.values(),
        **labels.values(),
    ).checked()
    _set_threads(machine.threads)
    if dry_run:
        _preview(config, as_json=as_json, allow_dropped=data.allow_dropped)
        return
    _run(config, out, resume=resume, allow_dropped=data.allow_dropped, as_json=as_json)


def _set_threads(threads: int) -> None:
    if threads:
        import torch

        torch.set_num_threads(threads)


def _run(config: PRMRunConfig, out: Path, *, resume: bool, allow_dropped: bool, as_json: bool) -> None:
    from openr_data.cli.prm.training_report import show_data, show_result
    from openr_data.pipelines.prm.record import NAME as RECORD
    from openr_data.pipelines.prm.training import Listeners, is_first, train_prm

    reports: list[DataReport] = []

    def on_data(report: DataReport) -> None:
        reports.append(report)
        if not as_json:
            show_data(report)

    try:
        with training_progress() as (on_row, on_step):
            listeners = Listeners(on_row, on_data, on_step, warn)
            result = train_prm(config, out, resume=resume, allow_dropped=allow_dropped, listeners=listeners)
    except KeyboardInterrupt:
        if not (out / RECORD).is_file():
            raise
        raise Interrupted(f"stopped; the same command with --resume goes on from the last checkpoint in {out}") from None
    if not is_first():
        return
    if as_json:
        print_json({"out": str(out), **_result(result), "data": reports[0].plain(), "config": config.plain()})
    else:
        show_result(result, reports[0], config)


def _result(result: TrainResult) -> dict[str, Any]:
    return {name: value for name, value in asdict(result).items() if name != "folder"}


def _preview(config: PRMRunConfig, *, as_json: bool, allow_dropped: bool) -> None:
    """Raises what the training would, once everything is told."""
    from openr_data.cli.prm.training_report import show_data, show_row, show_settings
    from openr_data.pipelines.prm.collecting import check
    from openr_data.pipelines.prm.preview import example_of
    from openr_data.pipelines.prm.training import Listeners, previewed

    with previewed(config, Listeners(warn=warn)) as (opened, collected):
        prepared, report = opened.prepared, collected.report
        row = example_of(collected.train, prepared.tokenizer, prepared.config) if report.lengths.rows else ()
    if as_json:
        plain = {"config": config.plain(), "prm": asdict(prepared.config), "inputs": dict(opened.inputs)}
        print_json({**plain, "data": report.plain(), "row": [asdict(piece) for piece in row]})
    else:
        show_data(report)
        show_settings(config, prepared.config)
        show_row(row)
    check(report, allow_dropped=allow_dropped)
