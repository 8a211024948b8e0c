"""Names, checksums, plans and secrets of the room that publishes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openr_data.errors import UsageError
from openr_data.hub.files import LocalFile, RemoteFile, differences, plan
from openr_data.hub.names import reference_name, repository_name
from openr_data.hub.retry import Patience
from openr_data.hub.secrets import Token, cleared

NAMES = st.sampled_from(["README.md", "data/a.parquet", "data/b.parquet", "data/c.parquet", "notes.txt"])
TREES = st.dictionaries(NAMES, st.integers(0, 3), max_size=5)


def local(path: str, content: int) -> LocalFile:
    return LocalFile(path, Path(path), content, f"{content:064x}")


def remote(tree: dict[str, int]) -> dict[str, RemoteFile]:
    return {path: RemoteFile(path, content, f"{content:064x}") for path, content in tree.items()}


@given(TREES, TREES, st.sets(NAMES))
def test_a_plan_makes_the_tree_hold_the_files_and_touches_nothing_else(
    ours: dict[str, int], there: dict[str, int], owned: set[str]
) -> None:
    planned = plan([local(*pair) for pair in ours.items()], remote(there), owned)
    after = dict(there)
    for file in planned.uploads:
        after[file.path] = file.size
    for path in planned.removed:
        del after[path]
    assert {path: after[path] for path in ours} == ours
    assert {path: size for path, size in after.items() if path not in ours} == {
        path: size for path, size in there.items() if path not in ours and path not in owned
    }
    assert differences(planned, remote(after)) == []
    assert plan([local(*pair) for pair in ours.items()], remote(after), owned).empty


def test_differences_name_what_is_missing_other_or_left() -> None:
    planned = plan([local("a", 1), local("b", 2)], remote({"old": 1}), {"old"})
    assert differences(planned, remote({"b": 3, "old": 1})) == ["a is missing", "b has other bytes", "old is still there"]


def test_git_calls_a_file_by_this_checksum(tmp_path: Path) -> None:
    """`printf 'hello\\n' | git hash-object --stdin` says ce013625030ba8dba906f756967f9e9ca394464a."""
    (tmp_path / "file").write_bytes(b"hello\n")
    file = LocalFile.of("file", tmp_path / "file")
    assert file.git_oid == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert file.sha256 == "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    assert RemoteFile("file", 6, git_oid=file.git_oid).holds(file)
    assert not RemoteFile("file", 7, git_oid=file.git_oid).holds(file)


@pytest.mark.parametrize("name", ["acme/steps", "a/b", "my-org/Steps_v1.0"])
def test_names_of_repositories(name: str) -> None:
    assert repository_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "steps", "a/b/c", "a b/c", "../x", "a/..", "-a/b", "a/b.git", "a--b/c", "a/" + "b" * 96, "a/b\n", "ä/b", "a/b-"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a repository"):
        repository_name(name)


@pytest.mark.parametrize("name", ["", "..", "a..b", "-x", "a b", "x/", "x.lock", "v1~"])
def test_tags_that_git_does_not_take_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a tag"):
        reference_name(name, "tag")


@pytest.mark.parametrize(
    "text",
    [
        "{} is wrong",
        "Authorization: Bearer {}",
        "https://cdn.x/blob?X-Amz-Signature={}&more=1",
        "https://ann:{}@host/path",
        '{{"token": "{}"}}',
        "password={}",
        "s3://key:{}@bucket/x",
    ],
)
@pytest.mark.parametrize("secret", ["hf_abcdefghijklmnop", "S3cr3tOfNoKnownForm"])
def test_no_secret_is_shown(text: str, secret: str) -> None:
    said = text.format(secret)
    token = Token(secret)
    assert secret not in cleared(said, token)
    if secret.startswith("hf_") or "{} is" not in text:
        assert secret not in cleared(said), "also where it is not the token in use"


def test_a_token_shows_itself_only_to_who_asks() -> None:
    token = Token("hf_abcdefghijklmnop")
    shown = [repr(token), str(token), f"{token}", f"{token!r}", f"{[token]}", f"{ {'token': token} }"]
    assert all("abc" not in each for each in shown)
    assert token.reveal() == "hf_abcdefghijklmnop"
    with pytest.raises(TypeError):
        pickle.dumps(token)


def test_waits_grow_to_a_cap_and_honour_what_the_server_asks() -> None:
    slept: list[float] = []
    patience = Patience(attempts=8, first=1, cap=10, longest=60, sleep=slept.append)
    waits = list(patience.waits())
    assert len(waits) == 7
    assert all(min(10, 2**n) / 2 <= wait <= min(10, 2**n) for n, wait in enumerate(waits))
    assert patience.wait(1, 30, "busy")
    assert patience.wait(1, None, "busy")
    assert not patience.wait(1, 61, "busy"), "too long to wait for"
    assert slept == [30, 1]
