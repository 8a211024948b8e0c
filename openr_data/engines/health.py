"""Health checks: of several endpoints, one that holds requests and says nothing is asked whether it lives. Knows no requests.

A machine that has lost its power closes no connection: without a check, what it holds would wait for the whole deadline of a
request, which is made for long answers. A single endpoint is not checked: there is nowhere else to go.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx

from openr_data.engines.endpoints import Endpoint, EndpointPool
from openr_data.engines.http_retry import RetryRules

_log = logging.getLogger(__name__)


@asynccontextmanager
async def watched(pool: EndpointPool, rules: RetryRules) -> AsyncIterator[None]:
    """Check the endpoints of the pool until the block ends."""
    if len(pool.endpoints) < 2:
        yield
        return
    watch = asyncio.create_task(_watch(pool, rules))
    try:
        yield
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch


async def _watch(pool: EndpointPool, rules: RetryRules) -> None:
    unanswered: Counter[Endpoint] = Counter()
    while True:
        await asyncio.sleep(rules.health_every)
        asked = pool.quiet()
        lives = await asyncio.gather(*(_lives(endpoint, rules) for endpoint in asked))
        unanswered = Counter({e: unanswered[e] + 1 for e, alive in zip(asked, lives, strict=True) if not alive})
        for endpoint, times in unanswered.items():
            if times >= rules.health_failures:
                _log.info("%s: no answer to %d health checks, its requests go elsewhere", endpoint.url, times)
                pool.lost(endpoint)


async def _lives(endpoint: Endpoint, rules: RetryRules) -> bool:
    """Any answer is one, also a refusal."""
    lease = next(iter(endpoint.leases), None)
    if lease is None:
        return True  # its requests have ended meanwhile
    try:
        async with asyncio.timeout(rules.connect_timeout):
            await lease.client.get("models")
    except (httpx.HTTPError, TimeoutError):
        return False
    return True
