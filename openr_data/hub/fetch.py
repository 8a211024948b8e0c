"""A data set of the Hub as a folder here, at one commit, in the cache of `huggingface_hub`. Knows files, not what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openr_data.errors import HubError
from openr_data.hub.names import reference_name, repository_name
from openr_data.hub.repository import Repository
from openr_data.hub.retry import Patience
from openr_data.hub.secrets import Token
from openr_data.hub.session import endpoint, find_token, quiet_library


@dataclass(frozen=True, slots=True)
class Fetched:
    """`commit` is the version that lies in `path`."""

    path: Path
    commit: str


def fetch(
    name: str,
    revision: str | None = None,
    token: Token | None = None,
    *,
    anonymous: bool = False,
    patterns: Sequence[str] = ("*",),
    patience: Patience | None = None,
) -> Fetched:
    """The files that match `patterns`, at the commit that `revision` (`main`) stands for now.

    Without a `token` the one of `huggingface_hub` is used, with `anonymous` none. With HF_HUB_OFFLINE set, what is in the cache.
    Raises `HubError`, and `UsageError` for a name that cannot be one.
    """
    from huggingface_hub import is_offline_mode

    wanted = "main" if revision is None else reference_name(revision, "revision")
    known = None if anonymous else token or find_token()
    repository = Repository(repository_name(name), endpoint(), known, patience or Patience(attempts=4))
    if is_offline_mode():
        return _cached(name, wanted, patterns)
    with quiet_library():
        commit = repository.ask("reading the revision", lambda: _commit(repository, wanted))
        path = repository.ask("downloading the data set", lambda: _download(repository, commit, patterns))
    return Fetched(path, commit)


def _commit(repository: Repository, revision: str) -> str:
    from huggingface_hub import HfApi

    api = HfApi(endpoint=repository.place.endpoint, token=_spelt(repository), library_name="openr-data")
    return str(api.dataset_info(repository.name, revision=revision).sha)


def _spelt(repository: Repository) -> str | bool:
    """As the library wants it: false keeps it from looking for one itself."""
    token = repository.place.token
    return token.reveal() if token else False


def _download(repository: Repository, commit: str, patterns: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download

    got = snapshot_download(
        repository.name,
        repo_type="dataset",
        revision=commit,
        allow_patterns=list(patterns),
        endpoint=repository.place.endpoint,
        token=_spelt(repository),
    )
    return Path(str(got))


def _cached(name: str, revision: str, patterns: Sequence[str]) -> Fetched:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        with quiet_library():
            got = snapshot_download(
                name, repo_type="dataset", revision=revision, allow_patterns=list(patterns), local_files_only=True
            )
    except LocalEntryNotFoundError:
        raise HubError(f"HF_HUB_OFFLINE is set and {name} ({revision}) is not in the cache; unset it to download") from None
    path = Path(str(got))
    return Fetched(path, path.name)
