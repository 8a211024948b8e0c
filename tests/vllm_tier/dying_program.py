"""Started by `test_vllm_death.py`: loses vLLM's worker in the middle of its work, starts another vLLM, waits to be killed."""

from __future__ import annotations

import asyncio
import sys

import psutil

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.builtin import WEIGHTS
from openr_data.engines.vllm import open_vllm
from openr_data.types import Sampling

SPEC = EngineSpec("vllm", str(WEIGHTS))
LONG = Sampling(temperature=2.0, max_tokens=400, seed=1)


def of_vllm() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if "VLLM" in child.name()]


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def worker() -> psutil.Process:
    """Once it has its name."""
    while not (found := [process for process in of_vllm() if "Worker" in process.name()]):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)
    return found[0]


async def lose_the_worker() -> None:
    async with open_vllm(SPEC, EngineLimits()) as engine:
        calls = [asyncio.create_task(engine.sample(f"Start with {i}.", (), n=400, sampling=LONG)) for i in range(5)]
        await asyncio.sleep(0.2)  # of several seconds that they take
        (await worker()).kill()
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            say(type(outcome).__name__, str(outcome)[:100])


async def wait_to_be_killed() -> None:
    async with open_vllm(SPEC, EngineLimits()):
        say("ready", *(process.pid for process in of_vllm()))
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(lose_the_worker())
    asyncio.run(wait_to_be_killed())
