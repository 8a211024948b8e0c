"""Nothing secret is shown: a token that cannot be printed, and text cleared of tokens and signed addresses. Knows no requests."""

from __future__ import annotations

import re

_HIDDEN = "***"
_LONGEST = 300
_SECRETS = (
    re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9]{8,}"),
    re.compile(r"\bsk-[A-Za-z0-9_-]{8,}"),
    re.compile(r"(?i)\b(?:bearer|basic)\s+[^\s\"',;]+"),
    re.compile(
        r"(?i)\b(?:token|access_?token|api_?key|password|secret|signature|credential)s?\b[\"']?\s*[=:]\s*[\"']?[^\s\"',;&]+"
    ),
)
_QUERY = re.compile(r"(\bhttps?://[^\s?\"'<>]+)\?[^\s\"'<>]*")
_USER = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@\"'<>]+@")


class Token:
    """A token that no `print`, `repr`, log or error shows; only `reveal` gives it, to the client that sends it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return _HIDDEN

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a token is not written down")

    def reveal(self) -> str:
        return self._text


def cleared(text: str, token: Token | None = None) -> str:
    """One line without secrets: what a server or a library said, fit for an error message.

    >>> cleared("refused https://h.co/x?sig=1 for Bearer hf_abcdefghijkl")
    'refused https://h.co/x for ***'
    """
    if token is not None and token.reveal():
        text = text.replace(token.reveal(), _HIDDEN)
    text = _USER.sub(r"\1", _QUERY.sub(r"\1", text))
    for pattern in _SECRETS:
        text = pattern.sub(_HIDDEN, text)
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
