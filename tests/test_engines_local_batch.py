"""The batch itself: what a sample says depends on nothing around it, and agrees with transformers computing the same alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from local_models import save_gemma2, save_gpt_oss, save_llama, save_mistral, save_qwen2

from openr_data.engines.local_batch import Batch
from openr_data.engines.local_exact import rows_agree
from openr_data.engines.local_model import LocalModel, load_model
from openr_data.engines.local_request import Request
from openr_data.engines.local_text import TextSide, load_text_side
from openr_data.types import Completion, Sampling

SAMPLING = Sampling(temperature=1.0, max_tokens=40, seed=1)
Loaded = tuple[LocalModel, TextSide]


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = save_llama(tmp_path_factory.mktemp("llama"), spread=0.1)
    return path


def exact(folder: Path) -> Loaded:
    """As the engine loads a small model on a CPU."""
    model, text = load(folder)
    return (model, text) if rows_agree(model) else load(folder, "float64")


def load(folder: Path, dtype: str = "float32", device: str = "cpu") -> Loaded:
    text = load_text_side(folder, "plain", builtin=False)
    return load_model(folder, dtype=dtype, device=device, memory_share=0.9), text


def request(text: TextSide, prompt: str, n: int = 1, start: int = 0, sampling: Sampling = SAMPLING) -> Request:
    rule = text.stop_rule(sampling.stop, prompt)
    seeds = [Random(f"{prompt}/{index}").getrandbits(63) for index in range(start, start + n)]
    return Request(text.encode(prompt), sampling, seeds, start, sampling.max_tokens, rule)


def run(batch: Batch, requests: Sequence[Request]) -> None:
    for each in requests:
        batch.submit(each)
    while batch.busy:
        batch.step()


def prompts(count: int) -> list[str]:
    """Different lengths, some with a common beginning, one long enough for two prefill chunks."""
    made = [f"Question {i}: {i * 7} + {i * i} = ?\n" + "Step 1: carry the one. " * (i % 9) for i in range(count)]
    return [*made[:-1], made[-1] + "and so on, " * 30]


def texts(requests: Sequence[Request]) -> list[list[Completion | None]]:
    return [each.results for each in requests]


def test_same_samples_alone_together_shuffled_and_between_cancellations(folder: Path) -> None:
    model, text = exact(folder)
    asked = [(prompt, 1 + index % 7) for index, prompt in enumerate(prompts(24))]

    alone = [request(text, prompt, n) for prompt, n in asked]
    for each in alone:
        run(Batch(model, text, 16), [each])

    together = [request(text, prompt, n) for prompt, n in asked]
    full = Batch(model, text, 48)
    run(full, together)

    order = list(range(len(asked)))
    Random(3).shuffle(order)
    shuffled = {index: request(text, *asked[index]) for index in order}
    crowd = [request(text, f"noise {i} " * (i % 9 + 1), 3) for i in range(20)]
    batch = Batch(model, text, 37)
    for index, noise in zip(order, [*crowd, *[None] * 4], strict=True):
        if noise:
            batch.submit(noise)
        batch.submit(shuffled[index])
    steps = 0
    while batch.busy:
        batch.step()
        steps += 1
        if steps % 3 == 0 and crowd:
            batch.cancel(crowd.pop())

    assert texts(alone) == texts(together) == texts([shuffled[index] for index in range(len(asked))])
    assert full.generated_tokens > 2500
    assert {result.finish_reason for each in alone for result in each.results if result} == {"stop", "length"}


def test_the_bits_do_not_depend_on_the_number_of_threads(folder: Path) -> None:
    model, text = exact(folder)
    few = Sampling(temperature=1.0, max_tokens=4, seed=1)
    made = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        made.append([request(text, prompt, 3, sampling=few) for prompt in prompts(8)])
        run(Batch(model, text, 32), made[-1])
    assert texts(made[0]) == texts(made[1])


def test_a_sample_is_the_same_drawn_with_its_siblings_or_by_itself(folder: Path) -> None:
    model, text = exact(folder)
    many = request(text, "Step 1: 3 + 4 = ", 6)
    run(Batch(model, text, 16), [many])
    single = request(text, "Step 1: 3 + 4 = ", 1, start=4)
    run(Batch(model, text, 16), [single])
    assert single.results[0] == many.results[4]


def test_a_prompt_is_computed_once_and_beginnings_are_reused(folder: Path) -> None:
    model, text = load(folder)
    base = "Question: what is 3 + 4 + 5 + 6?\n"
    batch = Batch(model, text, 16)
    run(batch, [request(text, base, 5), request(text, base + "Step 1: 3 + 4 = 7\n", 5)])
    assert batch.prompt_tokens.computed == len(text.encode(base + "Step 1: 3 + 4 = 7\n")) - 1


def plain_greedy(folder: Path, ids: Sequence[int], steps: int, **options: Any) -> tuple[list[int], float]:
    """The same with nothing but the model: the whole sequence again for every token."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **options)
    sequence, total = list(ids), 0.0
    with torch.inference_mode():
        for _ in range(steps):
            logits = model(torch.tensor([sequence])).logits[0, -1]
            token = int(logits.argmax())
            total += float(torch.log_softmax(logits, -1)[token])
            sequence.append(token)
            if token == model.config.eos_token_id:
                break
    return sequence[len(ids) :], total


