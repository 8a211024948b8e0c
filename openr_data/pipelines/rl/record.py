"""The directory of a run: what it was asked for, saved first and compared when it goes on, and what it ends with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openr_data.errors import RunDirError, UsageError
from openr_data.store.atomic import read_checked_json, storage_errors, write_checked_json
from openr_data.store.run_record import differences

NAME = "rl_run.json"
RESULT = "rl_result.json"
_OURS = frozenset({"lock"})


def begin(out: Path, body: Mapping[str, Any], *, resume: bool) -> None:
    """Makes the directory of a new run, or finds this one again.

    Raises `UsageError` for a directory that holds something else, or a run that was not to be continued, and `RunDirError` for
    one that was asked for otherwise, naming what differs.
    """
    if (out / NAME).is_file():
        if not resume:
            raise UsageError(f"{out} holds a run already; --resume goes on with it, or choose another --out")
        _compare(out, body)
        return
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; choose another --out")
    if resume or (out.is_dir() and {path.name for path in out.iterdir()} - _OURS):
        raise UsageError(f"{out} {'holds no run that could go on' if resume else 'is not empty'}; choose another --out")
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    write_checked_json(out / NAME, body)


def finished(out: Path) -> dict[str, Any] | None:
    """What `finish` recorded, of a run that is over."""
    return read_checked_json(out / RESULT, "begin again in another directory") if (out / RESULT).is_file() else None


def finish(out: Path, body: Mapping[str, Any]) -> None:
    write_checked_json(out / RESULT, body)


def _compare(out: Path, body: Mapping[str, Any]) -> None:
    before = read_checked_json(out / NAME, "begin again in another directory")
    changes = [f"{name} ({was}, now {now})" for name, was, now in differences(before, dict(body))]
    if changes:
        raise RunDirError(f"{out} was written by a different run: {'; '.join(changes)}; use the old values, or another directory")
