"""The vllm engine with the built-in model: samples, seeds, prefixes, ends, cancelling, signals."""

from __future__ import annotations

import asyncio
import signal
from multiprocessing import active_children
from typing import Any

import psutil
import pytest

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.base import sample_seed
from openr_data.engines.builtin import WEIGHTS
from openr_data.engines.vllm import VllmEngine, open_vllm
from openr_data.errors import ContextOverflow, EngineError
from openr_data.types import Completion, Sampling

pytestmark = pytest.mark.vllm

QUESTIONS = (
    "Start with 37. Step 1: add 48. Step 2: multiply by 6. Step 3: subtract 5. What is the result?",
    "Start with 12. Step 1: multiply by 7. Step 2: add 19. What is the result?",
    "Start with 640. Step 1: subtract 55. Step 2: add 208. Step 3: add 17. Step 4: subtract 300. What is the result?",
)
WARM = Sampling(temperature=1.0, max_tokens=200, seed=11)
GREEDY = Sampling(temperature=0.0, max_tokens=200, seed=11)


def unfinished(engine: VllmEngine) -> int:
    return int(engine._core.output_processor.get_num_unfinished_requests())


def test_what_it_says_of_itself(engine: VllmEngine) -> None:
    assert engine.template.name == "builtin"
    assert engine.identity.startswith("vllm:")
    assert engine.identity.endswith(":float32")
    assert (engine.slots, engine.context) == (64, 512)
    assert engine.prompt("Start with 5.", ("a", "b")) == "Start with 5.\na\nb\n"
    assert "".join(engine.pieces("Step 1: 37 + 48 = 85\n")) == "Step 1: 37 + 48 = 85\n"


def test_samples_have_their_own_seeds_and_do_not_depend_on_the_others(runner: asyncio.Runner, engine: VllmEngine) -> None:
    four = runner.run(engine.sample(QUESTIONS[0], (), n=4, sampling=WARM))
    prompt = engine.prompt(QUESTIONS[0], ())
    assert [completion.index for completion in four] == [0, 1, 2, 3]
    assert [completion.seed for completion in four] == [sample_seed(WARM, prompt, index) for index in range(4)]
    assert runner.run(engine.sample(QUESTIONS[0], (), n=2, sampling=WARM, start=2)) == four[2:]

    async def among_others() -> Any:
        calls = [engine.sample(question, (), n=8, sampling=WARM) for question in QUESTIONS]
        return (await asyncio.gather(*calls))[0][:4]

    assert runner.run(among_others()) == four
    other = runner.run(engine.sample(QUESTIONS[0], (), n=8, sampling=Sampling(1.5, 200, seed=12)))
    assert len({completion.text for completion in other}) > 1


def test_greedy_text_equals_that_of_transformers(runner: asyncio.Runner, engine: VllmEngine) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
    model: Any = AutoModelForCausalLM.from_pretrained(WEIGHTS, dtype=torch.float32)
    for question in QUESTIONS:
        prompt = tokenizer(engine.prompt(question, ()), return_tensors="pt", add_special_tokens=False)
        ids = model.generate(**prompt, do_sample=False, max_new_tokens=200)[0, prompt["input_ids"].shape[1] :]
        (ours,) = runner.run(engine.sample(question, (), n=1, sampling=GREEDY))
        assert ours.text == tokenizer.decode(ids, skip_special_tokens=True)
        assert ours.token_count == len(ids)


def test_a_prefix_is_continued_exactly(runner: asyncio.Runner, engine: VllmEngine) -> None:
    (whole,) = runner.run(engine.sample(QUESTIONS[0], (), n=1, sampling=GREEDY))
    steps = engine.template.steps.split(whole.text)
    assert len(steps) > 2
    for cut in range(1, len(steps)):
        (rest,) = runner.run(engine.sample(QUESTIONS[0], steps[:cut], n=1, sampling=GREEDY))
        assert engine.template.steps.open(steps[:cut]) + rest.text == whole.text


