"""One vLLM server over HTTP: requests with a time limit, tried again while the fault may pass. Knows no model.

No key and no password is in any message: a key comes from the environment (`KEY`) and leaves in a header only.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import finalize

import httpx

from openr_data.errors import EngineError, UsageError

KEY = "VLLM_API_KEY"
"""The variable that vLLM's own server reads its key from."""
_BUSY = 429


@dataclass(frozen=True, slots=True)
class Patience:
    """`attempts` requests at most, with waits that double from `base` to `cap` seconds (full jitter), or as the server asks.

    A request ends without an answer after `timeout` seconds, and where nothing listens after `connect`.
    """

    attempts: int = 6
    base: float = 0.5
    cap: float = 30.0
    timeout: float = 600.0
    connect: float = 10.0


class Passing(Exception):
    """A fault that may be gone the next time. `wait` is what the server asks for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Server:
    """At a base URL such as http://127.0.0.1:8000, with or without /v1. Threads may share it."""

    def __init__(self, base_url: str, patience: Patience, sleep: Callable[[float], None] = time.sleep) -> None:
        self.url = _root(base_url)
        self._patience, self._sleep = patience, sleep
        limits = httpx.Timeout(patience.timeout, connect=patience.connect)
        self._client = httpx.Client(headers=_headers(), timeout=limits)
        finalize(self, self._client.close)

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object that answers a GET, or a POST of `body`. Raises `EngineError` in one sentence for a lasting fault."""
        for attempt in range(1, self._patience.attempts + 1):
            try:
                return self._once(path, body)
            except Passing as fault:
                if attempt == self._patience.attempts:
                    what = f"the scoring server at {self.url} does not answer ({fault}), asked {attempt} times"
                    raise EngineError(f"{what}; is it running? `openr-data prm serve` starts one", retryable=True) from fault
                longest = min(self._patience.cap, self._patience.base * 2.0 ** (attempt - 1))
                self._sleep(random.uniform(0.0, longest) if fault.wait is None else min(fault.wait, self._patience.cap))
        raise AssertionError("at least one attempt")

    def _once(self, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        try:
            answer = self._client.get(self.url + path) if body is None else self._client.post(self.url + path, json=body)
        except httpx.TransportError as fault:
            raise Passing(type(fault).__name__) from fault
        if answer.status_code == _BUSY or answer.status_code >= 500:
            raise Passing(f"HTTP {answer.status_code}", _wait(answer))
        if answer.status_code != httpx.codes.OK:
            raise EngineError(f"the scoring server at {self.url} refuses: HTTP {answer.status_code}, {_told(answer)}")
        try:
            found = answer.json()
        except ValueError as fault:
            raise Passing("an answer that is no JSON") from fault
        if not isinstance(found, dict):
            raise Passing("an answer that is no JSON object")
        return found


def _root(base_url: str) -> str:
    url = httpx.URL(base_url) if base_url.startswith(("http://", "https://")) else None
    if url is None or not url.host:
        raise UsageError("a scoring server needs --base-url, such as http://127.0.0.1:8000")
    if url.userinfo or url.query:
        raise UsageError(f"a base URL must not hold a key or password; set the environment variable {KEY}")
    return str(url).rstrip("/").removesuffix("/v1")


def _headers() -> dict[str, str]:
    key = os.environ.get(KEY, "").strip()
    if not key.isascii() or not key.isprintable():
        raise UsageError(f"the environment variable {KEY} holds characters that no HTTP header can carry: it is no key")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _wait(answer: httpx.Response) -> float | None:
    try:
        return max(0.0, float(answer.headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def _told(answer: httpx.Response) -> str:
    """The server's reason, on one line."""
    try:
        found = answer.json()
        text = str(found.get("error", found)["message"])
    except (ValueError, AttributeError, KeyError, TypeError):
        text = answer.text
    return " ".join(text.split())[:200] or answer.reason_phrase
