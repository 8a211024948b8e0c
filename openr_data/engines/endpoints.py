"""Who gets which endpoint, and when: least in flight, one home per prompt, endpoints that rest or are down. Knows no payloads."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf

import httpx

from openr_data.engines.concurrency import AdaptiveLimit, Breaker
from openr_data.engines.http_retry import Fault, RetryRules, backoff
from openr_data.engines.responses import Source
from openr_data.errors import EngineError

_HOMES = 4096


@dataclass(eq=False, slots=True)
class Lease:
    """The right to send one request. Say how it ended before giving it back; a request that was cancelled says nothing.

    `deadline` is the request's, once it is under way; `lost`: its endpoint was found dead meanwhile.
    """

    endpoint: Endpoint
    client: httpx.AsyncClient
    sent: float
    probe: bool
    reported: bool = False
    deadline: asyncio.Timeout | None = None
    lost: bool = False

    def give_up(self) -> None:
        """Let the request end now, as if its time were over."""
        self.lost = True
        if self.deadline is not None and not self.deadline.expired():
            self.deadline.reschedule(_now())

    def check(self) -> None:
        """Raises `Fault` where the endpoint was found dead."""
        if self.lost:
            raise Fault("unavailable", "no answer to a health check") from None


@dataclass(eq=False, slots=True)
class Endpoint:
    """One base URL with one key. `kind` is the kind of server, as `openr_data.engines.openai_servers` finds it.

    `clients` has an entry per request that may be in flight, the last used one last, so that few connections are kept warm.
    Each of several clients has a small share of them: a client looks through all its connections for every request. `heard` is
    when it last answered; `leases` are the requests that it holds.
    """

    url: str
    clients: list[httpx.AsyncClient]
    source: Source
    limit: AdaptiveLimit
    breaker: Breaker
    kind: str = ""
    paused_until: float = -inf
    refusals: int = 0
    in_flight: int = 0
    heard: float = -inf
    leases: set[Lease] = field(default_factory=set)
    waiting: deque[asyncio.Future[Lease]] = field(default_factory=deque)

    @property
    def ready_at(self) -> float:
        return max(self.paused_until, self.breaker.open_until)

    @property
    def load(self) -> float:
        return (self.in_flight + len(self.waiting)) / self.limit.allowed

    def has_room(self, now: float) -> bool:
        return now >= self.paused_until and self.in_flight < self.limit.allowed and self.breaker.allows(now)


class EndpointPool:
    """Requests with the same key queue at the same endpoint (its prefix cache holds their prompt); an idle one takes from the
    longest queue. When every endpoint has been down for `rules.down_after` seconds, all that wait get an `EngineError`.
    """

    def __init__(self, endpoints: Sequence[Endpoint], rules: RetryRules) -> None:
        self.endpoints = tuple(endpoints)
        self._rules = rules
        self._homes: OrderedDict[int, Endpoint] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._down_since: float | None = None

    @asynccontextmanager
    async def lease(self, key: int, avoid: Endpoint | None = None) -> AsyncIterator[Lease]:
        lease = await self._acquire(key, avoid)
        try:
            yield lease
        finally:
            self._give_back(lease)

    def succeeded(self, lease: Lease) -> None:
        """The endpoint answered (whatever the answer is worth)."""
        endpoint, lease.reported = lease.endpoint, True
        endpoint.heard = _now()
        endpoint.limit.succeeded(endpoint.heard, endpoint.in_flight)
        endpoint.breaker.succeeded()
        endpoint.refusals = 0
        self._down_since = None

    def failed(self, lease: Lease, fault: Fault) -> EngineError | None:
        """The error to end with, when every endpoint has been down for too long."""
        now, endpoint, lease.reported = _now(), lease.endpoint, True
        if fault.kind == "rate_limited":
            self._rest(lease, fault, now)
            return None
        endpoint.limit.failed(now)
        endpoint.breaker.failed(now, probe=lease.probe)
        if fault.retry_after is not None:
            endpoint.paused_until = max(endpoint.paused_until, now + fault.retry_after)
        if not all(e.breaker.is_open for e in self.endpoints):
            return None
        self._down_since = now if self._down_since is None else self._down_since
        seconds = now - self._down_since
        return self._give_up(f"for {seconds:.0f} s ({fault.detail})") if seconds >= self._rules.down_after else None

    def quiet(self) -> list[Endpoint]:
        """Endpoints that hold requests and have answered none for `rules.quiet_after` seconds."""
        latest = _now() - self._rules.quiet_after
        return [e for e in self.endpoints if e.leases and max(e.heard, min(lease.sent for lease in e.leases)) <= latest]

    def lost(self, endpoint: Endpoint) -> None:
        """It is dead: it gets no more requests for now, and those that it holds end as failed."""
        endpoint.breaker.trip(_now())
        for lease in endpoint.leases:
            lease.give_up()
        self._dispatch()

    def _rest(self, lease: Lease, fault: Fault, now: float) -> None:
        """As long as the server says; else longer for each burst of refusals without an answer in between."""
        endpoint, pause = lease.endpoint, fault.retry_after
        if endpoint.limit.refused(now, lease.sent):
            pause = backoff(self._rules, endpoint.refusals) if pause is None else pause
            endpoint.refusals += 1
        endpoint.paused_until = max(endpoint.paused_until, now + (pause or 0.0))
        endpoint.breaker.succeeded()
        self._down_since = None

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()

    async def _acquire(self, key: int, avoid: Endpoint | None) -> Lease:
        home = self._home(key, avoid)
        future: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        home.waiting.append(future)
        self._dispatch()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                self._give_back(future.result())
            raise

    def _home(self, key: int, avoid: Endpoint | None) -> Endpoint:
        home = self._homes.get(key)
        now = _now()
        if home is None or home is avoid or home.ready_at > now:
            others = [e for e in self.endpoints if e is not avoid] or list(self.endpoints)
            home = min(others, key=lambda e: (e.breaker.is_open, e.ready_at > now, e.load))
            self._homes[key] = home
        self._homes.move_to_end(key)
        if len(self._homes) > _HOMES:
            self._homes.popitem(last=False)
        return home

    def _give_back(self, lease: Lease) -> None:
        lease.endpoint.in_flight -= 1
        lease.endpoint.leases.discard(lease)
        lease.endpoint.clients.append(lease.client)
        if lease.probe and not lease.reported:
            lease.endpoint.breaker.abandoned()
        self._dispatch()

    def _dispatch(self) -> None:
        now = _now()
        for endpoint in self.endpoints:
            while endpoint.has_room(now) and (future := self._next(endpoint, now)):
                endpoint.in_flight += 1
                lease = Lease(endpoint, endpoint.clients.pop(), now, endpoint.breaker.begin())
                endpoint.leases.add(lease)
                future.set_result(lease)
        self._wake_later(now)

    def _next(self, endpoint: Endpoint, now: float) -> asyncio.Future[Lease] | None:
        """The first of the endpoint's own queue, else of the longest queue at an endpoint without room."""
        busy = (e for e in self.endpoints if e is not endpoint and not e.has_room(now))
        for queue in (endpoint.waiting, *sorted((e.waiting for e in busy), key=len, reverse=True)):
            while queue:
                future = queue.popleft()
                if not future.done():
                    return future
        return None

    def _wake_later(self, now: float) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        later = [e.ready_at for e in self.endpoints if e.ready_at > now]
        if later and any(e.waiting for e in self.endpoints):
            self._timer = asyncio.get_running_loop().call_at(min(later), self._dispatch)

    def _give_up(self, what: str) -> EngineError:
        urls = ", ".join(dict.fromkeys(e.url for e in self.endpoints))
        for endpoint in self.endpoints:
            while endpoint.waiting:
                future = endpoint.waiting.popleft()
                if not future.done():
                    future.set_exception(unreachable(urls, what))
        return unreachable(urls, what)


def unreachable(urls: str, what: str) -> EngineError:
    return EngineError(f"no answer from {urls} {what}; check that the server runs and that --base-url is right", retryable=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
