"""Drawing tokens: against hand-worked distributions, and row by row."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.engines.local_sampling import Filters, choose, uniforms

PROBABILITIES = [0.1, 0.4, 0.2, 0.3]
LOGITS = torch.log(torch.tensor(PROBABILITIES))


def filters(rows: int, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Filters:
    def column(value: float) -> torch.Tensor:
        return torch.full((rows, 1), value)

    return Filters(column(temperature), column(top_k).long(), column(top_p).double(), bool(top_k or top_p < 1))


def drawn(draws: list[float], knobs: Filters) -> list[int]:
    logits = LOGITS.expand(len(draws), 4)
    tokens, _ = choose(logits, torch.tensor(draws, dtype=torch.float64)[:, None], knobs)
    return [int(token) for token in tokens]


def test_the_cumulative_distribution_is_inverted_in_the_order_of_the_vocabulary() -> None:
    assert drawn([0.05, 0.15, 0.45, 0.55, 0.65, 0.75, 0.999999], filters(7)) == [0, 1, 1, 2, 2, 3, 3]


def test_temperature_zero_takes_the_likeliest_and_the_first_of_equals() -> None:
    assert drawn([0.01, 0.99], filters(2, temperature=0.0)) == [1, 1]
    tokens, _ = choose(torch.tensor([[1.0, 3.0, 3.0]]), torch.tensor([[0.9]], dtype=torch.float64), filters(1, temperature=0.0))
    assert tokens.tolist() == [1]


@pytest.mark.parametrize("temperature", [1e-6, 1e-38, 1e-41])
def test_a_temperature_too_small_to_divide_by_takes_the_likeliest(temperature: float) -> None:
    assert drawn([0.01, 0.99], filters(2, temperature=temperature)) == [1, 1]


def test_temperature_sharpens() -> None:
    weights = np.array(PROBABILITIES) ** 2
    bounds = np.cumsum(weights / weights.sum())
    assert drawn([bounds[0] - 1e-3, bounds[0] + 1e-3, bounds[2] - 1e-3, bounds[2] + 1e-3], filters(4, temperature=0.5)) == [
        0,
        1,
        2,
        3,
    ]


@pytest.mark.parametrize(
    ("top_k", "top_p", "kept"),
    [
        (1, 1.0, {1}),
        (2, 1.0, {1, 3}),
        (3, 1.0, {1, 2, 3}),
        (0, 0.05, {1}),
        (0, 0.69, {1, 3}),
        (0, 0.71, {1, 2, 3}),
        (2, 0.5, {1}),
        (2, 0.6, {1, 3}),
    ],
)
def test_top_k_and_top_p_keep_the_likeliest(top_k: int, top_p: float, kept: set[int]) -> None:
    draws = [(i + 0.5) / 200 for i in range(200)]
    tokens = drawn(draws, filters(200, top_k=top_k, top_p=top_p))
    assert set(tokens) == kept
    total = sum(PROBABILITIES[token] for token in kept)
    for token in kept:
        assert tokens.count(token) / 200 == pytest.approx(PROBABILITIES[token] / total, abs=0.011)


def test_the_logprob_is_that_of_the_model_whatever_the_sampling() -> None:
    _, logprob = choose(LOGITS[None], torch.tensor([[0.5]], dtype=torch.float64), filters(1, temperature=0.3, top_k=1))
    assert float(logprob) == pytest.approx(np.log(0.4), abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40), st.sampled_from([(0, 1.0), (3, 1.0), (0, 0.8), (5, 0.9)]))
def test_rows_do_not_influence_each_other(seed: int, rows: int, knobs: tuple[int, float]) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, 97, generator=generator) * 3
    draws = torch.rand(rows, 1, generator=generator, dtype=torch.float64)
    together = choose(logits, draws, filters(rows, top_k=knobs[0], top_p=knobs[1]))
    for row in range(rows):
        alone = choose(logits[row : row + 1], draws[row : row + 1], filters(1, top_k=knobs[0], top_p=knobs[1]))
        assert torch.equal(alone[0], together[0][row : row + 1])
        assert torch.equal(alone[1], together[1][row : row + 1])


def test_the_random_numbers_are_those_of_splitmix64() -> None:
    """First outputs for seed 1234567 of the reference implementation."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    got = uniforms(np.full(5, 1234567, np.uint64), np.arange(5))
    assert got.tolist() == [((value >> 12) + 0.5) * 2.0**-52 for value in expected]


def test_the_random_numbers_are_even() -> None:
    seeds, counts = np.divmod(np.arange(40_000), 200)
    draws = uniforms(seeds.astype(np.uint64), counts)
    histogram = np.histogram(draws, bins=20, range=(0, 1))[0]
    chi_square = ((histogram - 2000) ** 2 / 2000).sum()
    assert chi_square < 43.8  # 0.1 % point of chi-square with 19 degrees of freedom
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.02
