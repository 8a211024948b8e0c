"""What went wrong at the Hub, in one sentence that says what to do. Knows errors of `huggingface_hub`, not what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openr_data.errors import HubError
from openr_data.hub.secrets import Token, cleared

_PASSING = {408, 425, 429, 500, 502, 503, 504}
_TOKENS = "https://huggingface.co/settings/tokens"


class Conflict(HubError):
    """The branch is not where it was believed to be, or another change is under way (409, 412)."""


class Missing(HubError):
    """No such repository, revision or file; or none that the token may see (404)."""


class Passing(HubError):
    """A fault that may be gone in a moment. `asked`: the seconds that the server wants to be left alone."""

    asked: float | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """What an error has to name."""

    repo: str
    endpoint: str
    token: Token | None = None

    @property
    def owner(self) -> str:
        return self.repo.split("/")[0]


def is_fault(error: BaseException) -> bool:
    """Comes the error from the network, the server or the client library (and not from a mistake in our code)?"""
    return isinstance(error, OSError | ValueError | RuntimeError) or _named(error, "TransportError", "HTTPError")


def told(error: BaseException, place: Place, doing: str) -> HubError:
    """The error in our words. `doing` says what was tried, such as "creating the commit"."""
    error = _inner(error)
    response = getattr(error, "response", None)
    if response is not None:
        return _answered(error, response, place, doing)
    if _named(error, "OfflineModeIsEnabled"):
        return HubError("HF_HUB_OFFLINE is set, so nothing can be published; unset it, or use --to for a local folder")
    if _named(error, "TransportError", "JSONDecodeError"):
        what = "gave no answer that can be read" if isinstance(error, ValueError) else "cannot be reached"
        return Passing(f"{place.endpoint} {what} ({_kind(error)}) while {doing}; check the network and HF_ENDPOINT")
    what = cleared(str(error), place.token)
    if isinstance(error, ValueError) and "metadata" in what:
        return HubError(f"the Hub refuses the metadata of README.md: {what}")
    if isinstance(error, RuntimeError | OSError):
        return Passing(f"{doing} failed ({_kind(error)}: {what})")
    return HubError(f"{doing} failed ({_kind(error)}: {what})")


def _answered(error: BaseException, response: Any, place: Place, doing: str) -> HubError:
    status, said = int(response.status_code), cleared(_said(error), place.token)
    because = f" ({said})" if said else ""
    if status in _PASSING:
        return _passing(response, status, because, doing)
    if status in {409, 412}:
        return Conflict(f"{place.repo} was changed by someone else while {doing}{because}; run the same command again")
    if _named(error, "GatedRepoError"):
        return HubError(f"{place.repo} is gated and the token has no access to it; ask for access on its page")
    if status == 401:
        return _unauthorised(error, place)
    if status == 403:
        return HubError(f"the token may not do this at {place.repo}: {doing}{because}; use one with write permission for it")
    if status == 404:
        return Missing(f"{place.repo} was not found while {doing}{because}; check the name, and that the token may see it")
    return HubError(f"the Hub refused {doing} ({status}{': ' + said if said else ''})")


def _passing(response: Any, status: int, because: str, doing: str) -> Passing:
    what = "the Hub limits how often it is asked" if status == 429 else "the Hub has trouble"
    fault = Passing(f"{what} (status {status}) while {doing}{because}; run the same command again later, it continues")
    fault.asked = _retry_after(response)
    return fault


def _unauthorised(error: BaseException, place: Place) -> HubError:
    if place.token is None:
        return Missing(f"{place.repo} was not found, or is private; set HF_TOKEN or run `hf auth login` to see private ones")
    if getattr(error, "response", None) is not None and error.response.headers.get("X-Error-Code") == "RepoNotFound":  # type: ignore[attr-defined]
        return Missing(f"{place.repo} was not found; check the name, and that the token may see it")
    return HubError(f"the Hub does not accept the token; make one with write permission at {_TOKENS} and set HF_TOKEN to it")


def _retry_after(response: Any) -> float | None:
    """As `Retry-After` says, or the header in which the Hub itself tells when its window of requests begins anew."""
    from huggingface_hub.utils._http import parse_ratelimit_headers

    text = str(response.headers.get("Retry-After", "")).strip()
    if text.isdigit():
        return float(text)
    limit = parse_ratelimit_headers(response.headers)
    return limit.reset_in_seconds + 1.0 if limit is not None and not limit.remaining else None


def _said(error: BaseException) -> str:
    """What the server said itself; addresses and request numbers are the library's addition."""
    return str(getattr(error, "server_message", None) or "")


def _inner(error: BaseException) -> BaseException:
    """The library wraps what goes wrong in an upload."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _named(error: BaseException, *names: str) -> bool:
    """Is the error of a class of this name? The classes come from libraries that are loaded only where they are used."""
    return any(each.__name__ in names for each in type(error).__mro__)


def _kind(error: BaseException) -> str:
    return type(error).__name__
