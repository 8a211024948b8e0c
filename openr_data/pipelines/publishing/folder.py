"""`publish --to`: a staged folder becomes a folder anywhere that fsspec can write. How files are written is `hub`'s business.

The data lie in a folder that is named by what is in it, `data-<digest>/`; README.md says which one is the data set. So the new
data are written beside the old, and the one step that counts is that README.md is replaced. Figures and `run.json` come before
it, `manifest.json` after it, and what the old version had alone is deleted last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from openr_data.errors import HubError, InputError
from openr_data.hub.files import LocalFile, Plan, RemoteFile, plan
from openr_data.hub.folder import Folder
from openr_data.pipelines.publishing.hub import footer_rows
from openr_data.pipelines.publishing.record import MANIFEST, owned_files
from openr_data.pipelines.publishing.source import RunSource, Source, Sources
from openr_data.pipelines.publishing.staging import README
from openr_data.pipelines.publishing.types import Published, Sending

_VERSION = re.compile(r"data-[0-9a-f]{12}/.+")
_LAST = {README: 1, MANIFEST: 2}


@dataclass(frozen=True, slots=True)
class FolderTarget:
    """`into_existing`: also where the folder holds something else."""

    url: str
    into_existing: bool = False


def publish_to_folder(sources: Sources, target: FolderTarget, sending: Sending, *, dry_run: bool = False) -> Published:
    """Raises `HubError` or `UsageError`; until README.md is replaced, readers see what they saw before."""
    folder = Folder(target.url)
    sizes = folder.sizes()
    owned = _owned(folder, sizes, target)
    existing = _text(folder) if README in sizes else ""
    with sources() as source:
        files = source.files(existing, folder.name)
        planned = plan(files, _tree(folder, sizes, owned), {*owned, *filter(_VERSION.fullmatch, sizes)})
        if not isinstance(source, RunSource):
            _check_whole(folder, planned)
        if dry_run or planned.empty:
            return Published(folder.name, "dry run" if dry_run else "unchanged", planned.changes, source.rows)
        _write(folder, sizes, planned, sending)
        _verify(source, folder, planned)
        folder.delete(planned.removed)
        return Published(folder.name, "published", planned.changes, source.rows)


def _owned(folder: Folder, sizes: Mapping[str, int], target: FolderTarget) -> Mapping[str, str]:
    owned = owned_files(folder.read(MANIFEST)) if MANIFEST in sizes else None
    if owned is None and not target.into_existing:
        others = sorted(path for path in sizes if not _VERSION.fullmatch(path) and not path.startswith("."))
        if others:
            raise HubError(
                f"{folder.name} holds something else ({others[0]}) and no publication of openr-data; choose another folder, or "
                "--into-existing to add the data set to it"
            )
    return owned or {}


def _tree(folder: Folder, sizes: Mapping[str, int], owned: Mapping[str, str]) -> dict[str, RemoteFile]:
    """What is there. Checksums are those of the manifest; those of card and manifest are taken from their bytes."""
    sums = {**owned, **{path: folder.sha256(path) for path in _LAST if path in sizes}}
    return {path: RemoteFile(path, size, sums.get(path, "")) for path, size in sizes.items()}


def _text(folder: Folder) -> str:
    try:
        return folder.read(README).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"the README.md in {folder.name} is not in UTF-8; save it so, then publish") from None


def _check_whole(folder: Folder, planned: Plan) -> None:
    """An exported folder has fixed names, so a changed one cannot take the place of another in one step."""
    changed = [each.path for each in planned.changes if each.kind in {"changed", "removed"} and each.path not in _LAST]
    if changed:
        raise HubError(f"{folder.name} holds another export ({changed[0]} differs); publish this one to another folder")


def _write(folder: Folder, sizes: Mapping[str, int], planned: Plan, sending: Sending) -> None:
    uploads = sorted(planned.uploads, key=lambda file: (_LAST.get(file.path, 0), not _VERSION.fullmatch(file.path), file.path))
    total, done = sum(file.size for file in uploads), 0
    for file in uploads:
        sending("write", done, total)
        if file.path in _LAST:
            folder.replace(file)
        elif not _is_there(folder, sizes, file):
            folder.put(file)
        done += file.size
    sending("write", done, total)


def _is_there(folder: Folder, sizes: Mapping[str, int], file: LocalFile) -> bool:
    """Was it written by an attempt that was stopped?"""
    return sizes.get(file.path) == file.size and folder.sha256(file.path) == file.sha256


def _verify(source: Source, folder: Folder, planned: Plan) -> None:
    sizes = folder.sizes()
    for file in planned.files:
        there = sizes.get(file.path)
        if there != file.size or (file.path in _LAST and folder.sha256(file.path) != file.sha256):
            raise HubError(f"{folder.name} does not hold {file.path} as it was written; run the same command again")
    for path, rows in source.rows_of_files.items():
        if footer_rows(partial(folder.read, path), sizes[path]) != rows:
            raise HubError(f"{folder.name} shows other rows in {path} than were written; run the same command again")
