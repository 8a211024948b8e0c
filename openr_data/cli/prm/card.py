"""`openr-data prm card`: the model card of a process reward model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import print_json


def card(
    model: Annotated[Path, typer.Argument(help="Folder of a process reward model.", show_default=False)],
    evaluation: Annotated[
        Path | None,
        typer.Option("--evaluation", metavar="DIR", help="What `prm evaluate` wrote of this model.", show_default=False),
    ] = None,
    licence: Annotated[
        str, typer.Option("--license", metavar="ID", help="Licence of the model, such as mit or apache-2.0; none is invented.")
    ] = "",
    title: Annotated[str, typer.Option("--title", help="Title of the card, instead of the name of the folder.")] = "",
    all_blocks: Annotated[bool, typer.Option("--all-blocks", help="Also write the blocks that were deleted by hand.")] = False,
    as_json: options.Json = False,
) -> None:
    """Write the model card of a process reward model: README.md, and the evaluation beside it.

    The card says how to use the model, where it is weak, how good it is, how it is asked, what it was trained on and how. The
    evaluation is copied into the model's folder, and later cards and `prm publish` find it there. Generated text stands between
    marks. What you write around them stays byte for byte, and so do your keys in the metadata; a block that you delete stays
    deleted.

    openr-data prm card my-prm --evaluation my-prm-evaluation --license apache-2.0
    """
    from openr_data.pipelines.prm.model_card import ModelCardOptions, write_model_card
    from openr_data.pipelines.run_card import README

    made = write_model_card(model, ModelCardOptions(evaluation, licence, title, all_blocks))
    if as_json:
        body = {
            "card": str(model / README),
            "bytes": len(made.text.encode()),
            "files": [str(model / name) for name in made.files],
        }
        print_json(body)
        return
    console.print(f"card        {model / README} ({len(made.text.encode()):,} bytes)", markup=False, soft_wrap=True)
    told = ", ".join(made.files) or "none: `openr-data prm evaluate` measures one, and --evaluation DIR adds it"
    console.print(f"evaluation  {told}", markup=False, soft_wrap=True)
