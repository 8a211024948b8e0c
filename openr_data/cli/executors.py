"""The executors of the command line: each gets the stage, and the command that a worker is to run in its place."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import typer

from openr_data.cli.console import warn
from openr_data.cli.options.executor import ExecutorOptions
from openr_data.cli.progress import progress
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.plan import Stage
from openr_data.pipelines.stage import Summary, run_stage

_NOT_FOR_WORKERS = frozenset(
    {"executor", "workers", "ray_address", "slurm", "shard", "out", "resume", "fork", "dry_run", "as_json"}
)


def carry_out(
    stage: Stage[Any], options: RunOptions, how: ExecutorOptions, context: typer.Context, *, as_json: bool
) -> Summary | None:
    """With progress and warnings on standard error. `None`: nothing was run, only written down how."""
    if how.executor == "slurm":
        from openr_data.cli.slurm import write_jobs

        write_jobs(stage, options, how, worker_command(context), as_json=as_json)
        return None
    with progress() as report:
        told = replace(options, report=report, warn=warn)
        if how.executor == "local":
            from openr_data.pipelines.local_executor import LocalJob, run_local

            return run_local(stage, told, LocalJob(worker_command(context, drop=("base_url",)), how.workers))
        if how.executor == "ray":
            from openr_data.pipelines.ray_cluster import RayOptions
            from openr_data.pipelines.ray_executor import run_ray

            return run_ray(stage, told, RayOptions(how.workers, how.ray_address))
        return run_stage(stage, told)


def worker_command(context: typer.Context, drop: tuple[str, ...] = ()) -> list[str]:
    """The present command without what only its executor needs, and without `drop`: `--shard`, `--out` and the like are added."""
    return [sys.executable, "-m", "openr_data", str(context.info_name), *_arguments(context, _NOT_FOR_WORKERS | set(drop))]


def _arguments(context: typer.Context, left_out: frozenset[str]) -> Iterator[str]:
    """Every option that has another value than its default, and the positional arguments, spelled so that none is taken for an
    option.
    """
    for parameter in context.command.params:
        value = context.params.get(str(parameter.name))
        if parameter.name in left_out or value is None or value == parameter.get_default(context):
            continue
        if parameter.param_type_name == "argument":
            yield _positional(str(value))
        elif getattr(parameter, "is_flag", False):
            yield parameter.opts[0]
        else:
            for each in value if isinstance(value, list | tuple) else (value,):
                yield f"{max(parameter.opts, key=len)}={each}"


def _positional(value: str) -> str:
    return f"./{value}" if value.startswith("-") else value
