"""The servers of the openai engine: their addresses, their keys, and what they say of themselves. Knows no prompts.

A key is read from the environment variables that `--api-key-env` names (several with commas between), never from an option or an
address, and leaves this module only inside the HTTP client that sends it. Several addresses with one key, one
address with several keys, or as many keys as addresses, which then belong together in that order.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from urllib.parse import urlsplit

import httpx

from openr_data.engines.base import EngineLimits
from openr_data.engines.concurrency import AdaptiveLimit, Breaker
from openr_data.engines.endpoints import Endpoint, unreachable
from openr_data.engines.http_retry import RetryRules, backoff
from openr_data.engines.responses import Key, Source, read_answer
from openr_data.errors import EngineError, UsageError

DEFAULT_KEY_ENV = EngineLimits().api_key_env
SLOTS_PER_ENDPOINT = 256
REQUESTS_PER_CLIENT = 16


@dataclass(frozen=True, slots=True)
class Server:
    """What a server lists: the names of its models, their `root` (the name or path behind an alias), and its kind.

    `kind` is `vllm`, `sglang`, `llamacpp`, ... where the list says who owns the models, else "".
    """

    models: tuple[str, ...] = ()
    root: str = ""
    kind: str = ""


@asynccontextmanager
async def connect(limits: EngineLimits, rules: RetryRules) -> AsyncIterator[tuple[Endpoint, ...]]:
    """One endpoint per address and key. Raises `UsageError` for addresses and keys that cannot be used."""
    keys = _keys(limits.api_key_env)
    pairs = _pairs([base_url(url) for url in limits.base_urls], keys)
    slots = -(-limits.slots // len(pairs)) if limits.slots else SLOTS_PER_ENDPOINT
    secure = any(url.startswith("https:") for url, _ in pairs)
    tls = httpx.create_ssl_context() if secure else SSLContext(PROTOCOL_TLS_CLIENT)  # reading the certificates takes a while
    async with AsyncExitStack() as stack:
        endpoints = []
        for url, key in pairs:
            shares = range(-(-slots // REQUESTS_PER_CLIENT))
            clients = [await stack.enter_async_context(_client(url, key, limits, rules, tls)) for _ in shares]
            limit = AdaptiveLimit(slots, growth_pause=rules.growth_pause)
            breaker = Breaker(rules.breaker_failures, wait=rules.probe_wait, cap=rules.probe_cap)
            source = Source(url, limits.api_key_env, (key,) if key else ())
            endpoints.append(Endpoint(url, [c for c in clients for _ in range(REQUESTS_PER_CLIENT)], source, limit, breaker))
        yield tuple(endpoints)


async def greet(endpoints: Sequence[Endpoint], rules: RetryRules) -> Server:
    """Ask each endpoint for its models and note its kind. One that is down may come up later; all down is an `EngineError`."""
    found = await asyncio.gather(*(_ask(endpoint, rules) for endpoint in endpoints))
    up = [server for server in found if isinstance(server, Server)]
    if not up:
        urls = ", ".join(dict.fromkeys(e.url for e in endpoints))
        raise unreachable(urls, f"({next(fault for fault in found if isinstance(fault, str))})")
    for endpoint, server in zip(endpoints, found, strict=True):
        endpoint.kind = server.kind if isinstance(server, Server) else up[0].kind
    return up[0]


def base_url(text: str) -> str:
    """The address as it is used: a bare host gets `/v1`.

    >>> base_url("http://127.0.0.1:8000"), base_url("https://host/openai/v1/")
    ('http://127.0.0.1:8000/v1', 'https://host/openai/v1')
    """
    if "@" in text:
        raise UsageError("a base URL must not hold a key or password; name an environment variable with --api-key-env")
    wrong = UsageError(f"a base URL reads http://host:port/v1 or https://host/v1, not '{text.partition('?')[0]}'")
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or "?" in text or "#" in text:
        raise wrong
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own, where no proxy belongs in between."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _keys(names: str) -> list[Key]:
    keys = []
    for name in filter(None, (part.strip() for part in names.split(","))):
        key = os.environ.get(name, "").strip()
        if not key and name != DEFAULT_KEY_ENV:
            raise UsageError(f"the environment variable {name}, named by --api-key-env, is not set")
        if not (key.isascii() and key.isprintable()):
            raise UsageError(f"the environment variable {name} holds characters that no HTTP header can carry: it is no key")
        keys.append(Key(key))
    return keys or [Key()]


def _pairs(urls: Sequence[str], keys: Sequence[Key]) -> list[tuple[str, Key]]:
    if not urls:
        raise UsageError("the openai engine needs the address of a server: --base-url http://host:port/v1")
    if 1 not in {len(urls), len(keys)} and len(urls) != len(keys):
        raise UsageError(f"there are {len(keys)} keys for {len(urls)} base URLs; give one key, or one for each")
    if len(urls) == len(keys):
        return list(zip(urls, keys, strict=True))
    return [(url, key) for url in urls for key in keys]


def _client(url: str, key: Key, limits: EngineLimits, rules: RetryRules, tls: SSLContext) -> httpx.AsyncClient:
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return httpx.AsyncClient(
        base_url=url + "/",
        verify=tls,
        headers=headers,
        timeout=httpx.Timeout(limits.timeout, connect=min(rules.connect_timeout, limits.timeout), pool=None),
        # uvicorn, under most of these servers, hangs up after 5 idle seconds; be earlier than that
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=4.0),
        follow_redirects=False,
        trust_env=not is_loopback(url),
    )


async def _ask(endpoint: Endpoint, rules: RetryRules) -> Server | str:
    """What the endpoint lists, or why it cannot be reached."""
    fault = ""
    for attempt in range(rules.opening_attempts):
        if attempt:
            await asyncio.sleep(backoff(rules, attempt))
        try:
            async with asyncio.timeout(rules.connect_timeout):
                response = await endpoint.clients[-1].get("models")
        except (httpx.HTTPError, TimeoutError) as error:
            fault = str(error) or type(error).__name__
            continue
        return _listed(endpoint, response)
    return fault


def _listed(endpoint: Endpoint, response: httpx.Response) -> Server:
    if response.status_code in {401, 403} or 300 <= response.status_code < 400:
        read_answer(response.status_code, response.headers, response.content, endpoint.source, max_wait=0.0)
    if response.status_code != 200:
        return Server()  # not every server lists its models, and one that is busy or starting may soon answer
    try:
        listed = json.loads(response.content)["data"]
        names = tuple(str(model["id"]) for model in listed)
        first = listed[0] if listed else {}
        return Server(names, str(first.get("root") or ""), str(first.get("owned_by") or ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise EngineError(f"{endpoint.url} does not answer like an OpenAI-compatible server; is the base URL right?") from None


def only_model(server: Server, url: str) -> str:
    """The name to send when none was given."""
    if len(server.models) == 1:
        return server.models[0]
    told = f"serves {', '.join(sorted(server.models)[:8])}" if server.models else "does not list its models"
    raise UsageError(f"{url} {told}: say which with --model")
