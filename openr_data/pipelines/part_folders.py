"""The parts of an executor's run as they lie in its directory: their names, which are done, and their end. Does no work."""

from __future__ import annotations

import shutil
from pathlib import Path

from openr_data.pipelines.parts import Share
from openr_data.store.atomic import partial_name
from openr_data.store.opening import PARTS
from openr_data.store.run_record import NAME as RUN
from openr_data.store.run_record import RunRecord


def is_whole(out: Path) -> bool:
    """Nothing is left for workers: at most problems that failed."""
    return (out / RUN).exists() and not (out / PARTS).exists() and RunRecord.load(out).status == "finished"


def name_of(share: Share) -> str:
    """The directory of a share's part, in `parts/` of the run."""
    return f"shard-{share.index:05d}-of-{share.count:05d}"


def begun_shares(run: Path) -> int:
    """Into how many shares the run was divided when it was begun; 0: it has no part yet."""
    names = [path.name for path in (run / PARTS).glob("shard-*-of-*") if path.is_dir()]
    return int(names[0].rsplit("-", 1)[1]) if names else 0


def done_share(share: Share, part: Path) -> int | None:
    """How many items the part of this share has, where nothing is left to do in it."""
    if not (part / RUN).is_file():
        return None
    record, failures = RunRecord.load(part), part / "failures.jsonl"
    if record.status != "finished" or record.items is None or (failures.is_file() and failures.stat().st_size):
        return None
    return share.size(record.items)


def remove_parts(parts: Path) -> None:
    """Never half of them: without their name they are no parts any more."""
    gone = partial_name(parts)
    shutil.rmtree(gone, ignore_errors=True)
    parts.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
