"""Where something is published, the same for data sets and models."""

from __future__ import annotations

from typing import Annotated

import typer

HUB = "Hub"

To = Annotated[
    str,
    typer.Option(
        "--to",
        help="Instead of the Hub: a folder, or any address that fsspec can write, such as s3://bucket/folder.",
        show_default=False,
    ),
]
Public = Annotated[bool, typer.Option("--public", help="Make a new repository public (default: private).", rich_help_panel=HUB)]
Branch = Annotated[str, typer.Option("--revision", help="Branch to publish on.", rich_help_panel=HUB)]
VersionTag = Annotated[
    str,
    typer.Option(
        "--tag", help="Tag of this version (default: the next of v1, v2, ...).", show_default=False, rich_help_panel=HUB
    ),
]
Message = Annotated[str, typer.Option("--message", "-m", help="Commit message.", show_default=False, rich_help_panel=HUB)]
PublishDryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show every file that would go, and what would change; write nothing there.")
]
