"""What a training of a process reward model tells before and after: its data, its settings, one of its rows, what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from openr_data.cli.console import out as console
from openr_data.cli.console import warn
from openr_data.cli.progress import duration
from openr_data.cli.show import visible

if TYPE_CHECKING:
    from openr_data.pipelines.prm.collecting import DataReport
    from openr_data.pipelines.prm.config import PRMRunConfig
    from openr_data.pipelines.prm.mixing import SourceTally
    from openr_data.pipelines.prm.preview import Piece
    from openr_data.prm.config import PRMConfig
    from openr_data.prm.train import TrainResult
    from openr_data.prm.train_config import TrainConfig

_HEAD = ("data set", "solutions", "train/valid./test", "rows seen", "good", "wrong", "masked")


def show_data(report: DataReport) -> None:
    """Class balance and splits of each data set, what was left out and why, and how long the rows are."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for place, name in enumerate(_HEAD):
        table.add_column(name, justify="right" if place else "left", overflow="fold", no_wrap=bool(place))
    for name, tally in report.sources.items():
        table.add_row(*map(visible, (f"{_short(name)} ({tally.layout}{_weight(tally)})", *_cells(tally))))
    console.print(table)
    for told in (*_left_out(report), *_sizes(report)):
        console.print(visible(told), soft_wrap=True)
    if report.lost:
        warn(f"{report.lost:,} rows could not be encoded, the first of them {report.first_dropped}")
    if report.lengths.rows and not report.held_out:
        warn("no question is in the validation split: nothing is measured during training")


def _short(name: str) -> str:
    """The last part of a path; the names of the Hub are short."""
    return name.rstrip("/").rsplit("/", 1)[-1] if name.count("/") != 1 else name


def _weight(tally: SourceTally) -> str:
    return "" if tally.weight == 1 else f", weight {tally.weight:g}"


def _cells(tally: SourceTally) -> tuple[str, ...]:
    splits = "/".join(f"{count:,}" for count in tally.splits.values())
    return (f"{tally.solutions:,}", splits, *(f"{count:,}" for count in (tally.rows, tally.good, tally.bad, tally.masked)))


def _left_out(report: DataReport) -> list[str]:
    found = []
    for name, tally in report.sources.items():
        for what, reasons in (("left out", tally.dropped), ("not of the layout", tally.unreadable)):
            if reasons:
                told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
                found.append(f"{what} of {name}: {told}")
    for name, size in report.compared.items():
        found.append(f"of {size:,} questions of {name}: {report.contaminated.get(name, 0):,} solutions left out")
    return found


def _sizes(report: DataReport) -> list[str]:
    lengths, (good, bad) = report.lengths, report.counts()
    if not lengths.rows:
        return []
    share = f"{good / (good + bad):.1%} of the labelled steps are good" if good + bad else "no step is labelled"
    return [
        f"{lengths.rows:,} training rows, {lengths.tokens:,} tokens, {lengths.steps:.1f} steps a row; {share}",
        f"tokens of a row: half up to {lengths.median:,}, 95 % up to {lengths.p95:,}, all up to {lengths.longest:,}; "
        f"context {report.context:,}",
    ]


def show_settings(config: PRMRunConfig, prm: PRMConfig) -> None:
    """Everything that was resolved, one line each."""
    console.print()
    told = [
        ("model", f"{config.train.model.base}, head {prm.head}, template {prm.template.name}, context {prm.context:,}"),
        ("tag", f"{prm.tag!r} ({prm.tag_id})"),
        *([("answers", f"{prm.positive!r} ({prm.positive_id}), {prm.negative!r} ({prm.negative_id})")] if prm.positive else []),
        ("targets", f"{prm.labels.kind}, threshold {prm.labels.threshold:g}, steps after the first wrong one: {_after(prm)}"),
        ("splits", "/".join(f"{100 * share:g}" for share in config.splits.shares)),
        ("training", _training(config.train)),
    ]
    for name, value in told:
        console.print(visible(f"{name:<9}{value}"), soft_wrap=True)


def _training(train: TrainConfig) -> str:
    """What stands in no line of its own, as the options are called."""
    shown = {name: value for name, value in asdict(train).items() if name not in {"model", "labels", "lora"}}
    shown["lora"] = f"rank {train.lora.rank}" if train.lora.rank else "no"
    return ", ".join(f"{name} {value}" for name, value in shown.items() if value not in {"", ()})


def _after(prm: PRMConfig) -> str:
    return "no loss" if prm.labels.after_error == "mask" else "kept"


def show_row(row: Sequence[Piece]) -> None:
    """One row, decoded from its tokens; every tag is marked, and what is asked there stands beside it."""
    console.print()
    console.print("one row as the model sees it:", style="bold")
    line = Text()
    for piece in row:
        line += visible(piece.text)
        if piece.tag:
            line += Text.assemble(
                " [", visible(piece.tag, "reverse"), f" {target_text(piece.target)}] ", style=_style(piece.target)
            )
    console.print(line, soft_wrap=not console.is_terminal)


def target_text(target: float | None) -> str:
    """What is asked of a step.

    >>> target_text(1.0), target_text(0.25), target_text(None)
    ('1', '0.25', 'no loss')
    """
    return "no loss" if target is None else f"{target:.4g}"


def _style(target: float | None) -> str:
    return "yellow" if target is None else "green" if target > 0.5 else "red"


def show_result(result: TrainResult, report: DataReport, config: PRMRunConfig) -> None:
    rate = result.tokens / result.seconds if result.seconds else 0.0
    best = "" if result.best_step == result.steps else f", the weights of step {result.best_step:,} kept"
    lines = [
        ("trained", f"{result.steps:,} steps{best}; {result.tokens:,} tokens in {duration(result.seconds)} ({rate:,.0f} tok/s)"),
        ("AUROC", _measured(result, report)),
        ("model", str(result.folder)),
        ("next", f"openr-data prm evaluate {result.folder} --steps {config.sources[0].location}"),
        ("", f"openr-data prm card {result.folder}"),
    ]
    for name, told in lines:
        console.print(visible(f"{name:<9}{told}"), soft_wrap=True)


def _measured(result: TrainResult, report: DataReport) -> str:
    if not report.held_out:
        return "not measured: no question of the data sets is in the validation split"
    if result.auroc is None:
        return f"not defined: the steps of the {report.held_out:,} validation rows are of one kind"
    ece = "" if result.ece is None else f", calibration error {result.ece:.4f}"
    return f"{result.auroc:.4f} on {report.held_out:,} validation rows{ece}"
