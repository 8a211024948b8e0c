"""Files here and files there, and what has to change to make the two alike. Knows sizes and checksums, not how bytes travel."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

Kind = Literal["new", "changed", "same", "removed"]


@dataclass(frozen=True)
class LocalFile:
    """A file to publish: `path` is its name there, `source` where its bytes lie here."""

    path: str
    source: Path
    size: int
    sha256: str

    @classmethod
    def of(cls, path: str, source: Path) -> LocalFile:
        with source.open("rb") as file:
            return cls(path, source, source.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())

    @cached_property
    def git_oid(self) -> str:
        """What git calls a file of these bytes, in bounded memory."""
        digest = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        with self.source.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as a repository lists it: with the SHA-256 of its bytes (a large file) or their git SHA-1 (`git_oid`)."""

    path: str
    size: int
    sha256: str = ""
    git_oid: str = ""

    def holds(self, file: LocalFile) -> bool:
        """Are these the bytes of `file`?"""
        if self.size != file.size:
            return False
        return self.sha256 == file.sha256 if self.sha256 else self.git_oid == file.git_oid


Tree = Mapping[str, RemoteFile]
"""The files of one version, by path."""


@dataclass(frozen=True, slots=True)
class Change:
    path: str
    size: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Plan:
    """What publishing `files` does: every file of theirs, and every file of an earlier publication that goes away."""

    files: tuple[LocalFile, ...]
    changes: tuple[Change, ...]

    @property
    def uploads(self) -> tuple[LocalFile, ...]:
        wanted = {change.path for change in self.changes if change.kind in {"new", "changed"}}
        return tuple(file for file in self.files if file.path in wanted)

    @property
    def removed(self) -> tuple[str, ...]:
        return tuple(change.path for change in self.changes if change.kind == "removed")

    @property
    def empty(self) -> bool:
        return not self.uploads and not self.removed

    @property
    def touched(self) -> frozenset[str]:
        return frozenset(change.path for change in self.changes)


def plan(files: Iterable[LocalFile], tree: Tree, owned: Collection[str]) -> Plan:
    """How `tree` becomes one with `files`. `owned` are the files of the last publication: those that are no more are removed."""
    ordered = tuple(sorted(files, key=lambda file: file.path))
    changes = [Change(file.path, file.size, _kind(file, tree.get(file.path))) for file in ordered]
    gone = sorted((set(owned) & set(tree)) - {file.path for file in ordered})
    return Plan(ordered, (*changes, *(Change(path, tree[path].size, "removed") for path in gone)))


def differences(plan: Plan, tree: Tree) -> list[str]:
    """What keeps a tree from being the one that was planned, in words; files that the plan does not speak of may be there."""
    wrong = [
        f"{file.path} is missing" if file.path not in tree else f"{file.path} has other bytes"
        for file in plan.files
        if file.path not in tree or not tree[file.path].holds(file)
    ]
    return wrong + [f"{path} is still there" for path in plan.removed if path in tree]


def _kind(file: LocalFile, there: RemoteFile | None) -> Kind:
    if there is None:
        return "new"
    return "same" if there.holds(file) else "changed"
