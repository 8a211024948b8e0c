"""`--executor slurm`: the scripts are written, and the commands that submit them shown."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

from openr_data.cli.console import out as console
from openr_data.cli.console import print_json
from openr_data.cli.options.executor import ExecutorOptions
from openr_data.errors import UsageError
from openr_data.pipelines.admission import check_early
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.part_folders import begun_shares
from openr_data.pipelines.plan import Stage
from openr_data.pipelines.slurm import SlurmJob, write_scripts


def write_jobs(stage: Stage[Any], options: RunOptions, how: ExecutorOptions, command: list[str], *, as_json: bool) -> None:
    if options.part or options.fork_of:
        raise UsageError("--executor slurm writes the parts itself: leave out --shard, and give a run to build on with --reuse")
    check_early(stage, options, in_parts=True)
    begun = begun_shares(options.out)
    if begun not in {0, how.workers}:
        raise UsageError(f"{options.out} was begun in {begun} parts: continue it with --workers {begun}")
    scripts = write_scripts(
        SlurmJob(command, options.out, Path.cwd(), how.workers, tuple(how.slurm or ()), stage.prepare is not None)
    )
    if as_json:
        print_json(asdict(scripts))
        return
    console.print(f"{how.workers} tasks and their merge are written; to submit them:", markup=False)
    console.print(f"  bash {shlex.quote(str(scripts.submit))}", markup=False, soft_wrap=True)
    console.print("which runs", markup=False)
    console.print(f"  sbatch {shlex.quote(str(scripts.array))}", markup=False, soft_wrap=True)
    console.print(f"  sbatch --dependency=afterok:ARRAY_JOB {shlex.quote(str(scripts.merge))}", markup=False, soft_wrap=True)
    if stage.prepare is not None and how.workers > 1:
        console.print("the first task before the others, as it fits the model that all use", markup=False)
