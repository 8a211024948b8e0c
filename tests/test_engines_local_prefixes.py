"""Prefix caching of the local engine: fewer prompt tokens are computed, no sample changes, and sequences come before prompts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from local_models import save_llama

from openr_data.engines.local_batch import Batch
from openr_data.engines.local_cache import ROWS
from openr_data.engines.local_exact import rows_agree
from openr_data.engines.local_model import LocalModel, load_model
from openr_data.engines.local_prefixes import KeptPrompts
from openr_data.engines.local_request import Request
from openr_data.engines.local_text import TextSide, load_text_side
from openr_data.types import Completion, Sampling

Loaded = tuple[LocalModel, TextSide]
SAMPLING = Sampling(temperature=1.0, max_tokens=24, seed=1)
STEP = "Step {}: carry the {}, "


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = save_llama(tmp_path_factory.mktemp("llama"), spread=0.1)
    return path


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Loaded:
    model = load(folder)
    return (model if rows_agree(model) else load(folder, "float64")), load_text_side(folder, "plain", builtin=False)


def load(folder: Path, dtype: str = "float32", device: str = "cpu") -> LocalModel:
    return load_model(folder, dtype=dtype, device=device, memory_share=0.9)


def request(text: TextSide, prompt: str, index: int = 0, sampling: Sampling = SAMPLING) -> Request:
    seed = Random(f"{prompt}/{index}").getrandbits(63)
    return Request(text.encode(prompt), sampling, [seed], index, sampling.max_tokens)


def run(batch: Batch, requests: list[Request]) -> list[Completion | None]:
    for each in requests:
        batch.submit(each)
    while batch.busy:
        batch.step()
    return [result for each in requests for result in each.results]


def searches(count: int = 5, depth: int = 6) -> list[tuple[str, int]]:
    """The (prompt, sample) pairs of searches for errors: each question's prefixes in another order, one sample at a time."""
    asked = []
    for number in range(count):
        steps = [STEP.format(at, number * at) for at in range(depth)]
        prefixes = ["".join([f"Question {number}: {number} * {number + 3} = ?\n", *steps[:at]]) for at in range(depth + 1)]
        asked += [(prefix, index) for prefix in prefixes for index in range(3)]
    Random(5).shuffle(asked)
    return asked


def drawn(
    loaded: Loaded, kept: int | None, slots: int, in_flight: int, sampling: Sampling = SAMPLING
) -> tuple[list[Completion | None], Batch]:
    """All samples of the searches, at most `in_flight` at the same time."""
    model, text = loaded
    batch = Batch(model, text, slots, kept)
    asked = searches()
    results: list[Completion | None] = []
    for start in range(0, len(asked), in_flight):
        results += run(batch, [request(text, *each, sampling) for each in asked[start : start + in_flight]])
    return results, batch


@pytest.mark.parametrize(("kept", "slots", "in_flight"), [(None, 16, 3), (None, 32, 20), (1, 16, 7), (3, 32, 20), (5, 16, 16)])
def test_the_samples_are_the_same_with_the_cache_on_off_tiny_and_full(
    loaded: Loaded, kept: int | None, slots: int, in_flight: int
) -> None:
    plain, without = drawn(loaded, 0, 16, 105)
    cached, batch = drawn(loaded, kept, slots, in_flight)
    assert cached == plain
    assert (
        without.prompt_tokens.computed + without.prompt_tokens.reused == batch.prompt_tokens.computed + batch.prompt_tokens.reused
    )
    assert len({result.text for result in plain if result}) > 50


def test_what_is_kept_is_not_computed_again(loaded: Loaded) -> None:
    _, text = loaded
    ends = {prompt: tuple(text.encode(prompt)[:-1]) for prompt, _ in searches()}
    least = len({ids[:length] for ids in ends.values() for length in range(1, len(ids) + 1)})  # the tokens of all prompts' tree
    few = Sampling(temperature=1.0, max_tokens=2, seed=1)
    (_, on), (_, tiny), (_, off) = (drawn(loaded, kept, 16, 1, few) for kept in (None, 2, 0))
    assert on.prompt_tokens.computed == least < tiny.prompt_tokens.computed < off.prompt_tokens.computed
    assert on.prompt_tokens.reused > 0.8 * (on.prompt_tokens.reused + on.prompt_tokens.computed)


