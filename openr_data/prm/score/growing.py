"""Step scores of prefixes that grow: a search asks again and again for a solution with one more step, and only that is read.

A prefix that was scored keeps its keys and values (`states`), and a request that begins with it goes on from there. The last
token of the prefix is read again: its hidden state predicts the first token of the next step, which the likelihood head needs.
Scores differ from those of the whole forward by rounding (docs/log.md), which no search minds; `prm score` and the evaluations
of models do not come here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from openr_data.prm.encode import Encoded
from openr_data.prm.load import PRM
from openr_data.prm.score.scorer import quiet
from openr_data.prm.score.states import State, States
from openr_data.prm.score.transformers import Margins, TransformersBackend

CPU_ROOM, CUDA_ROOM = 1 << 29, 4 << 30
"""Bytes of states that are kept."""
_PAST = 8
"""Kept tokens that may be looked at for each new one that a batch may hold."""


@dataclass(frozen=True, slots=True)
class _Row:
    """The new tokens of a request behind the first `used` ones of its state, and where they are read. `place` is its own in the
    batch (-1: a question, which nobody asked about).
    """

    place: int
    whole: Sequence[int]
    reads: tuple[int, ...]
    state: State | None
    keep: bool

    @property
    def used(self) -> int:
        return self.state.length - 1 if self.state else 0

    @property
    def known(self) -> tuple[float, ...]:
        return self.state.margins if self.state else ()


class GrowingBackend(TransformersBackend):
    """As `TransformersBackend`, but for rounding. Belongs to one scorer, and is not to be called from two threads at once."""

    def __init__(self, prm: PRM, *, budget: int = 0, room: int = 0) -> None:
        super().__init__(prm, budget=budget)
        self._context, self._behind = prm.config.context, 1 - prm.config.read_offset
        self.states = States(room or (CPU_ROOM if self._device.type == "cpu" else CUDA_ROOM))

    @torch.inference_mode()
    def margins(self, batch: Sequence[Encoded], /, on_done: Callable[[int], None] = quiet) -> Margins:
        """Where the memory is not enough the states are given up, and everything is read from its beginning."""
        try:
            return self._grown(batch, on_done)
        except torch.OutOfMemoryError:
            self.states.clear()
        return super().margins(batch, on_done)

    def _grown(self, batch: Sequence[Encoded], on_done: Callable[[int], None]) -> Margins:
        found: Margins = [()] * len(batch)
        self._read_questions(batch)
        rows = [self._row(place, each) for place, each in enumerate(batch)]
        for row in rows:
            if not row.reads:  # it was asked about before
                found[row.place] = row.known
        for part in self._parts([row for row in rows if row.reads]):
            for row, new in zip(part, self._extend(part), strict=True):
                found[row.place] = (*row.known, *new)
            on_done(len(part))
        return found

    def _read_questions(self, batch: Sequence[Encoded]) -> None:
        """The states of questions that several requests begin with, and none goes on from a later state of."""
        first = [each for each in batch if 0 < each.prompt <= each.reads[0] and self._longest(each) is None]
        times = Counter(each.ids[: each.prompt] for each in first)
        again = [_Row(-1, prompt, (), None, keep=True) for prompt, count in times.items() if count > 1]
        for part in self._parts(again):
            self._extend(part)

    def _row(self, place: int, each: Encoded) -> _Row:
        state = self._longest(each)
        known = len(state.margins) if state else 0
        used = state.length - 1 if state else 0
        reads = tuple(read - used for read in each.reads[known:])
        # A whole solution at once ends there, usually: what grows comes step by step.
        end = each.reads[-1] + self._behind
        return _Row(place, each.ids[:end], reads, state, keep=len(reads) == 1)

    def _longest(self, each: Encoded) -> State | None:
        """The state of as many of its steps as there is one for, the question alone being none."""
        ends = [each.prompt, *(read + self._behind for read in each.reads)]
        states = (self.states.get(each.ids[:end]) for end in reversed(ends) if end > 0)
        return next((state for state in states if state), None)

    def _parts(self, rows: Sequence[_Row]) -> list[list[_Row]]:
        """Batches of like lengths under the budget: of new tokens, and of old ones that are copied for them."""
        ordered = sorted(rows, key=lambda row: (row.used, len(row.whole)))
        size, rest = self._fitting_rows(ordered), iter(ordered)
        return list(iter(lambda: list(islice(rest, size)), []))

    def _fitting_rows(self, rows: Sequence[_Row]) -> int:
        new = max((len(row.whole) - row.used for row in rows), default=1)
        return max(1, min(self._budget // new, _PAST * self._budget // max(1, rows[-1].used if rows else 1)))

    def _extend(self, rows: Sequence[_Row]) -> Margins:
        used = torch.tensor([row.used for row in rows], device=self._device)
        past = max(row.used for row in rows)
        ids = self._matrix([row.whole[row.used :] for row in rows])
        positions = (used[:, None] + torch.arange(ids.shape[1], device=self._device)).clamp(max=self._context - 1)
        cache = DynamicCache()
        more: dict[str, Any] = {"position_ids": positions, "past_key_values": cache}
        if past:
            _fill(cache, rows, past)
            more["attention_mask"] = (torch.arange(past + ids.shape[1], device=self._device) >= (past - used)[:, None]).long()
        found = self._forward(ids, [row.reads or (0,) for row in rows], **more)
        self._count((row.used, len(row.whole)) for row in rows)
        for number, row in enumerate(rows):
            if row.keep:
                self._keep_state(cache, number, row, past, found[number] if row.reads else ())
        return [new if row.reads else () for row, new in zip(rows, found, strict=True)]

    def _keep_state(self, cache: Any, number: int, row: _Row, past: int, new: tuple[float, ...]) -> None:
        here = slice(past - row.used, past - row.used + len(row.whole))
        kept = torch.stack([each[number, :, here] for layer in cache.layers for each in (layer.keys, layer.values)])
        self.states.put(row.whole, State(len(row.whole), kept, (*row.known, *new)))


def _fill(cache: Any, rows: Sequence[_Row], past: int) -> None:
    """Keys and values of all rows, those of shorter prefixes behind zeros that nobody looks at."""
    one = next(row.state.kept for row in rows if row.state)
    layers, heads, _, size = one.shape
    both: Tensor = one.new_zeros(layers, len(rows), heads, past, size)
    for number, row in enumerate(rows):
        if row.state:
            both[:, number, :, past - row.used :] = row.state.kept[:, :, : row.used]
    for layer in range(layers // 2):
        cache.update(both[2 * layer], both[2 * layer + 1], layer)
