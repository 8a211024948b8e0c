"""Single options that commands take one by one, and that groups hold too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def option(flag: str, text: str, panel: str, **more: Any) -> Any:
    """An option in a panel of the help."""
    return typer.Option(flag, help=text, rich_help_panel=panel, **more)


_ENGINE = "Engine"
_SAMPLING = "Sampling"
_INPUT = "Input"
_RUN = "Run"

Out = Annotated[Path, typer.Option("--out", "-o", help="Run directory to write.", show_default=False, rich_help_panel=_RUN)]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Print the resolved configuration and the first real prompt; load no model.", rich_help_panel=_RUN
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=_RUN)]

BaseUrl = Annotated[
    list[str] | None,
    typer.Option("--base-url", help="Server address, such as http://127.0.0.1:8000/v1 (repeatable).", rich_help_panel=_ENGINE),
]
Slots = Annotated[
    int, typer.Option("--slots", min=0, help="Sequences generated at once (0: the engine's choice).", rich_help_panel=_ENGINE)
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.", rich_help_panel=_ENGINE)]

Solutions = Annotated[int, typer.Option("--solutions", "-n", min=1, help="Solutions per problem.", rich_help_panel=_SAMPLING)]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the run.", rich_help_panel=_SAMPLING)]
Grader = Annotated[str, typer.Option("--grader", help="math (math-verify behind a fast path) or exact.", rich_help_panel=_INPUT)]
