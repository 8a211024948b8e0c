"""Raw speed of the local engine, beside what transformers offers for the same work; prints a table.

    python benchmarks/engine_throughput.py [--model FOLDER] [--questions 40] [--samples 8] [--tokens 120]

The same prompts, samples and length limits go through (1) the engine, with slots for all or few, (2) the engine while many
coroutines do Python work of their own, stepping in the event loop and in a thread, (3) `model.generate` in batches, and (4)
transformers' continuous batching (on a slice: it is far slower on a CPU). Speed is per second of processor time and per second.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from openr_data.engines import local
from openr_data.engines.base import EngineLimits, EngineSpec
from openr_data.engines.local_files import BUILTIN
from openr_data.types import Sampling

Row = tuple[str, int, float, float]


def questions(count: int) -> list[str]:
    rest = "Step 2: multiply by 6. Step 3: subtract result 1. Step 4: add 81. Step 5: add 44. Step 6: subtract 37."
    return [f"Start with {100 + index}. Step 1: add 48. {rest} What is the result?" for index in range(count)]


def clocked(name: str, tokens: int, since: tuple[float, float]) -> Row:
    return name, tokens, tokens / (time.process_time() - since[0]), tokens / (time.perf_counter() - since[1])


def clocks() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


async def through_engine(
    args: argparse.Namespace, name: str, slots: int, work: Callable[[], Awaitable[None]] | None = None
) -> Row:
    """`work` is awaited by each of the coroutines around its request, as a labeler's own Python work would be."""
    sampling = Sampling(temperature=1.0, max_tokens=args.tokens, seed=1)

    async def one(engine: local.LocalEngine, question: str, start: int, n: int) -> None:
        if work:
            await work()
        await engine.sample(question, (), n=n, sampling=sampling, start=start)
        if work:
            await work()

    async with local.open_local(EngineSpec("transformers", args.model), EngineLimits(slots=slots)) as engine:
        await engine.sample("Start with 1. What is the result?", (), n=2, sampling=sampling)
        before, since = engine.generated_tokens, clocks()
        n = 1 if work else args.samples
        calls = [one(engine, q, start, n) for q in questions(args.questions) for start in range(0, args.samples, n)]
        await asyncio.gather(*calls)
        return clocked(name, engine.generated_tokens - before, since)


async def python_work() -> None:
    """About 0.2 ms of pure Python, in two parts with a turn of the loop between them."""
    for _ in range(2):
        sum(i * i for i in range(1500))
        await asyncio.sleep(0)


def through_generate(args: argparse.Namespace, batch: int) -> Row:
    import torch

    model, tokenizer, config = plain_model(args, "sdpa")
    prompts = [q + "\n" for q in questions(args.questions) for _ in range(args.samples)]
    tokens, since = 0, clocks()
    with torch.inference_mode():
        for start in range(0, len(prompts), batch):
            encoded = tokenizer(prompts[start : start + batch], return_tensors="pt", padding=True, padding_side="left")
            out = model.generate(encoded["input_ids"], attention_mask=encoded["attention_mask"], generation_config=config)
            tokens += int((out[:, encoded["input_ids"].shape[1] :] != tokenizer.pad_token_id).sum())
    return clocked(f"model.generate, batches of {batch}", tokens, since)


def through_continuous_batching(args: argparse.Namespace) -> Row:
    from transformers import ContinuousBatchingConfig

    model, tokenizer, config = plain_model(args, "sdpa")
    prompts = [tokenizer.encode(q + "\n") for q in questions(args.questions) for _ in range(args.samples)][:64]
    # Left to itself it takes all memory of a machine without a GPU.
    sizes = ContinuousBatchingConfig(num_blocks=64, max_batch_tokens=256)
    since = clocks()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = model.generate_batch(inputs=prompts, generation_config=config, continuous_batching_config=sizes, progress_bar=False)
    tokens = sum(len(answer.generated_tokens) for answer in out.values())
    return clocked("transformers continuous batching", tokens, since)


def plain_model(args: argparse.Namespace, attention: str) -> tuple[Any, Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    tokenizer: Any = AutoTokenizer.from_pretrained(args.model)
    model: Any = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32, attn_implementation=attention)
    ends = {"eos_token_id": model.generation_config.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = GenerationConfig(max_new_tokens=args.tokens, do_sample=True, temperature=1.0, top_k=0, **ends)
    return model.eval(), tokenizer, config


def measure(args: argparse.Namespace) -> Iterator[Row]:
    import torch

    torch.set_num_threads(1)
    for slots in (32, 64, 128):
        yield asyncio.run(through_engine(args, f"engine, {slots} slots", slots))
    yield asyncio.run(through_engine(args, "engine in the loop, Python work around", 128, python_work))
    small, local._SMALL = local._SMALL, 0
    yield asyncio.run(through_engine(args, "engine in a thread", 128))
    yield asyncio.run(through_engine(args, "engine in a thread, Python work around", 128, python_work))
    local._SMALL = small
    yield through_generate(args, 64)
    yield through_continuous_batching(args)


def main() -> None:
    parser = argparse.ArgumentParser(description="Raw speed of the local engine.")
    parser.add_argument("--model", default=str(BUILTIN))
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=120)
    print(f"{'':42}{'tokens':>9}{'per CPU second':>17}{'per second':>13}")
    for name, tokens, per_cpu, per_second in measure(parser.parse_args()):
        print(f"{name:42}{tokens:9d}{per_cpu:17,.0f}{per_second:13,.0f}", flush=True)


if __name__ == "__main__":
    main()
