"""The application: every command by name."""

from __future__ import annotations

from typing import Annotated

import typer

from openr_data.cli import (
    builtin,
    card,
    doctor,
    estimate,
    export,
    generate,
    import_,
    inspect,
    label,
    merge,
    publish,
    quickstart,
    report,
    verify,
    view,
)

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


app.command()(quickstart.quickstart)
app.command()(generate.generate)
app.command()(label.label)
app.command()(merge.merge)
app.command("import")(import_.import_)
app.command()(export.export)
app.command()(inspect.inspect)
app.command()(report.report)
app.command()(card.card)
app.command()(publish.publish)
app.command()(verify.verify)
app.command()(view.view)
app.command()(estimate.estimate)
app.command()(doctor.doctor)
app.add_typer(builtin.app, name="builtin")
