"""`openr-data prm merge`: a low-rank adapter becomes a whole model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from openr_data.cli import options
from openr_data.cli.console import err, plain, print_json
from openr_data.cli.console import out as console
from openr_data.cli.progress import duration


def merge(
    adapter: Annotated[
        Path, typer.Argument(help="Folder of the adapter, such as OUT/adapter of `prm train`.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory to write.", show_default=False)],
    base: Annotated[
        str, typer.Option("--base", help="Folder or Hub name of its base, where that is not the place it names itself.")
    ] = "",
    dtype: Annotated[
        str, typer.Option("--dtype", help="Format of the weights. float32 keeps the adapter's scores; bfloat16 is half the size.")
    ] = "float32",
    as_json: options.Json = False,
) -> None:
    """Merge a low-rank adapter into its base: a process reward model of its own, which every program loads.

    An adapter of another base, or of another tokenizer, is refused.

    openr-data prm merge my-prm/adapter --out my-prm-merged
    """
    from openr_data.pipelines.prm.exporting import merge_adapter

    with err.status("merging"):
        done = merge_adapter(adapter, out, base=base, dtype=dtype)
    if as_json:
        print_json(asdict(done))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("model", plain(done.out))
    table.add_row("base", plain(done.base))
    table.add_row("merged", f"{done.weights:,} matrices, in {done.dtype}")
    table.add_row("written", f"{done.bytes / 1e6:,.1f} MB in {duration(done.seconds)}")
    console.print(table, markup=False)
