"""`openr-data verify`: is a run whole?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from openr_data.cli import options
from openr_data.cli.console import out as console
from openr_data.cli.console import print_json


def verify(
    run: Annotated[Path, typer.Argument(help="Run directory.", show_default=False)],
    repair: Annotated[
        bool, typer.Option("--repair", help="Set damaged shards aside in quarantine/; --resume then makes them again.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Check every byte of a run: configuration, manifest, shards (checksums, rows, ranges) and journal.

    Exits with 0 when the run is whole, with 4 when something is damaged (each finding is named).
    """
    from openr_data.errors import RunDirError
    from openr_data.store.verify import repair_run, verify_run

    report = repair_run(run) if repair else verify_run(run)
    if as_json:
        print_json(asdict(report))
    else:
        console.print(f"status     {report.status}{'' if report.complete else ' (not complete)'}", markup=False)
        console.print(f"records    {', '.join(f'{n:,} {name}' for name, n in report.rows.items()) or 'none'}", markup=False)
        console.print(f"journal    {report.completions:,} completions, {report.tokens:,} tokens", markup=False)
        for finding in report.findings:
            console.print(f"damaged    {finding.path}: {finding.problem}", markup=False, style="red", soft_wrap=True)
    if report.whole:
        return
    repaired = "set aside; run the same command with --resume to make the records again"
    what = repaired if repair else f"run `openr-data verify {run} --repair` to set aside what is damaged"
    count = len(report.findings)
    raise RunDirError(f"{run} has {count} damaged part{'s' * (count > 1)}: {what}")
