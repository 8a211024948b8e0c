"""`openr-data rl`: every command of the group by name."""

from __future__ import annotations

from collections.abc import Callable

import typer

from openr_data.cli.help import help_of
from openr_data.cli.rl.dpo import dpo
from openr_data.cli.rl.grpo import grpo
from openr_data.cli.rl.ppo import ppo
from openr_data.cli.rl.rft import rft
from openr_data.cli.rl.sft import sft

app = typer.Typer(help="Train a policy with rewards for steps and answers.", no_args_is_help=True)

COMMANDS: tuple[Callable[..., None], ...] = (sft, rft, dpo, ppo, grpo)


for _command in COMMANDS:
    app.command(_command.__name__.rstrip("_"), help=help_of(_command))(_command)
