"""`openr-data prm`: every command of the group by name."""

from __future__ import annotations

from collections.abc import Callable

import typer

from openr_data.cli.help import help_of
from openr_data.cli.prm.calibrate import calibrate
from openr_data.cli.prm.card import card
from openr_data.cli.prm.critic import critic
from openr_data.cli.prm.evaluate import evaluate
from openr_data.cli.prm.export import export
from openr_data.cli.prm.merge import merge
from openr_data.cli.prm.publish import publish
from openr_data.cli.prm.score import score
from openr_data.cli.prm.serve import serve
from openr_data.cli.prm.train import train

app = typer.Typer(help="Train, score and judge process reward models (Math-psa).", no_args_is_help=True)

COMMANDS: tuple[Callable[..., None], ...] = (calibrate, card, critic, evaluate, export, merge, publish, score, serve, train)

for _command in COMMANDS:
    app.command(_command.__name__.rstrip("_"), help=help_of(_command))(_command)
