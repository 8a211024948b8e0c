"""`openr-data prm export`: a process reward model in the layout that another program loads."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from openr_data.cli import options
from openr_data.cli.console import err, plain, print_json, warn
from openr_data.cli.console import out as console
from openr_data.cli.progress import duration

Layout = Literal["causal", "token-classification", "qwen-prm"]


def export(
    model: Annotated[str, typer.Argument(help="A folder or Hub name of a process reward model.", show_default=False)],
    to: Annotated[
        Layout,
        typer.Option(
            "--to",
            help="causal: the language model with prm_config.json. token-classification: TRL, transformers' pipelines, vLLM. "
            "qwen-prm: Qwen2ForProcessRewardModel, as Qwen2.5-Math-PRM and vLLM.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory to write.", show_default=False)],
    revision: Annotated[str, typer.Option("--revision", help="Branch, tag or commit of a model on the Hub.")] = "",
    style: Annotated[str, typer.Option("--style", help="How a model of others is asked, where its files do not say.")] = "",
    as_json: options.Json = False,
) -> None:
    """Write a process reward model with another head and the same scores; weights, tokenizer and prm_config.json, no code.

    The scores are compared on a fixed solution before the directory appears. What a layout cannot hold exactly (a Gemma as a
    Qwen2, say) is refused.

    openr-data prm export my-prm --to qwen-prm --out my-prm-qwen
    """
    from openr_data.pipelines.prm.exporting import export_model

    with err.status("exporting"):
        done = export_model(model, to, out, revision=revision, style=style)
    if as_json:
        print_json(asdict(done))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("model", plain(done.out))
    table.add_row("loads as", f"{done.architecture} ({done.dtype})")
    table.add_row("scores", f"logit differences change by {done.difference:.1e} at most")
    table.add_row("written", f"{done.bytes / 1e6:,.1f} MB in {duration(done.seconds)}")
    console.print(table, markup=False)
    for note in done.notes:
        warn(note)
