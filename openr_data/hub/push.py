"""A publication as one commit: what is there, then the bytes, then the commit, then a look at it, then the tag. Knows no runs.

Readers of the branch see the version before or the version after. A fault at any call leaves a state that the same publication
continues: bytes that have arrived are not sent again, and a commit whose answer was lost is found, not made twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from openr_data.errors import HubError
from openr_data.hub.faults import Conflict, Missing, Passing
from openr_data.hub.files import LocalFile, Plan, Tree, differences
from openr_data.hub.names import version_number
from openr_data.hub.repository import Head, Repository, Sent

_TAGS = 20
"""As many tags are looked at for a version that is published already."""


def look(repo: Repository) -> Head | None:
    """What is there, read and not changed; `None` where there is no such repository, or none that can be seen."""
    try:
        return repo.head()
    except Missing:
        return None


def open_to_write(repo: Repository, *, private: bool) -> Head:
    """What is there, once the token may write to it. A repository that is missing is made, and so is a branch."""
    if repo.place.token is None:
        raise HubError("there is no token for the Hub; set HF_TOKEN to one with write permission, or run `hf auth login`")
    if not repo.check_write():
        other = repo.other_type()
        if other:
            raise HubError(f"{repo.name} is a {other} on the Hub, not a {repo.noun}; choose another name for the {repo.noun}")
        repo.create(private=private)
        if not repo.check_write():
            raise HubError(f"{repo.name} cannot be seen after it was made; check the permissions of the token")
    try:
        return repo.head()
    except Missing:
        repo.make_branch()
        return repo.head()


def push(
    repo: Repository,
    head: Head,
    plan: Plan,
    message: str,
    sent: Sent = lambda _: None,
    loads: Callable[[str], bool] = lambda _: False,
) -> str:
    """Make the branch hold what was planned on top of `head`, in one commit; returns it.

    Where someone else changes the branch meanwhile, the commit is made on top of theirs if it concerns no file of the plan and
    none beside its data or that `loads` names, where loaders would find it; and refused otherwise.
    """
    operations = repo.upload(plan.uploads, sent)
    waits = repo.patience.waits()
    while True:
        try:
            return repo.commit_once(operations, plan.removed, message, head.commit)
        except (Conflict, Passing) as fault:
            failure = fault
        now = repo.head()
        if now.commit != head.commit and not differences(plan, now.tree):
            return now.commit  # our own commit, whose answer was lost
        _check_untouched(repo, plan, head.tree, now.tree, loads)
        head = now
        seconds = next(waits, None)
        asked = failure.asked if isinstance(failure, Passing) else None
        if seconds is None or not repo.patience.wait(seconds, asked, str(failure).split(";")[0]):
            raise failure


def check(repo: Repository, plan: Plan, commit: str) -> None:
    """Read the version again: every file must be there with its bytes, and none that was to go."""
    wrong = differences(plan, repo.tree(commit))
    if wrong:
        raise HubError(f"{repo.name} does not hold what was sent ({'; '.join(wrong[:3])}); run the same command again")


def check_tag(repo: Repository, head: Head, plan: Plan, tag: str, identity: LocalFile) -> None:
    """Raises `HubError` where the tag exists and names another version than the planned one."""
    commit = head.tags.get(tag)
    if commit is not None and not (plan.empty and _same(repo, commit, identity)):
        raise HubError(f"{repo.name} has a tag {tag} already, of another version; choose another --tag")


def tag_version(repo: Repository, commit: str, identity: LocalFile, tag: str, *, committed: bool) -> tuple[str, bool]:
    """Give the version at `commit` its tag; returns it, and whether it is new.

    Without `tag` it is the next of v1, v2, ...; a version whose `identity` file has a tag already keeps that. After a commit only
    the newest version counts: data that come back are a version of their own.
    """
    while True:
        tags = repo.tags()
        if tag and tag in tags:
            return _existing(repo, tags[tag], commit, identity, tag)
        known = "" if tag else _known(repo, tags, identity, newest=committed)
        if known:
            return known, False
        name = tag or f"v{max(map(version_number, tags), default=0) + 1}"
        try:
            repo.make_tag(name, commit)
        except (Conflict, Passing) as fault:
            if repo.tags().get(name) == commit:
                return name, True  # our own tag, whose answer was lost
            if isinstance(fault, Passing):
                raise
            continue
        return name, True


def _existing(repo: Repository, there: str, commit: str, identity: LocalFile, tag: str) -> tuple[str, bool]:
    if there != commit and not _same(repo, there, identity):
        raise HubError(f"{repo.name} has a tag {tag} already, of another version; choose another --tag")
    return tag, False


def _known(repo: Repository, tags: dict[str, str], identity: LocalFile, *, newest: bool) -> str:
    """A tag of a version with this identity file."""
    ordered = sorted(tags, key=lambda name: (-version_number(name), name))
    looked = [name for name in ordered if version_number(name)][:1] if newest else ordered[:_TAGS]
    return next((name for name in looked if _same(repo, tags[name], identity)), "")


def _same(repo: Repository, commit: str, identity: LocalFile) -> bool:
    there = repo.tree(commit).get(identity.path)
    return there is not None and there.holds(identity)


def _check_untouched(repo: Repository, plan: Plan, before: Tree, now: Tree, loads: Callable[[str], bool]) -> None:
    changed = sorted(path for path in {*before, *now} if _git(before, path) != _git(now, path))
    folders = {_folder(file.path) for file in plan.files} - {""}
    ours = [path for path in changed if path in plan.touched or _folder(path) in folders or loads(path)]
    if ours:
        raise HubError(
            f"{repo.name} was changed by someone else meanwhile ({ours[0]}); run the same command again to publish on top of it"
        )


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _git(tree: Tree, path: str) -> object:
    there = tree.get(path)
    return there and replace(there, path="")
