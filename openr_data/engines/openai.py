"""Any OpenAI-compatible server: vLLM, SGLang, llama.cpp, hosted services. Knows requests and answers, not what they are for.

Prompts. `completions` sends the exact text that `prompt` shows: a chat template is rendered here, by the model's own tokenizer,
and the prefix appended verbatim (without the tokenizer: the template `plain`). `chat` sends messages, and a prefix as the start
of an assistant's turn with `continue_final_message: true, add_generation_prompt: false`, which vLLM and SGLang continue. The
server's chat template may trim white space at its end, so `completions` is the default.

One request per sample, each with its own seed. A sample is then the same whatever is asked for beside it, can be drawn again
alone after a crash, is aborted alone, and its `usage` counts its tokens alone; with `n` > 1 a server makes up the seeds of all
but the first, and counts all together. The requests of one prefix go to one endpoint together, whose prefix cache then
holds their prompt; a service that bills cached prompt tokens bills them per sample.

Filters. Servers fill what is not said from the model's own generation configuration (a `top_k` of 20, a repetition penalty).
Where the server is known to accept them, every such filter is therefore said; elsewhere only the ones that are on.

Faults. One retry layer: every request has a deadline on the wall clock and a bound on its body; a passing fault is retried after
a jittered, growing, capped wait, elsewhere if there is an elsewhere; `Retry-After` rests the whole endpoint. An endpoint gets as
many requests at once as it can take (`AdaptiveLimit`), and none while it is down (`Breaker`). Of several endpoints, one that
falls silent over its requests is asked for its health, and what it holds goes elsewhere when it gives no sign. An answer is
checked before it counts; one that cannot be used is asked for again, and a sample that gets none ends with `finish_reason`
`error`. Errors name the address, never the key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from openr_data.engines.base import EngineLimits, EngineSpec, LoadedEngine
from openr_data.engines.endpoints import EndpointPool
from openr_data.engines.health import watched
from openr_data.engines.http_retry import RetryRules
from openr_data.engines.openai_draw import Draw, Service
from openr_data.engines.openai_requests import Requests
from openr_data.engines.openai_servers import connect, greet, only_model
from openr_data.engines.remote_text import find_text_side, remote_template
from openr_data.errors import EngineError
from openr_data.types import Completion, Sampling, Steps


@asynccontextmanager
async def open_openai(spec: EngineSpec, limits: EngineLimits, rules: RetryRules | None = None) -> AsyncIterator[LoadedEngine]:
    """An engine over `limits.base_urls`. An empty `spec.model` stands for the only model that the server lists.

    `UsageError`: an address, key or template that cannot be used. `EngineError`: no server answers, or it refuses the key.
    """
    rules = replace(rules or RetryRules(), attempts=limits.max_attempts)
    async with connect(limits, rules) as endpoints:
        server = await greet(endpoints, rules)
        model = spec.model or only_model(server, endpoints[0].url)
        for endpoint in endpoints:
            endpoint.source = replace(endpoint.source, model=model)
        text = await asyncio.to_thread(find_text_side, spec, (model, server.root))
        requests = Requests(model, spec.api, remote_template(spec, text), text)
        pool = EndpointPool(endpoints, rules)
        # Where the tokenizer cannot be had, `auto` is another template: a run must not be resumed with other prompts.
        identity = f"openai:{spec.api}:{model}@{spec.revision}:{requests.template.name}"
        try:
            async with watched(pool, rules):
                yield OpenAIEngine(Service(requests, pool, rules, limits.timeout), identity)
        finally:
            pool.close()


class OpenAIEngine:
    """See the module. `slots` is the most that the endpoints may ever get at once; they are given what they can take."""

    def __init__(self, service: Service, identity: str) -> None:
        self.identity = identity
        self.template = service.requests.template
        self.slots = sum(endpoint.limit.ceiling for endpoint in service.pool.endpoints)
        self._service = service

    def prompt(self, question: str, prefix: Steps, /) -> str:
        return self._service.requests.prompt(question, prefix)

    def pieces(self, text: str, /) -> Sequence[str]:
        return self._service.requests.pieces(text)

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        """See `openr_data.types.Engine`. A sample whose requests all failed has finish reason `error` while another one of the
        same call came through; when none did, the last `EngineError` is raised, with `retryable` set.
        """
        prompt = self.prompt(question, prefix)
        draws = [Draw(self._service, question, prefix, prompt, sampling, index) for index in range(start, start + n)]
        results = await _all(draws)
        errors = [result for result in results if isinstance(result, EngineError)]
        if errors and len(errors) == n:
            raise errors[-1]
        return [draw.lost() if isinstance(result, EngineError) else result for draw, result in zip(draws, results, strict=True)]


async def _all(draws: Sequence[Draw]) -> Sequence[Completion | EngineError]:
    """Run together; the first final error, or a cancelled call, ends the others and their requests before it is raised."""
    if len(draws) == 1:
        return [await draws[0].run()]
    tasks = [asyncio.create_task(draw.run()) for draw in draws]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
