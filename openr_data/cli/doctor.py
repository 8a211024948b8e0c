"""`openr-data doctor`: what this machine can do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import print_json

_STYLE = {"ok": "green", "note": "yellow", "fail": "bold red"}


def doctor(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where runs will be written.")] = Path(),
    base_url: options.BaseUrl = None,
    as_json: options.Json = False,
) -> None:
    """Look at Python, packages, memory, disk, GPUs, vLLM, the built-in model, tokens and servers.

    Exits with 1 when a check fails, else with 0.
    """
    from rich.markup import escape
    from rich.table import Table

    from openr_data.pipelines.doctor import diagnose

    checks = list(diagnose(out, tuple(base_url or ())))
    if as_json:
        print_json({"checks": [{"name": c.name, "state": c.state, "detail": c.detail} for c in checks]})
    else:
        table = Table(show_header=False, box=None, pad_edge=False)
        for check in checks:
            table.add_row(f"[{_STYLE[check.state]}]{check.state}[/]", escape(check.name), escape(check.detail))
        console.print(table)
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(1)
