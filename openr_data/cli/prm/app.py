"""`openr-data prm`: every command of the group by name."""

from __future__ import annotations

from collections.abc import Callable

import typer

from openr_data.cli.help import help_of
from openr_data.cli.prm.critic import critic
from openr_data.cli.prm.serve import serve

app = typer.Typer(help="Train, score and judge process reward models (Math-psa).", no_args_is_help=True)

COMMANDS: tuple[Callable[..., None], ...] = (critic, serve)

for _command in COMMANDS:
    app.command(_command.__name__.rstrip("_"), help=help_of(_command))(_command)
