"""What a stand-in Hub remembers, on disk: repositories, commits, branches, tags and blobs. Knows no HTTP.

A commit is one file, and a branch moves by one rename, so whoever reads sees one version or the other, also after a kill.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


class Refusal(Exception):
    """What the Hub answers instead: a status, its `X-Error-Code` and a message."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass(frozen=True)
class Blob:
    """A file of a commit. `oid` is the git SHA-1 of a regular file, the SHA-256 of a large one."""

    oid: str
    size: int
    large: bool = False


Tree = dict[str, Blob]


@dataclass
class Repo:
    visibility: str = "public"
    gated: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class HubState:
    """The repositories under one folder; several servers may follow each other on it, one at a time."""

    def __init__(self, root: Path) -> None:
        self.root, self.blobs, self.lock = root, root / "blobs", threading.RLock()
        self.blobs.mkdir(parents=True, exist_ok=True)

    def folder(self, kind: str, name: str) -> Path:
        return self.root / "repos" / kind / name.replace("/", "--")

    def repo(self, kind: str, name: str) -> Repo:
        try:
            return Repo(**json.loads((self.folder(kind, name) / "refs.json").read_bytes()))
        except FileNotFoundError:
            raise Refusal(404, "Repository not found", "RepoNotFound") from None

    def save(self, kind: str, name: str, repo: Repo) -> None:
        _replace(self.folder(kind, name) / "refs.json", json.dumps(asdict(repo)).encode())

    def create(self, kind: str, name: str, visibility: str = "public", *, gated: bool = False) -> Repo:
        """A repository with the first commit that the Hub makes itself. Refuses one that exists."""
        with self.lock:
            if (self.folder(kind, name) / "refs.json").exists():
                raise Refusal(409, "You already created this dataset repo")
            attributes = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
            oid = self._commit(kind, name, "", {".gitattributes": self.keep(attributes)}, "initial commit")
            repo = Repo(visibility, gated, {"main": oid})
            self.save(kind, name, repo)
            return repo

    def resolve(self, kind: str, name: str, revision: str) -> str:
        """The commit of a branch, a tag or a commit itself."""
        repo = self.repo(kind, name)
        oid = repo.branches.get(revision) or repo.tags.get(revision) or revision
        if not (self.folder(kind, name) / "commits" / f"{oid}.json").is_file():
            raise Refusal(404, "Invalid rev id", "RevisionNotFound")
        return oid

    def tree(self, kind: str, name: str, revision: str = "main") -> Tree:
        body = self.commit_body(kind, name, self.resolve(kind, name, revision))
        return {path: Blob(**blob) for path, blob in body["tree"].items()}

    def commit_body(self, kind: str, name: str, oid: str) -> dict[str, Any]:
        return dict(json.loads((self.folder(kind, name) / "commits" / f"{oid}.json").read_bytes()))

    def history(self, kind: str, name: str, revision: str = "main") -> list[str]:
        """Commits from the first to the one of the revision."""
        oid, found = self.resolve(kind, name, revision), []
        while oid:
            found.append(oid)
            oid = self.commit_body(kind, name, oid)["parent"]
        return found[::-1]

    def read(self, kind: str, name: str, path: str, revision: str = "main") -> bytes:
        blob = self.tree(kind, name, revision).get(path)
        if blob is None:
            raise Refusal(404, "Entry not found", "EntryNotFound")
        return (self.blobs / blob.oid).read_bytes()

    def keep(self, content: bytes) -> Blob:
        """Store a regular file."""
        oid = git_oid(content)
        _replace(self.blobs / oid, content)
        return Blob(oid, len(content))

    def commit(
        self, kind: str, name: str, branch: str, summary: str, lines: Sequence[Mapping[str, Any]], parent: str = ""
    ) -> str:
        """Apply the operations of a commit as one step. Refuses with 412 where the branch has moved on from `parent`."""
        with self.lock:
            repo = self.repo(kind, name)
            if branch not in repo.branches:
                raise Refusal(404, "Invalid rev id", "RevisionNotFound")
            head = repo.branches[branch]
            if parent and parent != head:
                raise Refusal(412, "A commit has happened since. Please refresh and try again.")
            tree = self.tree(kind, name, head)
            for line in lines:
                self._apply(tree, line["key"], line["value"])
            oid = self._commit(kind, name, head, tree, summary)
            repo.branches[branch] = oid
            self.save(kind, name, repo)
            return oid

    def _apply(self, tree: Tree, key: str, value: Mapping[str, Any]) -> None:
        import base64

        path = value["path"]
        if key == "file":
            tree[path] = self.keep(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            if not (self.blobs / value["oid"]).is_file():
                raise Refusal(400, f"LFS object {value['oid']} of {path} was never uploaded")
            tree[path] = Blob(value["oid"], value["size"], large=True)
        elif key == "deletedFile":
            if tree.pop(path, None) is None:
                raise Refusal(404, "A file with this name doesn't exist", "EntryNotFound")
        else:
            raise Refusal(400, f"unknown operation {key}")

    def _commit(self, kind: str, name: str, parent: str, tree: Tree, summary: str) -> str:
        oid = secrets.token_hex(20)
        body = {"parent": parent, "summary": summary, "tree": {path: asdict(blob) for path, blob in sorted(tree.items())}}
        path = self.folder(kind, name) / "commits" / f"{oid}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, json.dumps(body).encode())
        return oid

    def put_file(self, kind: str, name: str, path: str, content: bytes | None, branch: str = "main") -> str:
        """A commit of one file as a person makes it on the site; `None` deletes it."""
        with self.lock:
            repo = self.repo(kind, name)
            tree = self.tree(kind, name, branch)
            if content is None:
                del tree[path]
            else:
                tree[path] = self.keep(content)
            repo.branches[branch] = self._commit(kind, name, repo.branches[branch], tree, f"Edit {path}")
            self.save(kind, name, repo)
            return repo.branches[branch]


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(content)
    partial.replace(path)
