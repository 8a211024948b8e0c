"""The application: every command by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from openr_data.cli import (
    builtin,
    card,
    doctor,
    estimate,
    evaluate,
    export,
    generate,
    import_,
    inspect,
    label,
    loop,
    merge,
    publish,
    quickstart,
    report,
    solve,
    verify,
    view,
)
from openr_data.cli.help import help_of
from openr_data.cli.prm import app as prm
from openr_data.cli.rl import app as rl

app = typer.Typer(
    name="openr-data",
    help="Process-supervision data: sample solutions, label every step, keep everything.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from openr_data import __version__

        typer.echo(f"openr-data {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Process-supervision data: sample solutions, label every step, keep everything."""


COMMANDS: tuple[Callable[..., None], ...] = (
    quickstart.quickstart,
    generate.generate,
    label.label,
    solve.solve,
    evaluate.evaluate,
    loop.loop,
    merge.merge,
    import_.import_,
    export.export,
    inspect.inspect,
    view.view,
    report.report,
    card.card,
    publish.publish,
    verify.verify,
    estimate.estimate,
    doctor.doctor,
)


for _command in COMMANDS:
    app.command(_command.__name__.rstrip("_"), help=help_of(_command))(_command)
app.add_typer(prm.app, name="prm")
app.add_typer(rl.app, name="rl")
app.add_typer(builtin.app, name="builtin")
