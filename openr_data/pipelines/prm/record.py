"""What a training of a process reward model was asked for, beside the model: saved first, and compared when it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openr_data.errors import RunDirError, UsageError
from openr_data.pipelines.prm.config import PRMRunConfig
from openr_data.store.atomic import read_checked_json, write_checked_json
from openr_data.store.run_record import differences

NAME = "prm_run.json"
ROWS = ".rows"
LEFT_BEHIND = frozenset({"lock", ROWS})
"""What a training that was killed before it began leaves in its directory."""
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class PRMRunRecord:
    """`config` is `PRMRunConfig.plain`; `inputs` are digests of the data sets, of the evaluation sets and of the base model.
    `data` is what became of the data sets (empty until that is known).
    """

    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    data: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, config: PRMRunConfig, inputs: Mapping[str, str]) -> PRMRunRecord:
        return cls(config.plain(), dict(inputs))

    @classmethod
    def load(cls, out: Path) -> PRMRunRecord:
        """Raises `RunDirError` where there is none, or a damaged one."""
        body = read_checked_json(out / NAME, "train again into another directory")
        try:
            return cls(**body)
        except TypeError as fault:
            raise RunDirError(f"{out / NAME} is of another version of openr-data; train again into another directory") from fault

    def save(self, out: Path) -> None:
        write_checked_json(out / NAME, {"config": self.config, "inputs": self.inputs, "data": self.data})


def check_out(out: Path, record: PRMRunRecord, *, resume: bool) -> None:
    """May this training begin, or go on, in the directory? Writes nothing.

    Raises `UsageError` for a directory that holds something else, or a training that was not to be continued, and `RunDirError`
    for a training that was asked for otherwise, naming the fields that differ.
    """
    if (out / NAME).is_file():
        if not resume:
            raise UsageError(f"{out} holds a training already; --resume goes on with it, or choose another --out")
        _compare(PRMRunRecord.load(out), record, out)
        return
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; choose another --out")
    held = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if held - LEFT_BEHIND:
        raise UsageError(f"{out} is not empty; choose another --out")
    if resume and not held:
        raise UsageError(f"{out} holds no training that could go on; leave out --resume to begin one")


def _compare(before: PRMRunRecord, now: PRMRunRecord, out: Path) -> None:
    old = {"config": before.config, "inputs": before.inputs}
    changes = [
        f"{name.removeprefix('config.')} ({_short(was)}, now {_short(this)})"
        for name, was, this in differences(old, {"config": now.config, "inputs": now.inputs})
    ]
    if changes:
        raise RunDirError(
            f"{out} was written by a different training: {'; '.join(changes)}; use the old values, or another directory"
        )


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
