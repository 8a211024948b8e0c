"""The vllm engine under the traffic of a labeler against vLLM's own speed on the same requests, in one run.

    .venv-vllm/bin/python benchmarks/vllm_throughput.py [--model DIR] [--problems 60] [--rollouts 8] [--rounds 3]

Traffic: for every prefix of a solution some rollouts, a bounded window of problems at work, as in `label`. Against it stand
vLLM's asynchronous engine given all requests at once (the same process, alternating), and its offline `LLM.generate`.
The prefix cache is emptied before every measurement. `make test-vllm` makes the environment.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.base import sample_seed
from openr_data.engines.builtin import WEIGHTS
from openr_data.engines.local_files import model_folder
from openr_data.engines.vllm import ENVIRONMENT, VllmEngine, engine_options, open_vllm, sampling_params
from openr_data.problems import ProblemSource, read_problems
from openr_data.types import Problem, Sampling, Steps

WARM = Sampling(temperature=1.0, max_tokens=256, seed=1)


@dataclass(frozen=True)
class Work:
    """A problem and the prefixes of one solution of it."""

    question: str
    prefixes: Sequence[Steps]


@dataclass(frozen=True)
class Request:
    ids: list[int]
    seed: int
    room: int


async def solved(engine: VllmEngine, problems: Sequence[Problem]) -> list[Work]:
    answers = await asyncio.gather(*(engine.sample(problem.question, (), n=1, sampling=WARM) for problem in problems))
    steps = [engine.template.steps.split(completion.text) for (completion,) in answers]
    return [
        Work(problem.question, [made[:cut] for cut in range(1, len(made))]) for problem, made in zip(problems, steps, strict=True)
    ]


def requests_of(engine: VllmEngine, work: Sequence[Work], rollouts: int) -> list[Request]:
    found = []
    for item in work:
        for prefix in item.prefixes:
            prompt = engine.prompt(item.question, prefix)
            ids = list(engine._text.encode(prompt))
            found += [Request(ids, sample_seed(WARM, prompt, index), engine._room(ids, WARM)) for index in range(rollouts)]
    return found


async def traffic(engine: VllmEngine, work: Sequence[Work], rollouts: int) -> int:
    """What `label` does, without grading, journal and tables."""
    window = asyncio.Semaphore(max(16, 4 * engine.slots // (2 * rollouts)))

    async def measure(item: Work) -> int:
        async with window:
            calls = [engine.sample(item.question, prefix, n=rollouts, sampling=WARM) for prefix in item.prefixes]
            return sum(completion.token_count for group in await asyncio.gather(*calls) for completion in group)

    return sum(await asyncio.gather(*(measure(item) for item in work)))


async def all_at_once(engine: VllmEngine, requests: Sequence[Request]) -> int:
    """Straight to vLLM's AsyncLLM."""
    from vllm.inputs import tokens_input

    async def one(name: int, request: Request) -> int:
        params = sampling_params(WARM, engine.template.stop, request.seed, request.room)
        answer: Any = None
        async for output in engine._core.generate(tokens_input(request.ids), params, f"raw-{time.monotonic_ns()}-{name}"):
            answer = output
        return len(answer.outputs[0].token_ids)

    return sum(await asyncio.gather(*(one(name, request) for name, request in enumerate(requests))))


async def timed(engine: VllmEngine, run: Callable[[], Awaitable[int]]) -> float:
    await engine._core.reset_prefix_cache()
    began = time.perf_counter()
    tokens = await run()
    return tokens / (time.perf_counter() - began)


async def alternating(
    spec: EngineSpec, limits: EngineLimits, arguments: argparse.Namespace
) -> tuple[list[Request], dict[str, list[float]]]:
    problems = [item for item in read_problems(ProblemSource("builtin", count=arguments.problems)) if isinstance(item, Problem)]
    async with open_vllm(spec, limits) as engine:
        assert isinstance(engine, VllmEngine)
        work = await solved(engine, problems)
        requests = requests_of(engine, work, arguments.rollouts)
        ways = {
            "openr-data, traffic of a labeler": lambda: traffic(engine, work, arguments.rollouts),
            "vLLM AsyncLLM, all at once": lambda: all_at_once(engine, requests),
        }
        speeds: dict[str, list[float]] = {name: [] for name in ways}
        await timed(engine, ways["vLLM AsyncLLM, all at once"])  # warm up
        for number in range(arguments.rounds):
            for name in list(ways)[:: 1 if number % 2 else -1]:
                speeds[name].append(await timed(engine, ways[name]))
    return requests, speeds


def offline(spec: EngineSpec, limits: EngineLimits, requests: Sequence[Request], rounds: int) -> list[float]:
    """Straight to vLLM's `LLM.generate`, with the same options."""
    from vllm import LLM
    from vllm.inputs import TokensPrompt
    from vllm.platforms import current_platform

    options = engine_options(spec, limits, model_folder(spec), on_cpu=current_platform.is_cpu())
    model = LLM(**options)
    prompts = [TokensPrompt(prompt_token_ids=request.ids) for request in requests]
    speeds = []
    for _ in range(rounds + 1):
        model.reset_prefix_cache()
        params = [sampling_params(WARM, (), request.seed, request.room) for request in requests]
        began = time.perf_counter()
        answers = model.generate(prompts, params, use_tqdm=False)
        speeds.append(sum(len(answer.outputs[0].token_ids) for answer in answers) / (time.perf_counter() - began))
    return speeds[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(WEIGHTS))
    parser.add_argument("--template", default="auto")
    parser.add_argument("--problems", type=int, default=60)
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slots", type=int, default=256)
    arguments = parser.parse_args()
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    spec, limits = EngineSpec("vllm", arguments.model, template=arguments.template), EngineLimits(slots=arguments.slots)
    requests, speeds = asyncio.run(alternating(spec, limits, arguments))
    ours, raw = speeds.values()
    speeds["vLLM LLM.generate, all at once"] = offline(spec, limits, requests, arguments.rounds)
    print(f"{len(requests)} requests of {sum(len(r.ids) for r in requests) / len(requests):.0f} prompt tokens on average")
    print(f"{'':<34} {'median tok/s':>13}   rounds")
    for name, found in speeds.items():
        print(f"{name:<34} {median(found):>13,.0f}   {' '.join(f'{speed:,.0f}' for speed in found)}")
    print(f"openr-data / AsyncLLM, median of the rounds: {median(a / b for a, b in zip(ours, raw, strict=True)):.3f}")


if __name__ == "__main__":
    main()
