"""Names of repositories, revisions and tags: refused here, before anything is asked of a server."""

from __future__ import annotations

import re

from openr_data.errors import UsageError

_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,95}")
_VERSION = re.compile(r"v([1-9]\d{0,8})")


def repository_name(text: str) -> str:
    """`owner/name`. Raises `UsageError`.

    >>> repository_name("acme/steps-v1.0")
    'acme/steps-v1.0'
    """
    parts = text.split("/")
    bad = any(not _PART.fullmatch(part) or "--" in part or ".." in part for part in parts)
    if len(parts) != 2 or bad or len(text) > 96 or text.endswith(".git"):
        raise UsageError(
            f"'{text[:120]}' is not the name of a repository; give OWNER/NAME of letters, digits, - _ and ., such as my-org/steps"
        )
    return text


def reference_name(text: str, what: str) -> str:
    """A branch or a tag. Raises `UsageError`."""
    if not _REF.fullmatch(text) or ".." in text or "//" in text or text.endswith(("/", ".", ".lock")):
        raise UsageError(f"'{text[:120]}' cannot be a {what}; use letters, digits, - _ . and /")
    return text


def version_number(tag: str) -> int:
    """The number of a data version; 0 for a tag that is none.

    >>> version_number("v12"), version_number("v1.0"), version_number("main")
    (12, 0, 0)
    """
    match = _VERSION.fullmatch(tag)
    return int(match[1]) if match else 0
