"""Prompts that are computed together: in how many passes, never twice, and with the keys that each would have alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from local_models import save_llama

from openr_data.engines.local_cache import Place, RowCache
from openr_data.engines.local_exact import rows_agree
from openr_data.engines.local_model import LocalModel, load_model
from openr_data.engines.local_prefill import Prefill, PromptTokens
from openr_data.engines.local_prefixes import KeptPrompts
from openr_data.engines.local_rows import Rows

CAPACITY, ROWS = 640, 8


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    torch.set_num_threads(1)
    folder: Path = save_llama(tmp_path_factory.mktemp("llama"), spread=0.1)
    found = load_model(folder, dtype="float32", device="cpu", memory_share=0.9)
    return found if rows_agree(found) else load_model(folder, dtype="float64", device="cpu", memory_share=0.9)


class Bench:
    """Six rows for sequences, two for prompts; `passes` are the shapes of the forward passes."""

    def __init__(self, model: LocalModel, monkeypatch: pytest.MonkeyPatch, kept: int = 2) -> None:
        self.cache = RowCache(model.layers, ROWS, CAPACITY)
        self.rows, self.count = Rows(ROWS, CAPACITY, model.vocabulary), PromptTokens()
        self.prefill = Prefill(model, self.cache, self.rows, KeptPrompts(ROWS - kept, kept), self.count)
        self.passes: list[tuple[int, ...]] = []
        forward = LocalModel.forward

        def noting(model: LocalModel, ids: torch.Tensor, cache: RowCache, place: Place) -> torch.Tensor:
            self.passes.append(tuple(ids.shape))
            return forward(model, ids, cache, place)

        monkeypatch.setattr(LocalModel, "forward", noting)

    def keys(self, row: int, length: int) -> torch.Tensor:
        layers = [getattr(layer, name)[row, :, :length] for layer in self.cache.layers for name in ("_keys", "_values")]
        return torch.stack(layers)

    def add(self, *asked: tuple[list[int], list[int]]) -> None:
        with torch.inference_mode():
            for tokens, rows in asked:
                self.prefill.add(np.array(tokens, np.int32), rows)
            self.prefill.run()


def tokens(seed: int, length: int) -> list[int]:
    return [int(each) for each in np.random.default_rng(seed).integers(4, 200, length)]


def test_rests_of_the_same_padded_length_share_a_pass(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(model, monkeypatch)
    bench.add((tokens(1, 12), [0]), (tokens(2, 16), [1]), (tokens(3, 20), [2]), (tokens(4, 5), [3]))
    assert bench.passes == [(3, 16), (1, 32)]
    assert (bench.count.computed, bench.count.reused) == (53, 0)


def test_the_keys_are_those_of_each_prompt_alone(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [tokens(seed, length) for seed, length in enumerate((12, 16, 40, 33, 300))]
    together = Bench(model, monkeypatch)
    together.add(*((each, [row]) for row, each in enumerate(asked)))
    for row, each in enumerate(asked):
        alone = Bench(model, monkeypatch)
        alone.add((each, [0]))
        assert torch.equal(together.keys(row, len(each)), alone.keys(0, len(each)))


def test_the_same_prompt_is_computed_once_and_copied(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, prompt = Bench(model, monkeypatch), tokens(1, 14)
    bench.add((prompt, [0, 1]), (tokens(2, 14), [2]), (prompt, [3]))
    assert bench.passes == [(2, 16)]
    assert (bench.count.computed, bench.count.reused) == (28, 14)
    for row in (1, 3):
        assert torch.equal(bench.keys(row, 14), bench.keys(0, 14))
        assert bench.rows.held[row, : bench.rows.held_length[row]].tolist() == prompt


def test_a_beginning_that_the_wave_will_bring_is_waited_for(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, prompt = Bench(model, monkeypatch), tokens(1, 40)
    bench.add((prompt, [0]), ([*prompt[:30], *tokens(2, 4)], [1]))
    assert bench.passes == [(1, 48), (1, 16)]
    assert (bench.count.computed, bench.count.reused) == (44, 30)


def test_what_a_row_holds_is_copied_and_not_computed(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, prompt = Bench(model, monkeypatch), tokens(1, 40)
    bench.add((prompt, [0]))
    bench.passes.clear()
    bench.add((prompt, [3]), ([*prompt, *tokens(5, 9)], [4]), ([*prompt[:20], *tokens(6, 9)], [5]))
    assert bench.passes == [(2, 16)]
    assert torch.equal(bench.keys(3, 40), bench.keys(0, 40))


def test_a_row_may_take_the_place_of_what_it_begins_with(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, prompt = Bench(model, monkeypatch, kept=0), tokens(1, 40)
    bench.add((prompt, [0]))
    bench.add(([*prompt[:20], *tokens(2, 9)], [0]), (prompt, [1]))
    fresh = Bench(model, monkeypatch, kept=0)
    fresh.add((prompt, [1]))
    assert torch.equal(bench.keys(1, 40), fresh.keys(1, 40))


def test_long_prompts_are_computed_in_chunks_beside_short_ones(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "chunk", 64)
    bench = Bench(model, monkeypatch)
    bench.add((tokens(1, 150), [0]), (tokens(2, 130), [1]), (tokens(3, 10), [2]))
    assert bench.passes == [(1, 64), (1, 64), (1, 16), (1, 64), (1, 64), (1, 32), (1, 16)]


def test_a_pass_reads_no_more_keys_than_it_may(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four parts of 16 tokens fill a chunk of 64; but each looks at 224 keys, and a pass at 8 * 64."""
    monkeypatch.setattr("openr_data.engines.local_prefill._READ", 8)
    monkeypatch.setattr(model, "chunk", 64)
    bench, prompt = Bench(model, monkeypatch), tokens(1, 200)
    bench.add((prompt, [0]))
    bench.passes.clear()
    bench.add(*(([*prompt, *tokens(row, 9)], [row]) for row in range(1, 5)))
    assert bench.passes == [(2, 16), (2, 16)]


def test_prompts_without_a_head_need_nothing(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(model, monkeypatch)
    bench.add(([], [0]), ([], [1]))
    assert bench.passes == []
    assert bench.rows.held_length[:2].tolist() == [0, 0]
