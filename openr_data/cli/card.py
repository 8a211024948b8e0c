"""`openr-data card`: the data set card of a run, with figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import print_json


def card(
    run: Annotated[Path, typer.Argument(help="Run directory.", show_default=False)],
    licence: Annotated[
        str, typer.Option("--license", metavar="ID", help="Licence of the data set, such as mit or cc-by-4.0; none is invented.")
    ] = "",
    cite: Annotated[Path | None, typer.Option("--cite", metavar="FILE", help="BibTeX of the data set itself.")] = None,
    title: Annotated[str, typer.Option("--title", help="Title of the card, instead of the one it has.")] = "",
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against", metavar="FILE", help="Questions to look for contamination with, such as a benchmark (repeatable)."
        ),
    ] = None,
    all_blocks: Annotated[bool, typer.Option("--all-blocks", help="Also write the blocks that were deleted by hand.")] = False,
    as_json: options.Json = False,
) -> None:
    """Write the data set card of a finished run anew: README.md, and figures/ beside it.

    The card says what the data is, how to load it, what was run, how the labels were made and what they cannot see, key numbers
    with figures, quality where the truth is known, cost, licence and citation. Generated text stands between marks. What you
    write around them stays byte for byte, and so do your keys in the metadata; a block that you delete stays deleted. Text
    between the marks is written anew, so delete a block's marks with it to replace it by your own words.

    openr-data card runs/math --license cc-by-4.0 --against math500.jsonl
    """
    from openr_data.pipelines.data_card import CardOptions, write_data_card
    from openr_data.pipelines.run_card import README

    asked = CardOptions(title, licence, cite, tuple(against or ()), all_blocks)
    made = write_data_card(run, asked)
    if as_json:
        print_json(
            {"card": str(run / README), "bytes": len(made.text.encode()), "figures": [str(run / name) for name in made.figures]}
        )
        return
    console.print(f"card     {run / README} ({len(made.text.encode()):,} bytes)", markup=False, soft_wrap=True)
    console.print(f"figures  {', '.join(made.figures) or 'none: the run holds nothing to draw'}", markup=False)
