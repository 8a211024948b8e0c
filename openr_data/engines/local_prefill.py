"""The keys of new prompts, several of them in one forward pass. Knows token ids and rows, no requests.

What a row holds of a prompt already is copied. The rest is filled up to a multiple of `ROWS` tokens, and prompts whose rest then
has the same length share a pass: alone, a dozen tokens cost a small model almost as much as a step of the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from openr_data.engines.local_cache import GRAIN, ROWS, Place, RowCache, multiple
from openr_data.engines.local_model import LocalModel
from openr_data.engines.local_prefixes import KeptPrompts
from openr_data.engines.local_rows import Rows

Tokens = NDArray[np.int32]

_READ = 64
"""A pass reads at most this many times `chunk` keys, which are gathered from their rows (several prompts of one pass)."""


@dataclass(slots=True)
class PromptTokens:
    """How many tokens of prompts were computed, and how many were copied from where they were held already."""

    computed: int = 0
    reused: int = 0


@dataclass(slots=True)
class _Waiting:
    """`rows[0]` holds the first `known` tokens; the other rows get a copy of all of them."""

    tokens: Tokens
    rows: list[int]
    known: int


class Prefill:
    """Prompts join a wave, which `run` computes. Until then the rows of its prompts must not be read."""

    def __init__(self, model: LocalModel, cache: RowCache, rows: Rows, kept: KeptPrompts, count: PromptTokens) -> None:
        self._model, self._cache, self._rows, self._kept, self._count = model, cache, rows, kept, count
        self._wave: list[_Waiting] = []

    def add(self, tokens: Tokens, rows: Sequence[int]) -> None:
        """`rows` are to hold these tokens. What another prompt of the wave brings is not computed again."""
        twin = next((each for each in self._wave if np.array_equal(tokens, each.tokens)), None)
        if twin:
            twin.rows += rows
            self._count.reused += len(tokens)
            return
        shared = self._rows.shared(tokens)
        if any(_common(tokens, each.tokens) > shared.max() for each in self._wave):
            self.run()
            shared = self._rows.shared(tokens)
        donor = int(shared.argmax())
        self._join(tokens, list(rows), donor, int(shared[donor]))

    def _join(self, tokens: Tokens, rows: list[int], donor: int, known: int) -> None:
        self._take(donor, rows[0], tokens[:known])
        self._wave.append(_Waiting(tokens, rows, known))
        self._count.reused += known
        self._count.computed += len(tokens) - known

    def _take(self, source: int, target: int, tokens: Tokens) -> None:
        if source != target:
            self._cache.copy(source, target, len(tokens))
        self._rows.hold(target, tokens)

    def run(self) -> None:
        """Compute what the wave lacks, and copy it to where it is wanted."""
        lacking = self._wave
        while lacking := [each for each in lacking if each.known < len(each.tokens)]:
            for together in self._passes(lacking):
                self._compute(together)
        for each in self._wave:
            self._hand_out(each)
        self._wave = []

    def _passes(self, lacking: Sequence[_Waiting]) -> Iterator[list[_Waiting]]:
        """Prompts whose next part has the same length, as many at a time as a pass may compute and read."""
        by_length: dict[int, list[_Waiting]] = {}
        for each in lacking:
            by_length.setdefault(self._next(each), []).append(each)
        for length, alike in by_length.items():
            most = max(1, min(self._model.chunk // length, _READ * self._model.chunk // self._span(alike, length)))
            yield from (alike[start : start + most] for start in range(0, len(alike), most))

    def _next(self, each: _Waiting) -> int:
        return multiple(min(len(each.tokens) - each.known, self._model.chunk), ROWS)

    def _span(self, together: Sequence[_Waiting], length: int) -> int:
        return min(multiple(max(each.known for each in together) + length, GRAIN), self._rows.capacity)

    def _compute(self, together: Sequence[_Waiting]) -> None:
        length, device = self._next(together[0]), self._model.device
        padded = np.zeros((len(together), length), np.int64)
        for each, line in zip(together, padded, strict=True):
            part = each.tokens[each.known : each.known + length]
            line[: len(part)] = part
        starts = np.array([[each.known] for each in together])
        positions = torch.from_numpy(starts + np.arange(length)).to(device)
        rows = torch.tensor([each.rows[0] for each in together], device=device)
        place = Place(positions, self._span(together, length), rows)
        self._model.forward(torch.from_numpy(padded).to(device), self._cache, place)
        for each in together:
            each.known = min(each.known + length, len(each.tokens))

    def _hand_out(self, each: _Waiting) -> None:
        row = each.rows[0]
        self._rows.hold(row, each.tokens)
        for other in each.rows[1:]:
            self._take(row, other, each.tokens)
        place = self._kept.place_for(len(each.tokens), self._rows.shared(each.tokens), self._rows.held_length)
        if place is not None:
            self._take(row, place, each.tokens)


def _common(one: Tokens, other: Tokens) -> int:
    """How many tokens both begin with."""
    length = min(len(one), len(other))
    differs = one[:length] != other[:length]
    return int(differs.argmax()) if differs.any() else length