def test_sequences_take_the_memory_of_kept_prompts(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """11,776 positions: of 46 rows of 256, 16 are written in and 16 keep a prompt; of 512 there are 23, of which 7 keep one."""
    model, text = loaded
    asked = [request(text, prompt, index) for prompt, index in searches()[:30]]
    plain = run(Batch(model, text, 16, 0), asked)
    monkeypatch.setattr(model, "affordable_rows", lambda capacity: 11_776 // capacity)
    batch = Batch(model, text, 16)
    assert run(batch, [request(text, prompt, index) for prompt, index in searches()[:30]]) == plain
    assert (batch.slots, batch.kept_prompts) == (16, 16)
    long = Sampling(temperature=1.0, max_tokens=300, seed=1)
    run(batch, [request(text, "Step 1: ", sampling=long)])
    assert (batch.slots, batch.kept_prompts) == (16, 7)
    assert run(batch, [request(text, prompt, index) for prompt, index in searches()[:30]]) == plain


def test_where_there_is_no_spare_memory_nothing_is_kept(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    model, text = loaded
    monkeypatch.setattr(model, "affordable_rows", lambda capacity: 5 * 256 // capacity)
    batch = Batch(model, text, 16)
    assert (batch.slots, batch.kept_prompts) == (5, 0)
    asked = searches()[:12]
    assert run(batch, [request(text, *each) for each in asked]) == run(
        Batch(model, text, 5, 0), [request(text, *each) for each in asked]
    )


def test_cancelled_requests_leave_their_prompt_and_nothing_else(loaded: Loaded) -> None:
    model, text = loaded
    batch = Batch(model, text, 16)
    prompt = searches()[0][0]
    gone = request(text, prompt, 1)
    batch.submit(gone)
    for _ in range(3):
        batch.step()
    batch.cancel(gone)
    batch.step()
    computed = batch.prompt_tokens.computed
    again = run(batch, [request(text, prompt, 0)])
    assert batch.prompt_tokens.computed == computed
    assert again == run(Batch(model, text, 16, 0), [request(text, prompt, 0)])


def offer(kept: KeptPrompts, rows: list[list[int]], prompt: list[int]) -> int | None:
    """The row in which the prompt would be kept beside two rows of sequences that hold nothing."""
    held = [[], [], *rows]
    same = [
        next((at for at, (a, b) in enumerate(zip(row, prompt, strict=False)) if a != b), min(len(row), len(prompt)))
        for row in held
    ]
    return kept.place_for(len(prompt), np.array(same), np.array([len(row) for row in held]))


def test_the_least_recently_used_makes_room_and_the_longer_takes_the_place_of_its_beginning() -> None:
    kept = KeptPrompts(2, 2)
    assert offer(kept, [[], []], [1, 2]) == 2
    assert offer(kept, [[1, 2], []], [5, 6]) == 3
    assert offer(kept, [[1, 2], [5, 6]], [1, 2, 3]) == 2  # extends the first
    assert offer(kept, [[1, 2, 3], [5, 6]], [5]) is None  # held already: the second is now the latest
    assert offer(kept, [[1, 2, 3], [5, 6]], [1, 2, 4]) == 2  # begins like the first, which is kept for its own end: it is oldest
    assert offer(kept, [[1, 2, 4], [5, 6]], [7]) == 3


def test_an_empty_prompt_is_not_kept() -> None:
    assert offer(KeptPrompts(2, 1), [[]], []) is None
    assert KeptPrompts(2, 0).place_for(3, np.zeros(2, np.int64), np.zeros(2, np.int64)) is None


def test_by_default_as_many_prompts_are_kept_as_sequences_run(loaded: Loaded) -> None:
    model, text = loaded
    assert Batch(model, text, 20).kept_prompts == 2 * ROWS


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_kept_prompts_give_the_same_texts(folder: Path, loaded: Loaded) -> None:
    there = load(folder, device="cuda"), loaded[1]
    plain, _ = drawn(there, 0, 16, 105)
    cached, batch = drawn(there, None, 16, 5)
    assert [result and result.text for result in cached] == [result and result.text for result in plain]
    assert batch.prompt_tokens.reused > batch.prompt_tokens.computed
