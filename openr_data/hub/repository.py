"""One repository of the Hub: what is there, and the calls that change it. Each is tried again where that is safe.

Every error is a `HubError` in one sentence without secrets. Knows nothing of the order in which a publication makes its calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from openr_data.errors import HubError
from openr_data.hub.faults import Conflict, Missing, Passing, Place, is_fault, told
from openr_data.hub.files import LocalFile, RemoteFile, Tree
from openr_data.hub.retry import Patience
from openr_data.hub.secrets import Token, cleared

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")
RepoType = Literal["dataset", "model"]
_NOUNS = {"dataset": "data set", "model": "model", "space": "space"}
_BATCH_FILES = 100
_BATCH_BYTES = 64 << 20
"""So that progress is heard of, and little is sent twice after a fault."""

Sent = Callable[[int], None]
"""Called with the bytes that have arrived at the Hub since the last call."""


@dataclass(frozen=True, slots=True)
class Head:
    """A version as it was read: the commit of the branch and its files."""

    commit: str
    tree: Tree
    private: bool
    tags: dict[str, str] = field(default_factory=dict)


class Repository:
    """`owner/name` at one endpoint. Use it inside `quiet_library`."""

    def __init__(
        self,
        name: str,
        endpoint: str,
        token: Token | None,
        patience: Patience,
        branch: str = "main",
        kind: RepoType = "dataset",
    ) -> None:
        self.name, self.branch, self.patience, self._endpoint, self._kind = name, branch, patience, endpoint, kind
        self.place = Place(name, cleared(endpoint), token)
        self._token: str | bool = token.reveal() if token else False

    @property
    def address(self) -> str:
        return f"{self.place.endpoint}/{'datasets/' * (self._kind == 'dataset')}{self.name}"

    @property
    def noun(self) -> str:
        """What the repository holds: "data set" or "model"."""
        return _NOUNS[self._kind]

    @property
    def _api(self) -> HfApi:
        from huggingface_hub import HfApi

        return HfApi(endpoint=self._endpoint, token=self._token, library_name="openr-data")

    def check_write(self) -> bool:
        """False where there is no such repository. Raises `HubError` where the token may not write to it."""
        try:
            self.ask("checking the permissions", lambda: self._api.auth_check(self.name, repo_type=self._kind, write=True))
        except Missing:
            return False
        return True

    def other_type(self) -> str:
        """What a repository of this name and another type holds: "model", "data set", "space", or "" for none."""
        for kind in ("model", "dataset", "space"):
            if kind == self._kind:
                continue
            try:
                self.ask(f"looking for a {_NOUNS[kind]}", partial(self._api.repo_info, self.name, repo_type=kind))
            except Missing:
                continue
            return _NOUNS[kind]
        return ""

    def create(self, *, private: bool) -> None:
        """Make it. One that is there meanwhile, also by a call of ours whose answer was lost, is as good."""

        def make() -> object:
            return self._api.create_repo(self.name, repo_type=self._kind, private=private, exist_ok=False)

        try:
            self.ask("creating the repository", make)
        except Conflict:
            return
        except Missing:
            owner = self.place.owner
            raise HubError(f"there is no user or organisation {owner} on the Hub that this token may write to") from None

    def head(self) -> Head:
        """The branch as it is now. Raises `Missing` where there is no such repository or branch."""
        refs = self._refs()
        commits = {branch.name: branch.target_commit for branch in refs.branches}
        if self.branch not in commits:
            raise Missing(f"{self.name} has no branch {self.branch}")
        info = self.ask("reading the repository", lambda: self._api.repo_info(self.name, repo_type=self._kind))
        commit = commits[self.branch]
        return Head(commit, self.tree(commit), bool(info.private), {tag.name: tag.target_commit for tag in refs.tags})

    def tags(self) -> dict[str, str]:
        """The commit of every tag."""
        return {tag.name: tag.target_commit for tag in self._refs().tags}

    def _refs(self) -> Any:
        return self.ask("reading the branches", lambda: self._api.list_repo_refs(self.name, repo_type=self._kind))

    def make_branch(self) -> None:
        """Start the branch at `main`."""
        try:
            self.ask("creating the branch", lambda: self._api.create_branch(self.name, repo_type=self._kind, branch=self.branch))
        except Conflict:
            return

    def tree(self, commit: str) -> Tree:
        """All files of a version."""
        from huggingface_hub.hf_api import RepoFile

        def entries() -> list[Any]:
            return list(self._api.list_repo_tree(self.name, repo_type=self._kind, revision=commit, recursive=True))

        found = self.ask("listing the files", entries)
        files = [each for each in found if isinstance(each, RepoFile)]
        return {each.path: RemoteFile(each.path, each.size, each.lfs.sha256 if each.lfs else "", each.blob_id) for each in files}

    def read(self, path: str, commit: str, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes `[start, stop)` of a file of a version. Raises `Missing`."""
        from huggingface_hub import get_session, hf_hub_url, hf_raise_for_status
        from huggingface_hub.utils._headers import build_hf_headers

        url = hf_hub_url(self.name, path, repo_type=self._kind, revision=commit, endpoint=self._endpoint)
        headers = build_hf_headers(token=self._token, library_name="openr-data")
        if stop is not None:
            headers["Range"] = f"bytes={start}-{stop - 1}"

        def fetch() -> bytes:
            response = get_session().get(url, headers=headers)
            hf_raise_for_status(response)
            content = bytes(response.content)
            return content if stop is None or response.status_code == 206 else content[start:stop]

        return self.ask(f"reading {path}", fetch)

    def upload(self, files: Sequence[LocalFile], sent: Sent) -> list[Any]:
        """Bring the bytes of large files to the Hub, where no version shows them yet; what it already has is not sent again.

        Returns what `commit` takes. Raises `HubError` where the repository's own rules would leave a file out.
        """
        from huggingface_hub import CommitOperationAdd

        operations = [CommitOperationAdd(file.path, file.source) for file in files]
        for batch in _batches(operations):
            self.ask("uploading files", partial(self._preupload, batch))
            ignored = [each.path_in_repo for each in batch if getattr(each, "_should_ignore", False)]
            if ignored:
                raise HubError(f"{self.name} has a .gitignore that leaves out {ignored[0]}; change it, or use another repository")
            sent(sum(each.upload_info.size for each in batch))
        return operations

    def _preupload(self, batch: list[Any]) -> None:
        self._api.preupload_lfs_files(self.name, batch, repo_type=self._kind, revision=self.branch, free_memory=False)

    def check_card(self, text: str) -> None:
        """Raises `HubError` with what the Hub finds wrong in the metadata of a README.md."""
        self.ask("checking the card", lambda: self._api._validate_yaml(text, repo_type=self._kind))

    def commit_once(self, operations: Sequence[Any], removed: Iterable[str], message: str, parent: str) -> str:
        """One commit on top of `parent`, or none: raises `Conflict` or `Passing`, after which it may still have been made."""
        from huggingface_hub import CommitOperationDelete

        deletes = [CommitOperationDelete(path, is_folder=False) for path in removed]

        def send() -> Any:
            return self._api.create_commit(
                self.name,
                [*operations, *deletes],
                commit_message=message,
                repo_type=self._kind,
                revision=self.branch,
                parent_commit=parent,
            )

        return str(self._try("creating the commit", send).oid)

    def make_tag(self, tag: str, commit: str) -> None:
        """Raises `Conflict` where the tag exists."""
        self.ask(
            f"creating the tag {tag}", lambda: self._api.create_tag(self.name, repo_type=self._kind, tag=tag, revision=commit)
        )

    def ask(self, doing: str, question: Callable[[], T]) -> T:
        """The answer, asked for again while the fault may pass."""
        waits = self.patience.waits()
        while True:
            try:
                return self._try(doing, question)
            except Passing as fault:
                seconds = next(waits, None)
                if seconds is None or not self.patience.wait(seconds, fault.asked, str(fault).split(";")[0]):
                    raise

    def _try(self, doing: str, question: Callable[[], T]) -> T:
        try:
            return question()
        except Exception as error:
            if isinstance(error, HubError) or not is_fault(error):
                raise
            told_error = told(error, self.place, doing)
        raise told_error


def _batches(operations: Sequence[Any]) -> Iterable[list[Any]]:
    batch: list[Any] = []
    size = 0
    for operation in operations:
        if batch and (len(batch) == _BATCH_FILES or size + operation.upload_info.size > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(operation)
        size += operation.upload_info.size
    if batch:
        yield batch
