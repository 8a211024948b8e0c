"""The key-value cache of the local engine: one row per sequence, each written at its own position. Knows no requests or texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache, CacheLayerMixin

ATTENTION = "openr_rows"
"""The attention implementation to load a model with."""

GRAIN = 16
"""Keys are attended to in multiples of this, so that the kernels see few shapes."""

ROWS = 16
"""Tokens of a forward pass come in multiples of this: at those sizes a CPU's matrix products give each row the same bits."""

BLOCK = 128
"""Keys per product of weights and values on a CPU; see `_product`."""


@dataclass(slots=True)
class Place:
    """Where one forward pass reads and writes: the position of each token, how many keys are looked at, and the rows.

    `positions` is (rows, columns). `rows` are the numbers of distinct rows; None stands for 0, 1, 2 and so on.
    """

    positions: torch.Tensor
    span: int
    rows: torch.Tensor | None = None


class RowLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers is not typed for us
    """Keys and values of one layer, of shape (rows, heads, capacity, head size), left-aligned at position 0."""

    is_sliding = False

    def __init__(self, rows: int, capacity: int) -> None:
        super().__init__()
        self.rows, self.capacity = rows, capacity
        self.place: Place = Place(torch.zeros((0, 0), dtype=torch.long), 0)
        self._keys = self._values = self._starts = torch.zeros(0)

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self._keys, self._values = (
            torch.zeros((self.rows, x.shape[1], self.capacity, x.shape[3]), dtype=x.dtype, device=x.device)
            for x in (key_states, value_states)
        )
        self.is_initialized = True
        self._measure()

    def _measure(self) -> None:
        """Where each row and head begins, in positions of the flattened cache: (rows, heads)."""
        rows, heads, capacity, _ = self._keys.shape
        self._starts = torch.arange(rows * heads, device=self._keys.device).view(rows, heads) * capacity

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        place = self.place
        count = len(key_states)
        starts = self._starts[:count] if place.rows is None else self._starts[place.rows]
        index = (starts[:, :, None] + place.positions[:, None, :]).view(-1)
        for held, new in ((self._keys, key_states), (self._values, value_states)):
            held.view(-1, new.shape[3]).index_copy_(0, index, new.reshape(-1, new.shape[3]))
        return self._read(self._keys, count), self._read(self._values, count)

    def _read(self, what: torch.Tensor, count: int) -> torch.Tensor:
        rows, span = self.place.rows, self.place.span
        return what[:count, :, :span] if rows is None else what[rows, :, :span]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.place.span, 0

    def get_seq_length(self) -> int:
        return 0  # positions and masks are given

    def get_max_length(self) -> int:
        return self.capacity

    def copy(self, source: int, target: int, length: int) -> None:
        if self.is_initialized:
            self._keys[target, :, :length] = self._keys[source, :, :length]
            self._values[target, :, :length] = self._values[source, :, :length]

    def resize(self, rows: int, capacity: int) -> None:
        """Room for more positions in each row, and no more rows than now; the rows keep what they hold."""
        self.rows, extra = rows, (0, 0, 0, capacity - self.capacity)
        self.capacity = capacity
        if self.is_initialized:
            self._keys = torch.nn.functional.pad(self._keys[:rows], extra)
            self._values = torch.nn.functional.pad(self._values[:rows], extra)
            self._measure()


class RowCache(Cache):  # type: ignore[misc]  # transformers is not typed for us
    """All layers of a model with the same place to write to."""

    def __init__(self, layers: int, rows: int, capacity: int) -> None:
        self._rows: list[RowLayer] = [RowLayer(rows, capacity) for _ in range(layers)]
        super().__init__(layers=list(self._rows))

    def go_to(self, place: Place) -> None:
        for layer in self._rows:
            layer.place = place

    def copy(self, source: int, target: int, length: int) -> None:
        """Positions 0..length-1 of one row, into another."""
        for layer in self._rows:
            layer.copy(source, target, length)

    def resize(self, rows: int, capacity: int) -> None:
        for layer in self._rows:
            layer.resize(rows, capacity)


def rows_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Scaled dot-product attention by plain matrix products, with the queries of one key head folded together.

    Measured (docs/log.md): on a CPU it is faster than the fused kernel for single tokens, and, unlike it, gives a row the same
    bits whatever the number of rows, keys and threads.
    """
    batch, heads, length, size = query.shape
    groups = key.shape[1]
    folded = (query * (size**-0.5 if scaling is None else scaling)).reshape(batch, groups, heads // groups * length, size)
    scores = torch.matmul(folded, key.transpose(-1, -2))
    scores = scores.view(batch, heads, length, -1)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32)).add_(attention_mask)
    if s_aux is None:
        weights = torch.softmax(scores, -1)
    else:  # attention sinks: one more key that takes weight and gives nothing
        sinks = s_aux.view(1, heads, 1, 1).expand(batch, heads, length, 1).to(scores.dtype)
        weights = torch.softmax(torch.cat([scores, sinks], -1), -1)[..., :-1]
    out = _product(weights.to(value.dtype).reshape(batch, groups, heads // groups * length, -1), value)
    return out.view(batch, heads, length, value.shape[-1]).transpose(1, 2), None


def _product(weights: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Matrix product, summed over keys in blocks of `BLOCK` on a CPU.

    A product over more keys is summed in parts whose size depends on the number of keys (MKL 2024.2), so a row's bits would
    change with the longest sequence of the batch. Blocks beyond a row's own keys add exact zeros.
    """
    span = value.shape[-2]
    if value.device.type != "cpu" or span <= BLOCK:
        return torch.matmul(weights, value)
    blocks = (slice(start, start + BLOCK) for start in range(BLOCK, span, BLOCK))
    total = torch.matmul(weights[..., :BLOCK], value[..., :BLOCK, :])
    for block in blocks:
        total += torch.matmul(weights[..., block], value[..., block, :])
    return total


def multiple(number: int, of: int) -> int:
    """The least multiple that is not below the number."""
    return -(-number // of) * of


AttentionInterface.register(ATTENTION, rows_attention)