def test_ends(runner: asyncio.Runner, engine: VllmEngine) -> None:
    (whole,) = runner.run(engine.sample(QUESTIONS[0], (), n=1, sampling=GREEDY))
    assert whole.finish_reason == "stop"
    assert whole.token_count == len(engine._text.encode(whole.text)) + 1  # and the end token
    (stopped,) = runner.run(engine.sample(QUESTIONS[0], (), n=1, sampling=Sampling(0.0, 200, 1, stop=("Step 2",))))
    assert (stopped.text, stopped.finish_reason) == (whole.text[: whole.text.index("Step 2")], "stop")
    assert 0 < stopped.token_count < whole.token_count
    (cut,) = runner.run(engine.sample(QUESTIONS[0], (), n=1, sampling=Sampling(0.0, 4, 1)))
    assert (cut.finish_reason, cut.token_count) == ("length", 4)
    assert whole.text.startswith(cut.text)


def test_filters(runner: asyncio.Runner, engine: VllmEngine) -> None:
    greedy = runner.run(engine.sample(QUESTIONS[1], (), n=1, sampling=GREEDY))[0].text
    one = runner.run(engine.sample(QUESTIONS[1], (), n=3, sampling=Sampling(1.0, 200, 3, top_k=1)))
    tight = runner.run(engine.sample(QUESTIONS[1], (), n=3, sampling=Sampling(1.0, 200, 3, top_p=1e-6)))
    assert {completion.text for completion in (*one, *tight)} == {greedy}


def test_the_context(runner: asyncio.Runner, engine: VllmEngine) -> None:
    fits = "7" * 508  # and the line break: 509 of 512 tokens
    for completion in runner.run(engine.sample(fits, (), n=2, sampling=Sampling(1.0, 200, 1))):
        assert completion.token_count <= 3
    with pytest.raises(ContextOverflow, match="512"):
        runner.run(engine.sample("7" * 511, (), n=2, sampling=WARM))


def test_many_long_prompts_with_seeds_at_once(runner: asyncio.Runner, engine: VllmEngine) -> None:
    async def flood() -> Any:
        calls = [engine.sample("1" * 300 + str(index), (), n=2, sampling=Sampling(1.0, 5, 1)) for index in range(30)]
        return await asyncio.gather(*calls)

    assert [len(completions) for completions in runner.run(flood())] == [2] * 30


def test_cancelling_aborts_the_requests(runner: asyncio.Runner, engine: VllmEngine) -> None:
    async def cancel() -> tuple[int, int]:
        call = asyncio.create_task(engine.sample(QUESTIONS[0], (), n=256, sampling=Sampling(2.0, 400, 5)))
        while unfinished(engine) < 256:  # noqa: ASYNC110  (vLLM announces nothing)
            await asyncio.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        return unfinished(engine), len(await engine.sample(QUESTIONS[1], (), n=2, sampling=WARM))

    assert runner.run(cancel()) == (0, 2)


def test_an_interrupt_of_the_terminal_does_not_reach_vllm(runner: asyncio.Runner, engine: VllmEngine) -> None:
    cores = [psutil.Process(child.pid) for child in active_children() if child.name.startswith("EngineCore")]
    processes = [process for core in cores for process in (core, *core.children(recursive=True)) if "VLLM" in process.name()]
    assert len(processes) >= 2
    for process in processes:
        process.send_signal(signal.SIGINT)

    async def again() -> list[Completion]:
        await asyncio.sleep(0.5)
        return list(await engine.sample(QUESTIONS[1], (), n=2, sampling=WARM))

    assert all(completion.finish_reason == "stop" for completion in runner.run(again()))


def test_a_context_that_the_model_does_not_have(runner: asyncio.Runner) -> None:
    async def start() -> None:
        async with open_vllm(EngineSpec("vllm", str(WEIGHTS)), EngineLimits(max_model_len=5000)):
            raise AssertionError("it must not start")

    with pytest.raises(EngineError, match=r"could not start .*max_model_len \(5000\)") as said:
        runner.run(start())
    assert "\n" not in str(said.value)
