"""Waiting out a passing fault of an HTTP server: the one retry layer of the openai engine. Knows no request and no model."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Literal

FaultKind = Literal["rate_limited", "unavailable", "invalid"]


class Fault(Exception):
    """A request that may go better next time.

    `rate_limited`: the server asks for less; `unavailable`: no answer, or an error of its own; `invalid`: an answer that cannot
    be used. `retry_after` is what the server asked to wait, in seconds.
    """

    def __init__(self, kind: FaultKind, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.kind: FaultKind = kind
        self.detail = detail
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class RetryRules:
    """All times in seconds. A sample ends after `attempts` failed requests, or `invalid_attempts` unusable answers, or `total`
    seconds after its first fault. Being asked for less, and probing an endpoint that is down, use up time only. One of several
    endpoints that has said nothing for `quiet_after` is asked for its health each `health_every`, and is down after
    `health_failures` in a row without an answer.
    """

    attempts: int = 8
    invalid_attempts: int = 3
    total: float = 1800.0
    base: float = 0.5
    cap: float = 60.0
    retry_after_cap: float = 600.0
    connect_timeout: float = 10.0
    opening_attempts: int = 3
    breaker_failures: int = 5
    probe_wait: float = 1.0
    probe_cap: float = 30.0
    down_after: float = 300.0
    growth_pause: float = 10.0
    quiet_after: float = 30.0
    health_every: float = 10.0
    health_failures: int = 2


def backoff(rules: RetryRules, attempt: int) -> float:
    """Capped exponential backoff with full jitter: uniform in [0, min(cap, base * 2^attempt)], `attempt` from 0."""
    return random.uniform(0.0, min(rules.cap, rules.base * 2.0 ** min(attempt, 60)))


def retry_after(headers: Mapping[str, str], cap: float, now: datetime | None = None) -> float | None:
    """The wait that a response asks for, between 0 and `cap`; `None` where it asks for none that can be read.

    Reads `retry-after-ms`, and `retry-after` as seconds or as an HTTP date (RFC 9110, section 10.2.3).

    >>> retry_after({"retry-after": "7"}, 600.0), retry_after({"retry-after": "9999"}, 600.0), retry_after({}, 600.0)
    (7.0, 600.0, None)
    """
    seconds = _seconds(headers.get("retry-after-ms"), 0.001)
    if seconds is None:
        seconds = _seconds(headers.get("retry-after"), 1.0)
    if seconds is None and (text := headers.get("retry-after")):
        seconds = _until(text, now or datetime.now(UTC))
    return None if seconds is None else min(max(seconds, 0.0), cap)


def _seconds(text: str | None, unit: float) -> float | None:
    try:
        seconds = float(text or "") * unit
    except ValueError:
        return None
    return seconds if isfinite(seconds) else None


def _until(text: str, now: datetime) -> float | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()


class Attempts:
    """The budget of one sample: what it has tried, and whether it may try again."""

    def __init__(self, rules: RetryRules) -> None:
        self._rules = rules
        self._first_fault: float | None = None
        self.requests = 0
        self.failed = 0
        self.invalid = 0

    def wait_after(self, fault: Fault, now: float, *, probe: bool) -> float | None:
        """Seconds to wait before the next request; `None`: there is none. `probe`: the endpoint was known to be down."""
        self.requests += 1
        self._first_fault = now if self._first_fault is None else self._first_fault
        self.invalid += fault.kind == "invalid"
        self.failed += fault.kind == "unavailable" and not probe
        spent = self.failed + self.invalid >= self._rules.attempts or self.invalid >= self._rules.invalid_attempts
        if spent or now - self._first_fault >= self._rules.total:
            return None
        if fault.kind == "rate_limited" or probe:
            return 0.0  # the endpoint itself is paused: the sample waits in its queue
        return backoff(self._rules, self.failed + self.invalid - 1)
