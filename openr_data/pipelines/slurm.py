"""`--executor slurm`: writes the scripts of a job array, one task per part, and of the job that merges them. Submits nothing.

The scripts hold the command and its options, and never a key: keys stay in environment variables, which they only name.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from openr_data.errors import UsageError
from openr_data.store.atomic import write_text
from openr_data.store.opening import PARTS, SLURM

_OPTION = re.compile(r"[a-z][a-z0-9-]*(=[\w.:,=/@+%*\[\]()&|!-]+)?")
_OURS = frozenset({"array", "dependency", "output", "error", "open-mode", "requeue", "signal", "wrap", "parsable"})
_FOR_MERGE = frozenset({"account", "partition", "qos", "reservation", "clusters", "constraint", "mail-user", "mail-type"})
_SECRET = re.compile(r"://[^/\s@]*:[^/\s@]*@|[?&](api[-_]?key|key|token|access[-_]token|sig|signature)=", re.IGNORECASE)

NOTICE = 180
"""Seconds before the time limit at which a task is told to stop."""

PATIENCE = 90
"""Seconds that what is in flight may take after that; what is not durable then is asked for again."""

MAX_REQUEUES = 500


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """`command` does the whole run in one process, without --out and --resume, from the directory `home`; `options` are for
    sbatch, without their dashes (`time=04:00:00`). `first_alone`: the first task finds out what the others have to know.
    """

    command: Sequence[str]
    out: Path
    home: Path
    tasks: int
    options: Sequence[str] = ()
    first_alone: bool = False


@dataclass(frozen=True, slots=True)
class Scripts:
    """What was written: `submit` runs `sbatch` for the other two."""

    array: Path
    merge: Path
    submit: Path


def write_scripts(job: SlurmJob) -> Scripts:
    """Into `slurm/` of the run. Raises `UsageError` for what cannot stand in a script, `StorageError`."""
    _check(job)
    out = job.out.resolve()
    folder = out / SLURM
    folder.mkdir(parents=True, exist_ok=True)
    scripts = Scripts(folder / "array.sbatch", folder / "merge.sbatch", folder / "submit.sh")
    write_text(scripts.array, _array(job, out, folder))
    write_text(scripts.merge, _merge(job, out, folder))
    write_text(scripts.submit, _submit(job, scripts))
    return scripts


def _check(job: SlurmJob) -> None:
    if job.tasks < 1:
        raise UsageError("--executor slurm needs --workers: how many tasks the job array has")
    for option in job.options:
        name, _, value = option.partition("=")
        if not _OPTION.fullmatch(option):
            raise UsageError(f"--slurm is an option of sbatch without dashes, such as time=04:00:00, not '{option}'")
        if name in _OURS:
            raise UsageError(f"--slurm {name} is set by openr-data itself: leave it out")
        if name == "export" and "=" in value:
            raise UsageError("--slurm export may name variables but not their values: the script must hold no key")
    for word in job.command:
        if _SECRET.search(word):
            name = word.split("=")[0] if word.startswith("--") else "an address"
            raise UsageError(f"{name} holds a key or password, which must not stand in a script; use --api-key-env instead")
    if re.search(r"\s", str(job.out.resolve())):
        raise UsageError(f"{job.out} has a space in its path, which Slurm's logs cannot have; choose another --out")


def _array(job: SlurmJob, out: Path, folder: Path) -> str:
    logs = str(folder).replace("%", "%%")
    options = [
        f"job-name=openr-data-{_word(out.name)}",
        f"array=1-{job.tasks}",
        f"output={logs}/%A_%a.log",
        "open-mode=append",
        "requeue",
        f"signal=B:USR1@{NOTICE}",
    ]
    return _HEAD.substitute(
        options=_options(options, job.options), what=f"part i of {job.tasks}, as task i of the array", home=_quoted(job.home)
    ) + _ARRAY.substitute(
        command="\n".join(f"  {shlex.quote(word)}" for word in job.command),
        tasks=job.tasks,
        parts=_quoted(out / PARTS),
        first=_FIRST.substitute(part=_quoted(out / PARTS / f"shard-00001-of-{job.tasks:05d}")) if job.first_alone else "",
        patience=PATIENCE,
        requeues=MAX_REQUEUES,
    )


def _merge(job: SlurmJob, out: Path, folder: Path) -> str:
    logs = str(folder).replace("%", "%%")
    options = [f"job-name=openr-data-{_word(out.name)}-merge", f"output={logs}/merge-%j.log", "open-mode=append", "requeue"]
    passed = [option for option in job.options if option.split("=")[0] in _FOR_MERGE]
    return _HEAD.substitute(
        options=_options(options, passed), what="the merge of the parts into the run", home=_quoted(job.home)
    ) + _MERGE.substitute(python=_quoted(job.command[0]), parts=_quoted(out / PARTS), tasks=f"{job.tasks:05d}", out=_quoted(out))


def _submit(job: SlurmJob, scripts: Scripts) -> str:
    tasks = _TWO_STEPS.substitute(array=_quoted(scripts.array), tasks=job.tasks) if job.first_alone and job.tasks > 1 else None
    return _SUBMIT.substitute(
        tasks=tasks or _ONE_STEP.substitute(array=_quoted(scripts.array)),
        merge=_quoted(scripts.merge),
    )


def _options(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Theirs come last, and hold where both say something."""

    def lines() -> Iterator[str]:
        named = {option.split("=")[0] for option in theirs}
        yield from (f"#SBATCH --{option}" for option in ours if option.split("=")[0] not in named)
        yield from (f"#SBATCH --{option}" for option in theirs)

    return "\n".join(lines())


