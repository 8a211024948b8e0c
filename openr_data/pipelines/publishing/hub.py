"""`publish --repo`: what is staged becomes one commit of a repository. How calls are made is `hub`'s business."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from openr_data.errors import HubError, InputError
from openr_data.hub.files import Plan, Tree, plan
from openr_data.hub.names import reference_name, repository_name
from openr_data.hub.push import check, check_tag, look, open_to_write, push, tag_version
from openr_data.hub.repository import Head, Repository
from openr_data.hub.retry import Patience
from openr_data.hub.session import endpoint, find_token, quiet_library
from openr_data.pipelines.publishing.kinds import DATA_SET, Kind
from openr_data.pipelines.publishing.record import MANIFEST, manifest_facts, owned_files
from openr_data.pipelines.publishing.source import Source, Sources
from openr_data.pipelines.publishing.staging import README
from openr_data.pipelines.publishing.types import Published, Sending, Status

_PLAIN = {".gitattributes", README, "LICENSE", "LICENSE.md", ".gitignore"}
"""What a repository may hold that is still to be filled."""
_REPLACED = {README, MANIFEST}
_LOOKED_INTO = 50
_TAIL = 64 << 10


@dataclass(frozen=True, slots=True)
class HubTarget:
    """`into_existing`: also where the repository holds something else, or our files were changed by hand."""

    repo: str
    public: bool = False
    branch: str = "main"
    tag: str = ""
    into_existing: bool = False
    kind: Kind = DATA_SET

    def checked(self) -> HubTarget:
        """Raises `UsageError` for a name that cannot be one."""
        repository_name(self.repo)
        reference_name(self.branch, "branch")
        if self.tag:
            reference_name(self.tag, "tag")
        return self


@dataclass(frozen=True, slots=True)
class HubWay:
    """How the Hub is talked to."""

    patience: Patience = field(default_factory=Patience)
    sending: Sending = lambda *_: None


def publish_to_hub(sources: Sources, target: HubTarget, message: str, way: HubWay, *, dry_run: bool = False) -> Published:
    """Raises `HubError`; until the one commit is made, readers see what they saw before.

    Whether the token may write, and what is there, is known before anything is staged.
    """
    with quiet_library():
        repo = Repository(target.repo, endpoint(), find_token(), way.patience, target.branch, target.kind.repo_type)
        if dry_run:
            return _preview(sources, target, repo)
        head = open_to_write(repo, private=not target.public)
        before = _before(target, repo, head)
        with sources() as source:
            planned = _planned(source, target, repo, before)
            return _publish(source, target, repo, head, planned, message or _message(source), way.sending)


@dataclass(frozen=True, slots=True)
class _Before:
    """What the branch holds: its files, those of the last publication, its whole manifest, and the text of its card."""

    tree: Tree = field(default_factory=dict)
    owned: Mapping[str, str] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    card: str = ""


def _before(target: HubTarget, repo: Repository, head: Head) -> _Before:
    manifest = repo.read(MANIFEST, head.commit) if MANIFEST in head.tree else b""
    owned = _owned(target, repo, head, owned_files(manifest, target.kind))
    return _Before(head.tree, owned, manifest_facts(manifest), _text(repo, head) if README in head.tree else "")


def _publish(
    source: Source, target: HubTarget, repo: Repository, head: Head, planned: Plan, message: str, sending: Sending
) -> Published:
    identity = next(file for file in planned.files if file.path == MANIFEST)
    if target.tag:
        check_tag(repo, head, planned, target.tag, identity)
    commit = head.commit if planned.empty else _commit(source, repo, head, planned, message, sending)
    _verify(source, repo, planned, commit)
    tag, fresh = tag_version(repo, commit, identity, target.tag, committed=not planned.empty)
    status: Status = "unchanged" if planned.empty and not fresh else "published"
    return Published(repo.address, status, planned.changes, source.rows, commit, tag, private=head.private)


def _message(source: Source) -> str:
    rows = ", ".join(f"{sum(splits.values()):,} {table}" for table, splits in source.rows.items() if splits)
    return f"Publish {rows}"


def _preview(sources: Sources, target: HubTarget, repo: Repository) -> Published:
    """What would go, against the branch where it can be read; nothing is written."""
    notes: tuple[str, ...] = ()
    try:
        head = look(repo)
        made = "public" if target.public else "private"
        notes = () if head else (f"{repo.name} is not there, or cannot be seen; it would be made, {made}",)
    except HubError as fault:
        head, notes = None, (f"the repository was not looked at: {fault}",)
    before = _before(target, repo, head) if head else _Before()
    with sources() as source:
        planned = _planned(source, target, repo, before)
        private = head.private if head else not target.public
        return Published(repo.address, "dry run", planned.changes, source.rows, private=private, notes=notes)


def _planned(source: Source, target: HubTarget, repo: Repository, before: _Before) -> Plan:
    """The card is made with the text that is there, then everything is compared with what is there."""
    _check_same(source, target, repo, before)
    files = source.files(before.card, repo.name)
    known = {file.path for file in files} | set(before.owned)
    strays = [path for path in before.tree if path not in known and source.loads(path)]
    replaced = target.kind.replaces and target.into_existing
    if strays and not replaced:
        raise HubError(
            f"{repo.name} holds {strays[0]}, which would be loaded as part of {target.kind.loaded} and is not ours; delete it, "
            "or use another repository"
        )
    planned = plan(files, before.tree, {*before.owned, *strays})
    taken = [each.path for each in planned.changes if each.kind == "changed" and each.path not in {*before.owned, *_REPLACED}]
    if taken and not target.into_existing:
        raise HubError(f"{repo.name} has a {taken[0]} that is not ours; {target.kind.option} replaces it")
    return planned


def _check_same(source: Source, target: HubTarget, repo: Repository, before: _Before) -> None:
    other = source.another(before.manifest) if before.owned else ""
    if other and not target.into_existing:
        raise HubError(
            f"{repo.name} holds another {target.kind.noun} ({other}); use another repository, or {target.kind.option} "
            f"{target.kind.offer}"
        )


def _owned(target: HubTarget, repo: Repository, head: Head, owned: Mapping[str, str] | None) -> Mapping[str, str]:
    """The files of the last publication. Raises `HubError` where the repository holds something else."""
    if target.into_existing:
        return owned or {}
    if owned is None:
        others = sorted(set(head.tree) - _PLAIN)
        if others:
            raise HubError(
                f"{repo.name} holds something else ({others[0]}) and no publication of openr-data; use another repository, or "
                f"{target.kind.option} {target.kind.offer}"
            )
        return {}
    edited = [path for path, sha256 in owned.items() if path in head.tree and _sha256(repo, head, path) != sha256]
    if edited:
        raise HubError(
            f"{repo.name} has a {edited[0]} that someone changed since it was published; {target.kind.option} replaces it"
        )
    return owned


def _sha256(repo: Repository, head: Head, path: str) -> str:
    """The Hub tells it of large files; a small one is read."""
    return head.tree[path].sha256 or hashlib.sha256(repo.read(path, head.commit)).hexdigest()


def _text(repo: Repository, head: Head) -> str:
    try:
        return repo.read(README, head.commit).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"the README.md of {repo.name} is not in UTF-8; save it so, then publish") from None


def _commit(source: Source, repo: Repository, head: Head, planned: Plan, message: str, sending: Sending) -> str:
    card = next((file for file in planned.uploads if file.path == README), None)
    if card is not None:
        repo.check_card(card.source.read_text(encoding="utf-8"))
    total, done = sum(file.size for file in planned.uploads), 0

    def sent(size: int) -> None:
        nonlocal done
        done += size
        sending("upload", done, total)

    sending("upload", 0, total)
    return push(repo, head, planned, message, sent, source.loads)


def _verify(source: Source, repo: Repository, planned: Plan, commit: str) -> None:
    """Read it again: the bytes of every file by their checksums, the rows by the footers of Parquet files."""
    check(repo, planned, commit)
    sizes = {file.path: file.size for file in planned.files}
    for path, rows in list(source.rows_of_files.items())[:_LOOKED_INTO]:
        found = footer_rows(partial(repo.read, path, commit), sizes[path])
        if found != rows:
            raise HubError(f"{repo.name} shows {found} rows in {path} where {rows} were sent; run the same command again")


def footer_rows(read: Callable[[int, int], bytes], size: int) -> int:
    """The rows of a Parquet file of which only the end is read. Raises `HubError` where that is no Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    start = max(0, size - _TAIL)
    end = read(start, size)
    length = int.from_bytes(end[-8:-4], "little") + 8
    if len(end) < length <= size:
        end = read(size - length, size)
    try:
        return int(pq.read_metadata(io.BytesIO(b"PAR1" + end)).num_rows)
    except (OSError, ValueError, pa.ArrowException):
        raise HubError("a file that was published cannot be read back as Parquet; run the same command again") from None
