"""The openai engine against the real vLLM server, on the completions and the chat interface."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.builtin import WEIGHTS
from openr_data.engines.openai import open_openai
from openr_data.engines.vllm import VllmEngine
from openr_data.errors import ContextOverflow, OpenRDataError
from openr_data.types import Sampling

pytestmark = pytest.mark.vllm

QUESTION = "Start with 37. Step 1: add 48. Step 2: multiply by 6. Step 3: subtract 5. What is the result?"
GREEDY = Sampling(temperature=0.0, max_tokens=200, seed=1)
WARM = Sampling(temperature=1.0, max_tokens=200, seed=1)
SPEC = EngineSpec("openai", str(WEIGHTS), template="builtin")


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_prefixes_seeds_and_ends(server: str, runner: asyncio.Runner, engine: VllmEngine, api: str) -> None:
    spec = replace(SPEC, api="chat" if api == "chat" else "completions")

    async def check() -> None:
        async with open_openai(spec, EngineLimits(base_urls=(server,))) as remote:
            (whole,) = await remote.sample(QUESTION, (), n=1, sampling=GREEDY)
            assert whole == replace((await engine.sample(QUESTION, (), n=1, sampling=GREEDY))[0], seed=whole.seed)
            steps = remote.template.steps.split(whole.text)
            for cut in range(1, len(steps)):
                (rest,) = await remote.sample(QUESTION, steps[:cut], n=1, sampling=GREEDY)
                assert remote.template.steps.open(steps[:cut]) + rest.text == whole.text
            four = await remote.sample(QUESTION, (), n=4, sampling=WARM)
            assert [completion.text for completion in await remote.sample(QUESTION, (), n=2, sampling=WARM, start=2)] == [
                completion.text for completion in four[2:]
            ]
            (cut_short,) = await remote.sample(QUESTION, (), n=1, sampling=replace(GREEDY, max_tokens=4))
            assert (cut_short.finish_reason, cut_short.token_count) == ("length", 4)
            (stopped,) = await remote.sample(QUESTION, (), n=1, sampling=replace(GREEDY, stop=("Step 2",)))
            assert (stopped.text, stopped.finish_reason) == (whole.text[: whole.text.index("Step 2")], "stop")

    runner.run(check())


def test_seeded_samples_are_those_of_the_in_process_engine(server: str, runner: asyncio.Runner, engine: VllmEngine) -> None:
    async def check() -> None:
        async with open_openai(SPEC, EngineLimits(base_urls=(server,))) as remote:
            assert await remote.sample(QUESTION, (), n=4, sampling=WARM) == await engine.sample(QUESTION, (), n=4, sampling=WARM)

    runner.run(check())


def test_a_prompt_beyond_the_context(server: str, runner: asyncio.Runner) -> None:
    async def check() -> None:
        async with open_openai(SPEC, EngineLimits(base_urls=(server,))) as remote:
            with pytest.raises(ContextOverflow):
                await remote.sample("7" * 600, (), n=2, sampling=WARM)

    runner.run(check())


def test_a_model_that_the_server_does_not_have(server: str, runner: asyncio.Runner) -> None:
    async def check() -> None:
        async with open_openai(replace(SPEC, model="nobody/nothing"), EngineLimits(base_urls=(server,))) as remote:
            await remote.sample(QUESTION, (), n=1, sampling=WARM)

    with pytest.raises(OpenRDataError, match="nobody/nothing"):
        runner.run(check())