def _quoted(value: object) -> str:
    return shlex.quote(str(value))


def _word(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)


_HEAD = Template("""\
#!/bin/bash
$options
# Written by openr-data: $what. It may be submitted again at any time: what is done is not done again.

cd $home || exit 1
""")

_ARRAY = Template("""\
index="$${SLURM_ARRAY_TASK_ID:?this script is a task of a job array: submit it with sbatch}"
part="$$(printf '%s/shard-%05d-of-%05d' $parts "$$index" $tasks)"
mkdir -p $parts
command=(
$command
)
$first
# Before the time limit (USR1), or when the task is preempted (TERM): what is in flight is finished, or dropped after a while.
stopping=
later() {
  sleep $patience & nap=$$!
  trap 'kill "$$nap"; exit' TERM
  wait "$$nap" && kill -TERM "$$worker"
}
stop() {
  if [ -z "$$stopping" ]; then
    stopping=yes
    later >/dev/null 2>&1 &
    timer=$$!
  fi
  kill -TERM "$$worker" 2>/dev/null
}

"$${command[@]}" --shard "$$index/$tasks" --out "$$part" --resume --json >/dev/null &
worker=$$!
trap stop USR1 TERM

while kill -0 "$$worker" 2>/dev/null; do wait "$$worker"; done  # a signal ends the wait, not the worker
wait "$$worker"
code=$$?
if [ -n "$$stopping" ]; then kill "$$timer" 2>/dev/null; fi
if [ "$$code" -eq 0 ] || [ -z "$$stopping" ]; then exit "$$code"; fi

# Stopped and not done: the task goes back to the queue and its part on from here. A task that was cancelled stays cancelled.
case "$$(scontrol show job --oneliner "$$SLURM_JOB_ID" 2>/dev/null)" in
  *JobState=CANCELLED* | *JobState=COMPLETING*) exit "$$code" ;;
esac
if [ "$${SLURM_RESTART_COUNT:-0}" -ge $requeues ]; then
  echo "error: part $$index was stopped $requeues times; submit it again when it is clear why" >&2
  exit "$$code"
fi
echo "part $$index of $tasks was stopped before its end; it is queued again and goes on from there"
scontrol requeue "$$SLURM_JOB_ID" || exit "$$code"
""")

_MERGE = Template("""\
exec $python -m openr_data merge $parts/shard-*-of-$tasks --out $out
""")

_FIRST = Template("""\
# The first task finds out what all have to know (it fits a model on a pilot); the others read it in its part.
if [ "$$index" -ne 1 ]; then
  if ! grep -q '"prepared": true' $part/run.json; then
    echo "error: task 1 has to come first: submit the tasks with submit.sh" >&2
    exit 1
  fi
  command+=(--reuse $part)
fi
""")

_ONE_STEP = Template("""\
array="$$(sbatch --parsable $array)"
array="$${array%%;*}"
""")

_TWO_STEPS = Template("""\
first="$$(sbatch --parsable --array=1 $array)"
first="$${first%%;*}"
array="$$(sbatch --parsable --array=2-$tasks --kill-on-invalid-dep=yes --dependency="afterok:$$first" $array)"
array="$$first:$${array%%;*}"
""")

_SUBMIT = Template("""\
#!/bin/bash
# Written by openr-data: submits the tasks, and the merge for when every one of them has ended well.
set -euo pipefail
${tasks}merge="$$(sbatch --parsable --kill-on-invalid-dep=yes --dependency="afterok:$$array" $merge)"
echo "submitted: array job $$array, then merge job $${merge%%;*}"
""")
