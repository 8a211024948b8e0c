"""What happens before the first item: is this directory ours, is it whole, and what has to be done again. Holds no lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from openr_data.errors import RunDirError
from openr_data.store.atomic import file_digest, partial_name, storage_errors, sync_directory
from openr_data.store.journal import JournalTotals, copy_completions
from openr_data.store.manifest import NAME as MANIFEST
from openr_data.store.manifest import Manifest, Shard
from openr_data.store.run_record import NAME as RUN
from openr_data.store.run_record import RunIdentity, RunRecord, versions

JOURNAL = "journal.sqlite"
_SCAFFOLD = ("lock", JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm", MANIFEST)
"""What a run may leave behind before its `run.json` exists: with nothing else, the directory still counts as empty."""

PARTS = "parts"
"""Folder of a run's parts. They may stand there before the run itself does; only their merge may then begin it."""

SLURM = "slurm"
"""Folder of the scripts and logs of a job array."""

_BESIDE = (PARTS, SLURM)


@dataclass(frozen=True, slots=True)
class Opened:
    """`redone` names the damaged files that were moved to `quarantine/`; their items are done again."""

    record: RunRecord
    manifest: Manifest
    redone: tuple[str, ...] = ()


def directory(path: Path, mode: str) -> Path:
    """The directory, made if need be. Raises `RunDirError` where it may not be used in this mode (`new`, `resume`, `merge`)."""
    if path.exists() and not path.is_dir():
        raise RunDirError(f"{path} is a file; give a directory for the run")
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    if (path / RUN).exists():
        if mode == "new":
            raise RunDirError(
                f"{path} already holds a run; --resume continues it, --fork starts a copy of it, or choose another directory"
            )
        if mode == "resume" and (path / PARTS).is_dir() and not RunRecord.load(path).merged:
            raise _unmerged(path)
        return path
    strange = sorted(each.name for each in path.iterdir() if each.name not in _SCAFFOLD and not each.name.endswith(".partial"))
    if PARTS in strange and mode != "merge":
        raise _unmerged(path)
    strange = [name for name in strange if name not in _BESIDE]
    if strange:
        raise RunDirError(f"{path} is not a run directory and not empty (it holds {strange[0]}); choose another directory")
    return path


def begun_parts(run: Path) -> list[Path]:
    """The parts in the run's own folder that something may have been done in."""
    return sorted(path.parent for path in (run / PARTS).glob(f"*/{RUN}"))


def _unmerged(path: Path) -> RunDirError:
    return RunDirError(
        f"{path} holds the parts of a run that are not merged yet; continue them with the same --executor and --resume, "
        f"or merge them with `openr-data merge {path / PARTS}/*/ --out {path}`"
    )


def prepare(
    path: Path, identity: RunIdentity, mode: str, fork_of: Path | None, settings: Mapping[str, Any], part: str = ""
) -> Opened:
    """Under the lock: start the run, or check what is there against `identity` and set damaged shards aside."""
    directory(path, mode)
    opened = _continue(path, identity, part) if (path / RUN).exists() else _begin(path, identity, fork_of, part)
    opened.record.settings |= settings  # what an earlier attempt has found out stays
    now = versions()
    if now not in opened.record.versions:
        opened.record.versions.append(now)
    with storage_errors(path):
        opened.record.save(path)
        sync_directory(path)
    return opened


def _begin(path: Path, identity: RunIdentity, fork_of: Path | None, part: str) -> Opened:
    record, manifest = RunRecord.of(identity), Manifest(identity.digest, identity.tables)
    record.part, record.part_id = part, uuid4().hex if part else ""
    with storage_errors(path):
        for name in (JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm"):
            (path / name).unlink(missing_ok=True)
    if fork_of is not None:
        record.forked_from = RunRecord.load(fork_of).digest
        copied = _copy_journal(fork_of / JOURNAL, path / JOURNAL)
        record.inherited = {"completions": copied.completions, "tokens": copied.tokens}
    manifest.save(path)
    return Opened(record, manifest)


def _copy_journal(source: Path, target: Path) -> JournalTotals:
    partial = partial_name(target)
    partial.unlink(missing_ok=True)
    copied = copy_completions(source, partial)
    partial.replace(target)
    sync_directory(target.parent)
    return copied


def _continue(path: Path, identity: RunIdentity, part: str) -> Opened:
    record, manifest = RunRecord.load(path), Manifest.load(path)
    record.compare_share(part, path)
    record.compare(identity, path)
    if manifest.digest != record.digest:
        raise RunDirError(f"{path / MANIFEST} belongs to another run; restore the one of this run, or remove the directory")
    damaged = {index: names for index, shard in manifest.shards.items() if (names := _damaged(path, shard))}
    failed = {index for index, shard in manifest.shards.items() if shard.failed}
    whole = reopen(path, manifest, damaged, failed)
    if whole is not manifest:
        record.items = None
    _remove_leftovers(path, whole)
    return Opened(record, whole, tuple(name for names in damaged.values() for name in names))


def _damaged(path: Path, shard: Shard) -> list[str]:
    """The files of a shard that are missing or not the bytes that were sealed."""
    return [
        file.path
        for file in shard.files.values()
        if not (path / file.path).is_file() or file_digest(path / file.path) != file.sha256
    ]


def reopen(path: Path, manifest: Manifest, damaged: Mapping[int, list[str]], failed: set[int]) -> Manifest:
    """Take shards out of the manifest so that their items are done again; damaged files go to `quarantine/`."""
    again = {*damaged, *failed}
    if not again:
        return manifest
    whole = manifest.without(again)
    whole.save(path)
    with storage_errors(path):
        for names in damaged.values():
            for name in names:
                _quarantine(path, name)
    return whole


def _quarantine(path: Path, name: str) -> None:
    source, target = path / name, path / "quarantine" / name.removeprefix("data/").replace("/", "-")
    if not source.is_file():
        return
    target.parent.mkdir(exist_ok=True)
    number = 1
    while target.exists():
        number += 1
        target = target.with_name(f"{target.stem.rsplit('~', 1)[0]}~{number}.parquet")
    source.replace(target)
    sync_directory(target.parent)


def _remove_leftovers(path: Path, manifest: Manifest) -> None:
    """Shard files the manifest does not name: written, but a kill came before they counted."""
    named = {file.path for shard in manifest.shards.values() for file in shard.files.values()}
    with storage_errors(path):
        for table in manifest.tables:
            for file in (path / "data" / table).glob("*"):
                if file.name.endswith((".parquet", ".partial")) and file.relative_to(path).as_posix() not in named:
                    file.unlink()
