"""Who does the run: this process, several on this machine, or a cluster. Nothing here touches what is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from openr_data.errors import UsageError

_PANEL = "Scale-out"
EXECUTORS = ("local", "ray", "slurm")


@dataclass(frozen=True, slots=True)
class ExecutorOptions:
    executor: Annotated[
        str,
        typer.Option(
            "--executor",
            help="local: worker processes on this machine; ray: actors of a Ray cluster; slurm: write the scripts of a job "
            "array. Default: this process.",
            rich_help_panel=_PANEL,
        ),
    ] = ""
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=0,
            help="Workers, each with its own engine (0: one per server, else per GPU, else per two CPUs).",
            rich_help_panel=_PANEL,
        ),
    ] = 0
    ray_address: Annotated[
        str,
        typer.Option(
            "--ray-address",
            help="Of a Ray cluster: host:port of its head node, or auto. Default: RAY_ADDRESS, else a Ray on this machine.",
            rich_help_panel=_PANEL,
        ),
    ] = ""
    slurm: Annotated[
        list[str] | None,
        typer.Option(
            "--slurm", help="Option of the job array: partition=gpu, time=04:00:00, gpus=1 (repeatable).", rich_help_panel=_PANEL
        ),
    ] = None

    def checked(self) -> ExecutorOptions:
        if self.executor and self.executor not in EXECUTORS:
            raise UsageError(f"there is no executor '{self.executor}'; choose one of: {', '.join(EXECUTORS)}")
        if self.workers and not self.executor:
            raise UsageError(f"--workers needs --executor: one of {', '.join(EXECUTORS)}")
        if self.ray_address and self.executor != "ray":
            raise UsageError("--ray-address says nothing without --executor ray")
        if self.slurm and self.executor != "slurm":
            raise UsageError("--slurm says nothing without --executor slurm")
        return self
