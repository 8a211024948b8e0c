"""The engine in an asyncio program: joining, cancelling, failing, closing; and what is said of a model that cannot be used."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
import torch
from local_models import save_llama, save_qwen2

from openr_data.engines.base import EngineLimits, EngineSpec, sample_seed
from openr_data.engines.local import LocalEngine, open_local, render_only
from openr_data.engines.local_files import BUILTIN, model_digest
from openr_data.engines.open import ENGINES, open_engine
from openr_data.errors import ContextOverflow, EngineError, UsageError
from openr_data.types import Completion, OpenStep, Sampling

T = TypeVar("T")
SAMPLING = Sampling(temperature=1.0, max_tokens=30, seed=5)
CPU = EngineLimits(device="cpu", slots=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"), spread=0.1)


def spec(folder: Path, template: str = "plain", dtype: str = "auto") -> EngineSpec:
    return EngineSpec("transformers", str(folder), template=template, dtype=dtype)


def use(body: Callable[[LocalEngine], Awaitable[T]], folder: Path, limits: EngineLimits = CPU, dtype: str = "auto") -> T:
    async def main() -> T:
        async with open_local(spec(folder, dtype=dtype), limits) as engine:
            return await body(engine)

    return asyncio.run(main())


def test_a_completion_says_how_it_was_drawn_and_can_be_drawn_again(folder: Path) -> None:
    async def body(engine: LocalEngine) -> None:
        samples = await engine.sample("2 + 2?", (), n=5, sampling=SAMPLING)
        assert [sample.index for sample in samples] == [0, 1, 2, 3, 4]
        assert [sample.seed for sample in samples] == [sample_seed(SAMPLING, engine.prompt("2 + 2?", ()), i) for i in range(5)]
        assert len({sample.text for sample in samples}) == 5
        again = await engine.sample("2 + 2?", (), n=2, sampling=SAMPLING, start=3)
        assert list(again) == list(samples[3:])
        other = await engine.sample("2 + 2?", (), n=1, sampling=replace(SAMPLING, seed=6))
        assert other[0].text != samples[0].text
        assert await engine.sample("2 + 2?", (), n=0, sampling=SAMPLING) == []

    use(body, folder)


def test_more_samples_than_slots(folder: Path) -> None:
    async def body(engine: LocalEngine) -> None:
        assert engine.slots == 4
        samples = await engine.sample("2 + 2?", (), n=19, sampling=SAMPLING)
        assert [sample.index for sample in samples] == list(range(19))

    use(body, folder, replace(CPU, slots=4))


def test_counts_and_reasons(folder: Path) -> None:
    async def body(engine: LocalEngine) -> None:
        samples = await engine.sample("2 + 2?", (), n=24, sampling=replace(SAMPLING, max_tokens=120))
        assert {sample.finish_reason for sample in samples} == {"stop", "length"}
        for sample in samples:
            assert (sample.token_count == 120) or sample.finish_reason == "stop"
            assert sample.token_count >= 1
            assert sample.logprob is not None
            assert -15.0 * sample.token_count < sample.logprob < 0
        assert engine.generated_tokens == sum(sample.token_count for sample in samples)

    use(body, folder)


def test_a_stop_string_cuts_what_was_drawn_and_saves_the_rest(folder: Path) -> None:
    async def body(engine: LocalEngine) -> None:
        free = await engine.sample("2 + 2?", (), n=24, sampling=SAMPLING)
        stop = free[0].text[3:5]
        stopped = await engine.sample("2 + 2?", (), n=24, sampling=replace(SAMPLING, stop=(stop,)))
        assert stopped[0].text == free[0].text[: free[0].text.index(stop)]
        for before, after in zip(free, stopped, strict=True):
            cut = before.text.find(stop)
            assert after.text == (before.text if cut < 0 else before.text[:cut])
            assert after.finish_reason == ("stop" if cut >= 0 else before.finish_reason)
            assert after.token_count <= before.token_count
        assert stopped[0].token_count < free[0].token_count

    use(body, folder)


def test_a_model_may_number_more_tokens_than_its_tokenizer_has(tmp_path: Path) -> None:
    async def body(engine: LocalEngine) -> None:
        free = await engine.sample("2 + 2?", (), n=4, sampling=SAMPLING)
        stop = free[0].text[3:5]
        stopped = await engine.sample("2 + 2?", (), n=4, sampling=replace(SAMPLING, stop=(stop,)))
        assert stopped[0].text == free[0].text[: free[0].text.index(stop)]

    use(body, save_llama(tmp_path, spread=0.1, vocab_size=400))


def test_a_prompt_longer_than_the_context_fails_alone(folder: Path) -> None:
    async def body(engine: LocalEngine) -> None:
        long = "x" * 600
        results = await asyncio.gather(
            engine.sample(long, (), n=1, sampling=SAMPLING),
            engine.sample("2 + 2?", (), n=1, sampling=SAMPLING),
            return_exceptions=True,
        )
        assert isinstance(results[0], ContextOverflow)
        assert "context holds 512" in str(results[0])
        assert isinstance(results[1], list)
        room = 512 - len(engine.prompt("x" * 400, ()))
        nearly = await engine.sample("x" * 400, (), n=3, sampling=replace(SAMPLING, max_tokens=300))
        assert max(sample.token_count for sample in nearly) <= room + 20
        assert all(sample.finish_reason == "length" for sample in nearly if sample.token_count >= room)

    use(body, folder)


@pytest.mark.parametrize("small", [True, False], ids=["in the loop", "in a thread"])
def test_cancelling_frees_the_rows_at_once(folder: Path, small: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openr_data.engines.local._SMALL", 30_000_000 if small else 0)

    async def body(engine: LocalEngine) -> None:
        endless = replace(SAMPLING, max_tokens=400, stop=())
        hogs = [asyncio.create_task(engine.sample(f"hog {i}", (), n=8, sampling=endless)) for i in range(4)]
        await asyncio.sleep(0.05)
        for hog in hogs:
            hog.cancel()
        before = engine.generated_tokens
        late = await engine.sample("2 + 2?", (), n=8, sampling=SAMPLING)
        assert len(late) == 8
        spent = engine.generated_tokens - before - sum(sample.token_count for sample in late)
        assert spent <= 64  # at most a step or two of the cancelled sequences
        assert all(isinstance(error, asyncio.CancelledError) for error in await asyncio.gather(*hogs, return_exceptions=True))

    use(body, folder)


@pytest.mark.parametrize("small", [True, False], ids=["in the loop", "in a thread"])
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "fewer --slots"),
        (RuntimeError("CUDA error: an illegal memory access"), "illegal memory access"),
    ],
)
def test_a_fault_in_a_step_reaches_all_who_wait(
    folder: Path, small: bool, fault: Exception, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openr_data.engines.local._SMALL", 30_000_000 if small else 0)

    async def body(engine: LocalEngine) -> None:
        def broken() -> list[Any]:
            raise fault

        waiting = [asyncio.create_task(engine.sample(f"question {i}", (), n=2, sampling=SAMPLING)) for i in range(40)]
        await asyncio.sleep(0)
        monkeypatch.setattr(engine._batch, "step", broken)
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, EngineError)
            assert says in str(error)
        with pytest.raises(EngineError, match=says):
            await engine.sample("later", (), n=1, sampling=SAMPLING)

    use(body, folder)


def test_closing_ends_everything(folder: Path) -> None:
    async def main() -> None:
        async with open_local(spec(folder), CPU) as engine:
            waiting = [asyncio.create_task(engine.sample(f"{i}", (), n=8, sampling=SAMPLING)) for i in range(20)]
            await asyncio.sleep(0.01)
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, EngineError | list)
        assert any(isinstance(task.exception(), EngineError) for task in waiting)
        with pytest.raises(EngineError, match="closed"):
            await engine.sample("2 + 2?", (), n=1, sampling=SAMPLING)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_the_same_samples_in_the_loop_and_in_a_thread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(engine: LocalEngine) -> list[Completion]:
        asked = [engine.sample(f"question {i}", (), n=3, sampling=SAMPLING) for i in range(10)]
        return [sample for samples in await asyncio.gather(*asked) for sample in samples]

    # Said, since only a small model is moved to float64 where this processor's float32 depends on the batch.
    in_loop = use(body, folder, dtype="float64")
    monkeypatch.setattr("openr_data.engines.local._SMALL", 0)
    assert use(body, folder, dtype="float64") == in_loop


def test_a_chat_model(tmp_path: Path) -> None:
    path = save_qwen2(tmp_path / "qwen")

    async def main() -> None:
        async with open_engine(EngineSpec("transformers", str(path)), CPU) as engine:
            assert engine.template.name == "boxed"
            prompt = engine.prompt("2 + 2?", ("First.",))
            assert prompt.endswith("<|im_start|>assistant\nFirst.\n\n")
            samples = await engine.sample("2 + 2?", ("First.",), n=3, sampling=SAMPLING)
            assert len(samples) == 3
            assert "".join(engine.pieces("so 4 é")) == "so 4 é"

    asyncio.run(main())


def test_the_identity_is_the_content_and_not_the_place(folder: Path, tmp_path: Path) -> None:
    def identity(path: Path, dtype: str = "auto") -> str:
        async def main() -> str:
            async with open_engine(spec(path, dtype=dtype), CPU) as engine:
                return engine.identity

        return asyncio.run(main())

    moved = tmp_path / "moved"
    moved.mkdir()
    for file in folder.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    first = identity(folder)
    assert first.startswith("transformers:")
    assert first.rpartition(":")[2] in {"float32", "float64"}
    assert identity(moved) == first
    assert identity(moved, "bfloat16") != first
    weights = bytearray((moved / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (moved / "model.safetensors").write_bytes(weights)
    assert identity(moved) != first


def test_where_rows_disagree_a_small_model_computes_in_float64(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(engine: LocalEngine) -> None:
        assert engine.identity.endswith(":float64")
        assert len(await engine.sample("2 + 2?", (), n=2, sampling=SAMPLING)) == 2

    monkeypatch.setattr("openr_data.engines.local_exact.rows_agree", lambda model: False)
    use(body, folder)


def test_large_files_are_digested_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("openr_data.models.files._LARGE", 4)
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"weights")
    first = model_digest(model)
    memory = tmp_path / "cache" / "openr-data" / "digests.json"
    known = json.loads(memory.read_text())
    assert len(known) == 1
    memory.write_text(json.dumps(dict.fromkeys(known, "0" * 64)))
    assert model_digest(model) != first  # it was believed
    (model / "model.safetensors").write_bytes(b"changed weights")
    os.utime(model / "model.safetensors", (1, 1))
    memory.write_text("not json")
    assert model_digest(model) not in {first, ""}


def test_render_only_reads_no_weights(folder: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in folder.glob("*.json"):
        (bare / file.name).write_bytes(file.read_bytes())
    text = render_only(spec(bare))
    assert text.template.name == "plain"
    assert text.prompt("2 + 2?", ()).startswith("Question: 2 + 2?")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": ""}, "needs a model"),
        ({"model": "/no/such/folder"}, "no model folder '/no/such/folder'"),
        ({"template": "nonsense"}, "no prompt template 'nonsense'"),
        ({"template": "auto"}, "--template plain"),
        ({"dtype": "int3"}, "no dtype 'int3'"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(folder: Path, change: dict[str, str], says: str) -> None:
    async def main() -> None:
        async with open_engine(replace(spec(folder), **cast("Any", change)), CPU):
            pass

    with pytest.raises(UsageError, match=says) as caught:
        asyncio.run(main())
    assert "\n" not in str(caught.value)


def test_bad_folders(folder: Path, tmp_path: Path) -> None:
    def fails(path: Path, says: str) -> None:
        async def main() -> None:
            async with open_engine(spec(path), CPU):
                pass

        with pytest.raises(UsageError, match=says) as caught:
            asyncio.run(main())
        assert "\n" not in str(caught.value)

    empty = tmp_path / "empty"
    empty.mkdir()
    fails(empty, r"config\.json is missing")
    (empty / "config.json").write_text((folder / "config.json").read_text())
    fails(empty, "no weights")
    (empty / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0 broken!")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (empty / name).write_bytes((folder / name).read_bytes())
    fails(empty, "cannot be loaded")
    config = json.loads((folder / "config.json").read_text())
    (empty / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (empty / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    fails(empty, "9 weights are missing")
    (empty / "config.json").write_text(json.dumps(config | {"intermediate_size": 130}))
    fails(empty, "of another shape|cannot be loaded")
    (empty / "config.json").write_text('{"model_type": "no-such-model"}')
    fails(empty, "cannot be loaded|no tokenizer")
    (empty / "config.json").write_text('{"model_type": "t5"}')
    fails(empty, "use --engine vllm|cannot be loaded")


def test_devices(folder: Path) -> None:
    async def main(device: str) -> None:
        async with open_engine(spec(folder), replace(CPU, device=device)):
            pass

    with pytest.raises(UsageError, match="no device 'abacus'"):
        asyncio.run(main("abacus"))
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="no CUDA device"):
            asyncio.run(main("cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda(folder: Path) -> None:
    async def body(engine: LocalEngine) -> Any:
        assert engine.identity.endswith(":bfloat16")
        asked = [engine.sample(f"question {i}", (), n=3, sampling=SAMPLING) for i in range(10)]
        return await asyncio.gather(*asked)

    assert all(len(samples) == 3 for samples in use(body, folder, EngineLimits(device="cuda")))


@pytest.mark.skipif(not (BUILTIN / "model.safetensors").is_file(), reason="the built-in weights are not installed")
def test_the_builtin_model_answers_in_steps() -> None:
    async def main() -> None:
        async with open_engine(EngineSpec("builtin"), CPU) as engine:
            assert engine.template.name == "builtin"
            question = "Start with 37. Step 1: add 48. Step 2: multiply by 6. What is the result?"
            samples = await engine.sample(question, (), n=8, sampling=replace(SAMPLING, max_tokens=200))
            assert all(sample.text.startswith("Step 1: ") for sample in samples)
            assert sum("The answer is " in sample.text for sample in samples) >= 6

    asyncio.run(main())


def test_a_step_met_the_separator_and_a_solution_ended() -> None:
    async def main() -> None:
        async with open_engine(EngineSpec("builtin"), CPU) as engine:
            question = "Start with 37. Step 1: add 48. Step 2: multiply by 6. What is the result?"
            (step,) = await engine.sample(question, (), n=1, sampling=replace(SAMPLING, stop=("\n",)))
            assert (step.ended, step.finish_reason, "\n" in step.text) == (False, "stop", False)
            (whole,) = await engine.sample(question, (), n=1, sampling=replace(SAMPLING, max_tokens=400))
            assert (whole.ended, whole.finish_reason) == (True, "stop")
            last = await engine.sample(
                question, tuple(whole.text.split("\n")[:-1]), n=4, sampling=replace(SAMPLING, max_tokens=400, stop=("\n",))
            )
            assert True in {each.ended for each in last}
            (short,) = await engine.sample(question, (), n=1, sampling=replace(SAMPLING, max_tokens=3, stop=("\n",)))
            assert (short.ended, short.finish_reason) == (None, "length")

    asyncio.run(main())


def test_an_open_step_is_continued_inside_its_line() -> None:
    async def main() -> None:
        async with open_engine(EngineSpec("builtin"), CPU) as engine:
            assert engine.prompt("1+2", ("a", "b ")).endswith("a\nb \n")
            assert engine.prompt("1+2", ("a", OpenStep("b "))).endswith("a\nb ")
            question = "Start with 37. Step 1: add 48. Step 2: multiply by 6. What is the result?"
            greedy = replace(SAMPLING, temperature=0.0, stop=("\n",))
            (whole,) = await engine.sample(question, (), n=1, sampling=greedy)
            begun, rest = whole.text[:8], whole.text[8:]  # "Step 1: "
            assert (await engine.sample(question, (OpenStep(begun),), n=1, sampling=greedy))[0].text == rest

    asyncio.run(main())


def test_unknown_engines_are_named_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no engine 'magic'; choose one of: builtin, transformers, vllm, openai, scripted"):
        open_engine(EngineSpec("magic"), CPU)
    assert {"builtin", "transformers", "vllm", "openai", "scripted"} == set(ENGINES)


def test_naming_the_engines_loads_no_heavy_library() -> None:
    code = "import sys, openr_data.engines.open, openr_data.engines.local; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
