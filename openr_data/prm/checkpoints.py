"""The folder of a training: checkpoints while it runs, the finished model at its end, never half of one.

`OUT/.checkpoints` holds the configuration, transformers' checkpoints and the model that is being written. At the end its files
move into `OUT`, `prm_config.json` and `training.json` last: a folder without them is no process reward model, and `--resume`
finishes a move that was killed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openr_data.errors import RunDirError, UsageError
from openr_data.prm.config import NAME

WORK = ".checkpoints"
RECORD = "training.json"
MODEL = "model"
STATE = "trainer_state.json"
_CONFIG = "run.json"


def begin(out: Path, settings: Mapping[str, Any], *, resume: bool) -> Path | None:
    """Makes the folder of a new training, or finds the newest whole checkpoint of this one (`None`: there is none yet).

    Raises `UsageError` where there is a model or another start already, `RunDirError` naming the settings that differ from those
    that `resume` finds.
    """
    work = out / WORK
    if (out / RECORD).is_file() or (work / _CONFIG).is_file():
        if not resume:
            raise UsageError(f"{out} holds a training already; --resume goes on with it, or choose another --out")
        _compare(out, settings)
        return None if (out / RECORD).is_file() else last_checkpoint(work)
    if (out / NAME).is_file():
        raise UsageError(f"{out} holds a process reward model already; choose another --out")
    work.mkdir(parents=True, exist_ok=True)
    _write_json(work / _CONFIG, settings)
    return None


def last_checkpoint(work: Path) -> Path | None:
    """The newest one that was written to its end; transformers writes the state last. Halves of others are removed."""
    found = sorted(work.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    for path in reversed(found):
        try:
            json.loads((path / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            shutil.rmtree(path)
            continue
        return path
    return None


def finish(out: Path, record: Mapping[str, Any]) -> None:
    """What was written into `out/WORK/MODEL` becomes the model of `out`, and the checkpoints go."""
    work = out / WORK
    written = work / MODEL
    _write_json(written / RECORD, record)
    last = (NAME, RECORD)
    for path in sorted(written.iterdir(), key=lambda path: (path.name in last, path.name)):
        if path.is_dir():
            shutil.rmtree(out / path.name, ignore_errors=True)
        path.replace(out / path.name)
    shutil.rmtree(work)


def finished(out: Path) -> dict[str, Any] | None:
    """What `finish` recorded."""
    try:
        found = json.loads((out / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as fault:
        raise RunDirError(f"{out / RECORD} cannot be read: {fault}") from fault
    return dict(found)


def _compare(out: Path, settings: Mapping[str, Any]) -> None:
    done = finished(out)
    try:
        before = done["settings"] if done else json.loads((out / WORK / _CONFIG).read_text(encoding="utf-8"))
        fields = sorted(name for name in {*before, *settings} if before.get(name) != settings.get(name))
    except (KeyError, AttributeError, ValueError) as fault:
        raise RunDirError(f"{out} is not what openr-data writes: {fault}") from fault
    if fields:
        raise RunDirError(f"{out} was written by a different training: {', '.join(fields)}")


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)
