"""Waiting, limits, breakers and queues of remote endpoints, each against cases worked by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.engines.concurrency import AdaptiveLimit, Breaker
from openr_data.engines.endpoints import Endpoint, EndpointPool
from openr_data.engines.http_retry import Attempts, Fault, RetryRules, backoff, retry_after
from openr_data.engines.openai_servers import base_url, is_loopback
from openr_data.engines.responses import Key, PromptTooLong, Source, read_answer, server_message
from openr_data.errors import EngineError, UsageError

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
RULES = RetryRules(probe_wait=0.01, probe_cap=0.04, down_after=0.05, growth_pause=1.0, breaker_failures=3, base=0.001, cap=0.002)


# Waiting


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-4"}, 0.0),
        ({"retry-after": "86400"}, 600.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 01 Jan 2027 12:00:00 GMT"}, 600.0),
        ({"retry-after": "Thu, 99 Jan 2026 12:00:30 GMT"}, None),
    ],
)
def test_what_a_server_asks_to_wait(headers: Mapping[str, str], seconds: float | None) -> None:
    assert retry_after(headers, 600.0, NOW) == seconds


@given(attempt=st.integers(0, 5000))
@settings(max_examples=50, deadline=None)
def test_the_backoff_grows_and_is_capped(attempt: int) -> None:
    rules = RetryRules(base=0.5, cap=60.0)
    assert 0.0 <= backoff(rules, attempt) <= min(60.0, 0.5 * 2.0 ** min(attempt, 60))


def test_the_jitter_is_full() -> None:
    waits = [backoff(RetryRules(base=1.0, cap=8.0), 3) for _ in range(400)]
    assert min(waits) < 0.8
    assert max(waits) > 7.2
    assert 3.3 < sum(waits) / 400 < 4.7


def test_the_budget_of_a_sample() -> None:
    unavailable, invalid, refused = Fault("unavailable", ""), Fault("invalid", ""), Fault("rate_limited", "")
    attempts = Attempts(RetryRules(attempts=3))
    assert [attempts.wait_after(unavailable, 0.0, probe=False) is None for _ in range(3)] == [False, False, True]
    attempts = Attempts(RetryRules(attempts=8, invalid_attempts=2))
    assert [attempts.wait_after(invalid, 0.0, probe=False) is None for _ in range(2)] == [False, True]
    attempts = Attempts(RetryRules(attempts=1, total=10.0))
    assert attempts.wait_after(refused, 5.0, probe=False) == 0.0
    assert attempts.wait_after(unavailable, 14.9, probe=True) == 0.0
    assert attempts.wait_after(refused, 15.0, probe=False) is None
    assert attempts.requests == 3


# Limits and breakers


def test_the_limit_doubles_until_refused_then_creeps() -> None:
    limit = AdaptiveLimit(100, growth_pause=10.0, start=4)
    for _ in range(4):
        limit.succeeded(0.0, limit.allowed)
    assert limit.allowed == 8
    assert limit.refused(1.0, sent=0.5)
    assert limit.allowed == 6
    assert not limit.refused(1.1, sent=0.9)  # sent before the cut: the same burst
    assert limit.allowed == 6
    assert limit.refused(1.2, sent=1.1)
    assert limit.allowed == 4  # 8 * 0.75 * 0.75 = 4.5
    for _ in range(24):
        limit.succeeded(2.0, limit.allowed)
    assert limit.allowed == 4
    limit.succeeded(2.0, limit.allowed)
    assert limit.allowed == 5


def test_the_limit_does_not_grow_while_it_is_not_used_or_after_a_fault() -> None:
    limit = AdaptiveLimit(100, growth_pause=10.0, start=4)
    limit.succeeded(0.0, 3)
    assert limit.allowed == 4
    limit.failed(0.0)
    limit.succeeded(9.9, 4)
    assert limit.allowed == 4
    limit.succeeded(10.0, 4)
    assert limit.allowed == 5


@given(st.lists(st.sampled_from(["ok", "refused", "failed"]), max_size=300), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_the_limit_stays_between_one_and_its_ceiling(events: Sequence[str], ceiling: int) -> None:
    limit = AdaptiveLimit(ceiling, growth_pause=2.0)
    for now, event in enumerate(events):
        if event == "ok":
            limit.succeeded(now, limit.allowed)
        elif event == "refused":
            limit.refused(now, now - 0.5)
        else:
            limit.failed(now)
        assert 1 <= limit.allowed <= ceiling


def test_the_breaker_opens_probes_and_closes() -> None:
    breaker = Breaker(2, wait=1.0, cap=3.0)
    breaker.failed(0.0, probe=False)
    breaker.succeeded()
    breaker.failed(0.0, probe=False)
    assert breaker.allows(0.0)
    breaker.failed(0.0, probe=False)
    assert (breaker.is_open, breaker.allows(0.9), breaker.allows(1.0)) == (True, False, True)
    assert breaker.begin()
    assert not breaker.allows(1.0)  # one probe at a time
    breaker.failed(1.0, probe=False)  # a straggler from before: says nothing about the probe
    assert breaker.open_until == 1.0
    breaker.failed(1.0, probe=True)
    assert (breaker.allows(2.9), breaker.allows(3.0)) == (False, True)
    breaker.begin()
    breaker.abandoned()
    assert breaker.allows(3.0)
    breaker.begin()
    breaker.failed(3.0, probe=True)
    assert breaker.open_until == 6.0  # 1, 2, then the cap of 3
    breaker.succeeded()
    assert breaker.allows(3.0)
    assert not breaker.begin()


# Queues


def endpoint(url: str, ceiling: int = 2) -> Endpoint:
    return Endpoint(
        url,
        [httpx.AsyncClient(trust_env=False, verify=False)] * ceiling,  # noqa: S501  # nothing is sent
        Source(url, "KEY"),
        AdaptiveLimit(ceiling, growth_pause=RULES.growth_pause),
        Breaker(RULES.breaker_failures, wait=RULES.probe_wait, cap=RULES.probe_cap),
    )


def test_a_waiter_that_is_cancelled_gives_its_place_to_the_next() -> None:
    async def run() -> None:
        pool = EndpointPool([endpoint("http://a/v1", 1)], RULES)
        order: list[str] = []
        release = asyncio.Event()

        async def work(name: str) -> None:
            async with pool.lease(0):
                order.append(name)
                await release.wait()

        first, second, third = (asyncio.create_task(work(name)) for name in "abc")
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        first.cancel()  # its place is granted to the next one in the same turn of the loop
        await asyncio.sleep(0)
        release.set()
        await third
        assert order == ["a", "c"]
        assert pool.endpoints[0].in_flight == 0

    asyncio.run(run())


def test_a_grant_that_meets_a_cancellation_is_not_lost() -> None:
    async def run() -> None:
        pool = EndpointPool([endpoint("http://a/v1", 1)], RULES)
        holder = pool.lease(0)
        await holder.__aenter__()

        async def work() -> None:
            async with pool.lease(0):
                pass

        waiting = asyncio.create_task(work())
        await asyncio.sleep(0)
        await holder.__aexit__(None, None, None)  # grants the place to `waiting`, which has not run yet
        assert pool.endpoints[0].in_flight == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert pool.endpoints[0].in_flight == 0
        await asyncio.wait_for(work(), 1)

    asyncio.run(run())


def test_an_idle_endpoint_takes_from_the_queue_of_a_full_one() -> None:
    async def run() -> None:
        pool = EndpointPool([endpoint("http://a/v1", 1), endpoint("http://b/v1", 1)], RULES)
        used: list[str] = []

        async def work() -> None:
            async with pool.lease(7) as lease:
                used.append(lease.endpoint.url)
                await asyncio.sleep(0.01)

        await asyncio.gather(*(work() for _ in range(4)))
        assert sorted(used) == ["http://a/v1", "http://a/v1", "http://b/v1", "http://b/v1"]

    asyncio.run(run())


def test_all_that_wait_are_told_when_every_endpoint_has_been_down_for_too_long() -> None:
    async def run() -> None:
        pool = EndpointPool([endpoint("http://a/v1", 4), endpoint("http://b/v1", 4)], RULES)

        async def work() -> None:
            while True:
                async with pool.lease(0) as lease:
                    await asyncio.sleep(0.001)
                    ended = pool.failed(lease, Fault("unavailable", "refused"))
                if ended:
                    raise ended

        results = await asyncio.wait_for(asyncio.gather(*(work() for _ in range(20)), return_exceptions=True), 5)
        assert {str(result) for result in results} == {
            "no answer from http://a/v1, http://b/v1 for 0 s (refused); check that the server runs and that --base-url is right"
        }
        assert all(isinstance(result, EngineError) and result.retryable for result in results)
        pool.close()

    asyncio.run(run())


def test_quiet_is_who_holds_requests_and_has_long_answered_none() -> None:
    async def run() -> None:
        rules = RetryRules(quiet_after=0.02)
        pool = EndpointPool([endpoint("http://a/v1", 2), endpoint("http://b/v1", 2)], rules)
        async with pool.lease(0) as first:
            assert pool.quiet() == []
            await asyncio.sleep(0.03)
            assert pool.quiet() == [first.endpoint]
            pool.succeeded(first)
            assert pool.quiet() == []
            await asyncio.sleep(0.03)
            assert pool.quiet() == [first.endpoint]
        assert pool.quiet() == [], "who holds nothing owes nothing"
        pool.close()

    asyncio.run(run())


def test_a_lost_endpoint_ends_its_requests_and_hands_on_its_queue() -> None:
    async def run() -> None:
        pool = EndpointPool([endpoint("http://a/v1", 1), endpoint("http://b/v1", 1)], replace(RULES, probe_wait=60.0))
        ended: list[str] = []

        async def work() -> None:
            async with pool.lease(3) as lease:
                lease.check()
                try:
                    async with asyncio.timeout(60) as lease.deadline:
                        await asyncio.sleep(60 if lease.endpoint.url == "http://a/v1" else 0.001)
                except TimeoutError:
                    with pytest.raises(Fault, match="no answer to a health check"):
                        lease.check()
                    pool.failed(lease, Fault("unavailable", "lost"))
                ended.append(lease.endpoint.url)

        tasks = [asyncio.create_task(work()) for _ in range(5)]
        await asyncio.sleep(0.05)
        pool.lost(pool.endpoints[0])
        pool.lost(pool.endpoints[0])
        await asyncio.wait_for(asyncio.gather(*tasks), 5)
        assert ended.count("http://a/v1") == 1
        assert ended.count("http://b/v1") == 4
        assert not pool.endpoints[0].leases
        pool.close()

    asyncio.run(run())


def test_a_breaker_that_is_tripped_is_open_at_once_and_only_once() -> None:
    breaker = Breaker(5, wait=1.0, cap=8.0)
    breaker.trip(10.0)
    assert (breaker.allows(10.5), breaker.allows(11.0)) == (False, True)
    breaker.trip(10.5)
    assert breaker.open_until == 11.0
    breaker.succeeded()
    assert not breaker.is_open


def test_a_burst_of_refusals_rests_the_endpoint_once() -> None:
    async def run() -> None:
        rules = RetryRules(base=1.0, cap=1000.0)
        pool = EndpointPool([endpoint("http://a/v1", 32)], rules)
        leases = [pool.lease(0) for _ in range(32)]
        for lease in [await lease.__aenter__() for lease in leases]:
            pool.failed(lease, Fault("rate_limited", "slow down"))
        assert pool.endpoints[0].refusals == 1
        assert pool.endpoints[0].limit.allowed == 24
        assert pool.endpoints[0].paused_until <= asyncio.get_running_loop().time() + 1.0

    asyncio.run(run())


# Answers


@pytest.mark.parametrize(
    ("message", "prompt", "context"),
    [
        ("This model's maximum context length is 4096 tokens and your request has 4000 input tokens", 4000, 4096),
        ("prompt is too long: 150000 tokens > 128000 maximum", 150000, 128000),
        ("The decoder prompt (length 9000) is longer than the maximum model length of 4096.", 9000, 4096),
        ("Input length 131393 exceeds the maximum allowed input length of 131040 tokens.", 131393, 131040),
        ("context size exceeded", None, None),
    ],
)
def test_sizes_are_read_from_overflow_messages(message: str, prompt: int | None, context: int | None) -> None:
    body = f'{{"error": {{"message": "{message}"}}}}'.encode()
    with pytest.raises(PromptTooLong) as caught:
        read_answer(400, {}, body, Source("u", "K"), max_wait=1.0)
    assert (caught.value.prompt, caught.value.context) == (prompt, context)


@given(st.binary(max_size=200), st.sampled_from([200, 201, 204, 302, 400, 401, 404, 418, 422, 429, 451, 500, 599]))
@settings(max_examples=300, deadline=None)
def test_no_answer_makes_the_reader_fail_otherwise(body: bytes, status: int) -> None:
    with pytest.raises((Fault, EngineError, PromptTooLong)):
        read_answer(status, {}, body, Source("u", "K"), max_wait=1.0)


KEYS = ["choices", "index", "text", "message", "content", "finish_reason", "usage", "error", "detail"]
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
DOCUMENTS = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner), max_leaves=12)


@given(DOCUMENTS)
@settings(max_examples=200, deadline=None)
def test_no_document_makes_the_reader_fail_otherwise(document: object) -> None:
    try:
        answer = read_answer(200, {}, json.dumps(document).encode(), Source("u", "K"), max_wait=1.0)
    except (Fault, EngineError, PromptTooLong):
        return
    assert answer.finish_reason in {"stop", "length", "error"}
    answer.text.encode()


def test_messages_are_one_short_line_without_secrets() -> None:
    source = Source("u", "K", (Key("very-secret"),))
    message = server_message(
        {"error": {"message": "a\x1b[31m\n\nvery-secret sk-abcdef123 hf_abcdef Bearer xyz" + "!" * 999}}, b""
    )
    assert source.redact(message).startswith("a [31m *** *** *** Bearer ***")
    assert len(message) == 300
    assert "very-secret" not in repr(source)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        (" https://api.example.com/v1/ ", "https://api.example.com/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("http://host/openai/deployments/x", "http://host/openai/deployments/x"),
    ],
)
def test_base_urls_are_completed(text: str, url: str) -> None:
    assert base_url(text) == url


@pytest.mark.parametrize(
    "text", ["", "localhost:8000", "http://", "file:///etc/passwd", "http://h:99999/v1", "http://h/v1?key=abc"]
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="a base URL reads") as caught:
        base_url(text)
    assert "abc" not in str(caught.value)


def test_loopback_addresses_are_known() -> None:
    urls = ["http://127.0.0.1/v1", "http://127.9.9.9:1/v1", "http://[::1]/v1", "http://localhost/v1", "http://a.localhost/v1"]
    assert all(is_loopback(url) for url in urls)
    assert not any(
        is_loopback(url) for url in ("http://10.0.0.1/v1", "https://example.com/v1", "http://localhost.example.com/v1")
    )


def test_sizes_that_are_no_numbers_are_not_believed() -> None:
    error = {"code": "context_length_exceeded", "n_prompt_tokens": "12", "n_ctx": 1.5e300, "message": "too much"}
    with pytest.raises(PromptTooLong) as caught:
        read_answer(400, {}, json.dumps({"error": error}).encode(), Source("http://host/v1", "KEY"), max_wait=1.0)
    assert (caught.value.prompt, caught.value.context) == (None, None)
