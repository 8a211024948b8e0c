"""`publish --to`: a staged folder becomes a folder anywhere that fsspec can write. How files are written is `hub`'s business.

The data lie in a folder that is named by what is in it, `data-<digest>/`; README.md says which one is the data set. So the new
data are written beside the old, and the one step that counts is that README.md is replaced. Figures and `run.json` come before
it, `manifest.json` after it, and what the old version had alone is deleted last. An export and a model have names that loaders
know, so another version of one is refused; the two files without which nothing is a model are written after all that loaders
read. A hidden copy of the new manifest is there from the first write to the last deletion: by it a publication that was stopped
is known again, and continued.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from openr_data.errors import HubError, InputError
from openr_data.hub.files import LocalFile, Plan, RemoteFile, plan
from openr_data.hub.folder import Folder
from openr_data.pipelines.publishing.hub import footer_rows
from openr_data.pipelines.publishing.kinds import DATA_SET, Kind
from openr_data.pipelines.publishing.record import MANIFEST, owned_files
from openr_data.pipelines.publishing.source import Source, Sources
from openr_data.pipelines.publishing.staging import README
from openr_data.pipelines.publishing.types import Published, Sending

_BEGUN = ".publishing.json"
_VERSION = re.compile(r"data-[0-9a-f]{12}/.+")
_LAST = {README: 1, MANIFEST: 2}
_NEEDED = ("config.json", "prm_config.json")
"""Without them a folder is no model, so they come after everything else that loaders read."""


@dataclass(frozen=True, slots=True)
class FolderTarget:
    """`into_existing`: also where the folder holds something else, or our files were changed by hand."""

    url: str
    into_existing: bool = False
    kind: Kind = DATA_SET


@dataclass(frozen=True, slots=True)
class _There:
    """What the folder holds, with the SHA-256 of the last publication's files and of one's that was stopped; `None`: there is
    none.
    """

    sizes: Mapping[str, int]
    last: Mapping[str, str] | None
    begun: Mapping[str, str] | None

    def ours(self, path: str) -> bool:
        if path in _LAST:
            return self.last is not None or self.begun is not None
        return bool(_VERSION.fullmatch(path)) or path in {*(self.last or {}), *(self.begun or {})}


def publish_to_folder(sources: Sources, target: FolderTarget, sending: Sending, *, dry_run: bool = False) -> Published:
    """Raises `HubError` or `UsageError`; until README.md is replaced, readers see what they saw before."""
    folder = Folder(target.url)
    there = _look(folder, target)
    existing = _text(folder) if README in there.sizes else ""
    with sources() as source:
        files = source.files(existing, folder.name)
        planned = _planned(folder, there, target, files)
        _check_whole(source, folder, there, planned, target)
        if dry_run or (planned.empty and there.begun is None):
            return Published(folder.name, "dry run" if dry_run else "unchanged", planned.changes, source.rows)
        _write(folder, there.sizes, planned, sending)
        _verify(source, folder, planned)
        folder.delete([*planned.removed, _BEGUN])
        return Published(folder.name, "published", planned.changes, source.rows)


def _look(folder: Folder, target: FolderTarget) -> _There:
    sizes = folder.sizes()
    last, begun = (owned_files(folder.read(name), target.kind) if name in sizes else None for name in (MANIFEST, _BEGUN))
    there = _There({path: size for path, size in sizes.items() if path != _BEGUN}, last, begun)
    others = sorted(path for path in there.sizes if not there.ours(path) and not path.startswith("."))
    if others and last is None and not target.into_existing:
        raise HubError(
            f"{folder.name} holds something else ({others[0]}) and no publication of openr-data; choose another folder"
            f"{'' if target.kind.replaces else f', or {target.kind.option} {target.kind.offer}'}"
        )
    return there


def _planned(folder: Folder, there: _There, target: FolderTarget, files: Iterable[LocalFile]) -> Plan:
    """Raises `HubError` where something would be overwritten that is not ours, or was changed by hand."""
    files = list(files)
    sums = _sums(folder, there, {file.path for file in files} & set(there.sizes))
    tree = {path: RemoteFile(path, size, sums.get(path, "")) for path, size in there.sizes.items()}
    planned = plan(files, tree, [path for path in there.sizes if there.ours(path)])
    changed = [change.path for change in planned.changes if change.kind == "changed"]
    taken = [path for path in changed if path != README and not there.ours(path)]
    if taken:
        raise HubError(f"{folder.name} holds a {taken[0]} of something else, which is not overwritten; choose another folder")
    edited = [path for path in changed if there.begun is None and sums[path] != (there.last or {}).get(path, sums[path])]
    if edited and not target.into_existing:
        remedy = "publish to another folder" if target.kind.replaces else f"{target.kind.option} replaces it"
        raise HubError(f"{folder.name} has a {edited[0]} that someone changed since it was published; {remedy}")
    return planned


def _sums(folder: Folder, there: _There, paths: Iterable[str]) -> dict[str, str]:
    """As the manifest tells them of data, which may be large; of everything else, and after a stop, as the bytes are there."""
    last = there.last or {}
    told = {path: last.get(path, "") for path in paths if _VERSION.fullmatch(path)}
    if there.begun is None:
        told |= {path: last[path] for path in paths if _is_data(path) and path in last}
    return {path: told[path] if path in told else folder.sha256(path) for path in sorted(paths)}


def _text(folder: Folder) -> str:
    try:
        return folder.read(README).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"the README.md in {folder.name} is not in UTF-8; save it so, then publish") from None


def _check_whole(source: Source, folder: Folder, there: _There, planned: Plan, target: FolderTarget) -> None:
    """An exported folder and a model have fixed names, so a changed one cannot take the place of another in one step. One that
    was stopped is continued.
    """
    begun = {file.path for file in planned.files if (there.begun or {}).get(file.path) == file.sha256}
    differing = {"changed", "removed"} if there.last is None else {"changed", "removed", "new"}
    changed = [change.path for change in planned.changes if change.kind in differing]
    other = [path for path in changed if path not in _LAST and path not in begun and source.pinned(path)]
    known = planned.touched | {path for path in there.sizes if there.ours(path)}
    strays = sorted(path for path in set(there.sizes) - known if source.pinned(path) and source.loads(path))
    if strays and not target.into_existing:
        raise HubError(f"{folder.name} holds {strays[0]}, which would be loaded with ours; publish to another folder")
    if other:
        what = "export" if target.kind is DATA_SET else target.kind.noun
        raise HubError(f"{folder.name} holds another {what} ({other[0]} differs); publish this one to another folder")


def _write(folder: Folder, sizes: Mapping[str, int], planned: Plan, sending: Sending) -> None:
    manifest = next(file for file in planned.files if file.path == MANIFEST)
    folder.replace(replace(manifest, path=_BEGUN))
    uploads = sorted(planned.uploads, key=lambda file: (_place(file.path), file.path))
    total, done = sum(file.size for file in uploads), 0
    for file in uploads:
        sending("write", done, total)
        if not _is_data(file.path):
            folder.replace(file)
        elif not _is_there(folder, sizes, file):
            folder.put(file)
        done += file.size
    sending("write", done, total)


def _place(path: str) -> tuple[int, bool, bool]:
    """When a file is written: data first, README.md and the manifest last."""
    return _LAST.get(path, 0), path in _NEEDED, not _is_data(path)


def _is_data(path: str) -> bool:
    """What may be large, and is not looked for by readers before another file names it."""
    return path.startswith(("data/", "data-")) or path.endswith(".safetensors")


def _is_there(folder: Folder, sizes: Mapping[str, int], file: LocalFile) -> bool:
    """Was it written by an attempt that was stopped?"""
    return sizes.get(file.path) == file.size and folder.sha256(file.path) == file.sha256


def _verify(source: Source, folder: Folder, planned: Plan) -> None:
    sizes = folder.sizes()
    for file in planned.files:
        there = sizes.get(file.path)
        if there != file.size or (not _is_data(file.path) and folder.sha256(file.path) != file.sha256):
            raise HubError(f"{folder.name} does not hold {file.path} as it was written; run the same command again")
    for path, rows in source.rows_of_files.items():
        if footer_rows(partial(folder.read, path), sizes[path]) != rows:
            raise HubError(f"{folder.name} shows other rows in {path} than were written; run the same command again")