@pytest.mark.parametrize("save", [save_llama, save_qwen2, save_mistral, save_gemma2, save_gpt_oss])
def test_greedy_agrees_with_transformers(save: Callable[..., Path], tmp_path: Path) -> None:
    options = {"sliding_window": 24} if save in {save_mistral, save_gemma2, save_gpt_oss} else {}
    folder = save(tmp_path / "model", **options)
    model, text = load(folder)
    greedy = Sampling(temperature=0.0, max_tokens=50, seed=0)
    made = [request(text, prompt, 1, sampling=greedy) for prompt in prompts(5)]
    run(Batch(model, text, 16), made)
    for each in made:
        ids, logprob = plain_greedy(folder, each.prompt, 50)
        result = each.results[0]
        assert result is not None
        assert result.token_count == len(ids)
        assert result.logprob == pytest.approx(logprob, abs=2e-3)
        assert result.text == text.continuation(
            each.prompt, [i for i in ids if not model.ends[i]], complete=result.finish_reason == "stop"
        )


def test_rows_widen_for_long_sequences_without_changing_them(folder: Path) -> None:
    model, text = exact(folder)
    long = Sampling(temperature=1.0, max_tokens=400, seed=1)
    short = [request(text, prompt, 2) for prompt in prompts(6)]
    batch = Batch(model, text, 32)
    for each in short:
        batch.submit(each)
    for _ in range(10):
        batch.step()
    late = request(text, "Step 1: ", 2, sampling=long)
    run(batch, [late])
    alone = [request(text, prompt, 2) for prompt in prompts(6)]
    run(Batch(model, text, 32), alone)
    assert texts(short) == texts(alone)
    assert all(result and result.token_count <= 400 for result in late.results)


def test_little_memory_means_fewer_rows_for_long_sequences(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, text = load(folder)
    monkeypatch.setattr(model, "affordable_rows", lambda capacity: 256 * 32 // capacity)
    batch = Batch(model, text, 32)
    long = Sampling(temperature=1.0, max_tokens=450, seed=1)
    made = [request(text, "a", 2), request(text, "b", 20, sampling=long), request(text, "c", 2)]
    run(batch, made)
    assert all(each.done for each in made)
    assert batch.slots < 32


def test_the_last_memory_is_used_before_a_sequence_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows grow by doubling where there is room for that, and by what is needed where there is not."""
    model, text = load(folder)
    monkeypatch.setattr(model, "affordable_rows", lambda capacity: 320 // capacity)
    batch = Batch(model, text, 32)
    made = request(text, "a", sampling=Sampling(temperature=1.0, max_tokens=290, seed=1))
    run(batch, [request(text, "b"), made])
    assert made.done
    assert (batch.fits(300), batch.fits(310)) == (True, False)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_number_formats_run(folder: Path, dtype: str) -> None:
    model, text = load(folder, dtype)
    made = [request(text, prompt, 2) for prompt in prompts(3)]
    run(Batch(model, text, 16), made)
    assert all(result and result.token_count for each in made for result in each.results)


def test_numbers_that_overflow_make_an_error_and_no_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, text = load(folder)
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda *args: forward(*args) * float("nan"))
    made = request(text, "Step 1: ", 2)
    run(Batch(model, text, 16), [made])
    assert [(r.finish_reason, r.text, r.logprob) for r in made.results if r] == [("error", "", None)] * 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same_tokens_in_any_batch(folder: Path) -> None:
    model, text = load(folder, "float32", "cuda")
    asked = [(prompt, 3) for prompt in prompts(12)]
    alone = [request(text, prompt, n) for prompt, n in asked]
    for each in alone:
        run(Batch(model, text, 16), [each])
    together = [request(text, prompt, n) for prompt, n in asked]
    run(Batch(model, text, 48), together)
    assert [[r and r.text for r in each] for each in texts(alone)] == [[r and r.text for r in each] for each in texts(together)]


def test_a_processor_whose_rows_disagree_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = load(folder, "float64")
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda ids, *rest: forward(ids, *rest) * (1 + 1e-12 * len(ids)))
    assert not rows_agree(model)
    monkeypatch.setattr(model, "forward", lambda ids, *rest: forward(ids, *rest).round(decimals=6))
    assert rows_agree(model)
