"""One sample of a remote model, from its first request to its end. Knows how to ask again; not what a body says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from openr_data.engines.base import sample_seed
from openr_data.engines.endpoints import Endpoint, EndpointPool, Lease
from openr_data.engines.http_retry import Attempts, Fault, RetryRules
from openr_data.engines.openai_requests import Requests
from openr_data.engines.responses import Answer, PromptTooLong, read_answer
from openr_data.engines.stops import stop_at
from openr_data.errors import ContextOverflow, EngineError
from openr_data.types import Completion, Sampling, Steps

MAX_BODY = 16 << 20
"""Bytes of an answer that are read; a longer one is not an answer."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """What all samples of an engine share. `timeout`: seconds on the wall clock for one request, connection and body included."""

    requests: Requests
    pool: EndpointPool
    rules: RetryRules
    timeout: float


class Draw:
    """Sample `index` of one prefix."""

    def __init__(self, service: Service, question: str, prefix: Steps, prompt: str, sampling: Sampling, index: int) -> None:
        self._service = service
        self._question = question
        self._prefix = prefix
        self._prompt = prompt
        self._sampling = sampling
        self._index = index
        self._seed = sample_seed(sampling, prompt, index)
        self._max_tokens = sampling.max_tokens
        self._attempts = Attempts(service.rules)

    async def run(self) -> Completion | EngineError:
        """An error that is returned was passing but outlasted its retries; one that is raised is final."""
        pool, key = self._service.pool, hash(self._prompt)
        avoid: Endpoint | None = None
        while True:
            async with pool.lease(key, avoid) as lease:
                result = await self._try(lease)
            if isinstance(result, Completion | EngineError):
                return result
            wait, avoid = result
            await asyncio.sleep(wait)

    def lost(self) -> Completion:
        return Completion("", 0, "error", self._index, self._seed)

    async def _try(self, lease: Lease) -> Completion | EngineError | tuple[float, Endpoint | None]:
        """The sample, the error to end with, or how long to wait before the next try and where not to go then."""
        pool = self._service.pool
        try:
            answer = await self._ask(lease)
        except Fault as fault:
            return self._after(lease, fault)
        except PromptTooLong as met:
            pool.succeeded(lease)
            self._shorten(met)
            return 0.0, None
        except EngineError:
            pool.succeeded(lease)
            raise
        pool.succeeded(lease)
        return self._completion(answer)

    async def _ask(self, lease: Lease) -> Answer:
        service, endpoint = self._service, lease.endpoint
        lease.check()
        body = service.requests.body(
            self._question,
            self._prefix,
            self._prompt,
            self._sampling,
            kind=endpoint.kind,
            seed=self._seed,
            max_tokens=self._max_tokens,
        )
        try:
            async with (
                asyncio.timeout(service.timeout) as lease.deadline,
                lease.client.stream("POST", service.requests.path, content=body) as response,
            ):
                content = await _read(response)
        except TimeoutError:
            lease.check()
            raise Fault("unavailable", f"no whole answer within {service.timeout:g} s") from None
        except httpx.HTTPError as error:
            raise Fault("unavailable", endpoint.source.redact(str(error) or type(error).__name__)) from None
        max_wait = service.rules.retry_after_cap
        answer = read_answer(response.status_code, response.headers, content, endpoint.source, max_wait=max_wait)
        if not answer.text and answer.finish_reason == "stop" and not self._prefix:
            raise Fault("invalid", "an empty answer")  # after a prefix it is one: there may be nothing more to say
        return answer

    def _after(self, lease: Lease, fault: Fault) -> Completion | EngineError | tuple[float, Endpoint | None]:
        pool, endpoint = self._service.pool, lease.endpoint
        _log.info("%s: %s (%s)", endpoint.url, fault.detail, fault.kind)
        if fault.kind == "invalid":
            pool.succeeded(lease)
        elif ended := pool.failed(lease, fault):
            return ended
        wait = self._attempts.wait_after(fault, asyncio.get_running_loop().time(), probe=lease.probe)
        if wait is not None:
            return wait, endpoint if fault.kind == "unavailable" else None
        if fault.kind == "invalid":
            return self.lost()
        return EngineError(
            f"{endpoint.url} gave no answer after {self._attempts.requests} requests: {fault.detail}", retryable=True
        )

    def _shorten(self, met: PromptTooLong) -> None:
        """Ask for the tokens that fit, when the prompt itself may: the sample then ends with `length`, as it should."""
        room = met.context - (met.prompt or 0) if met.context else 0
        if not 0 < room < self._max_tokens:
            sizes = f" ({met.prompt} of {met.context} tokens)" if met.prompt and met.context else ""
            raise ContextOverflow(
                f"the prompt does not fit the context of '{self._service.requests.model}'{sizes}: {met}"
            ) from None
        self._max_tokens = room

    def _completion(self, answer: Answer) -> Completion:
        if answer.finish_reason == "error":
            return self.lost()
        stops = self._service.requests.stops(self._sampling)
        cut = stop_at(answer.text, stops, self._prompt)
        tokens = len(self._service.requests.pieces(answer.text)) if answer.tokens is None else answer.tokens
        reason = answer.finish_reason if cut is None else "stop"  # not every server heeds stop strings, and none sees the lead
        ended = _ended(answer, stops) if cut is None else False
        return Completion(answer.text[:cut], tokens, reason, self._index, self._seed, ended=ended)


def _ended(answer: Answer, stops: Sequence[str]) -> bool | None:
    """Without a stop string there is one way to stop, also where the server does not say."""
    return True if answer.finish_reason == "stop" and not stops else answer.ended


async def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MAX_BODY:
            raise Fault("invalid", f"an answer of more than {MAX_BODY >> 20} MiB")
    return bytes(content)
