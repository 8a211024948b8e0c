"""Drawing the next token of every row at once. Knows logits and seeds, not models, texts or requests.

The random number of a token is a hash of (seed of its sample, index of the token), so a sample never sees its neighbours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

_GOLDEN, _MIX1, _MIX2 = (np.uint64(value) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))

_COLDEST = 1e-5
"""Below it the likeliest token is taken: dividing by less would end in numbers that mean nothing."""


class Filters(NamedTuple):
    """Sampling parameters per row, each a tensor of shape (rows, 1). `filtered`: some row uses top_k or top_p."""

    temperature: torch.Tensor
    top_k: torch.Tensor
    top_p: torch.Tensor
    filtered: bool


def uniforms(seeds: NDArray[np.uint64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Numbers in (0, 1), one per row: the output of SplitMix64 (Steele et al. 2014) number `counts` of the stream `seeds`.

    >>> u = uniforms(np.array([7, 7], dtype=np.uint64), np.array([0, 1]))
    >>> bool(u[0] != u[1]), bool(((0 < u) & (u < 1)).all())
    (True, True)
    """
    x = seeds + (counts.astype(np.uint64) + np.uint64(1)) * _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _MIX1
    x = (x ^ (x >> np.uint64(27))) * _MIX2
    x = x ^ (x >> np.uint64(31))
    draws: NDArray[np.float64] = ((x >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    return draws


def choose(logits: torch.Tensor, draws: torch.Tensor, filters: Filters) -> tuple[torch.Tensor, torch.Tensor]:
    """The next token of each row, and its log-probability under the unfiltered model at temperature 1.

    `logits` (rows, vocabulary), `draws` (rows, 1) in (0, 1). Temperature 0 (below 1e-5) takes the likeliest token, the first of
    equals; else the cumulative distribution, in the order of the vocabulary, is inverted at the draw. Rows do not influence each
    other.
    """
    logits = logits if logits.dtype == torch.float64 else logits.float()
    greedy = filters.temperature < _COLDEST
    probabilities = torch.softmax(logits / filters.temperature.masked_fill(greedy, 1.0), -1)
    if filters.filtered:
        probabilities = _filter(probabilities, filters)
    cumulative = probabilities.cumsum(-1, dtype=torch.float64)
    drawn = torch.searchsorted(cumulative, draws * cumulative[:, -1:], right=True).clamp_(max=logits.shape[-1] - 1)
    tokens = torch.where(greedy, logits.argmax(-1, keepdim=True), drawn)
    logprob = logits.gather(-1, tokens) - logits.logsumexp(-1, keepdim=True)
    return tokens[:, 0], logprob[:, 0]


def _filter(probabilities: torch.Tensor, filters: Filters) -> torch.Tensor:
    """Zero outside the `top_k` likeliest and outside the smallest likeliest set that reaches `top_p` (k first)."""
    ordered, order = torch.sort(probabilities, dim=-1, descending=True, stable=True)
    rank = torch.arange(ordered.shape[-1], device=ordered.device)
    ordered = ordered.masked_fill((filters.top_k > 0) & (rank >= filters.top_k), 0.0)
    before = ordered.cumsum(-1, dtype=torch.float64) - ordered
    dropped = before >= filters.top_p * ordered.sum(-1, keepdim=True, dtype=torch.float64)
    dropped[:, 0] = False  # the likeliest token always stays
    ordered = ordered.masked_fill(dropped & (filters.top_p < 1.0), 0.0)
    return torch.zeros_like(probabilities).scatter_(-1, order, ordered)
