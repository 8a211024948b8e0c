"""What each row of the batch is doing: whose sample it writes, how far it is, and whose prompt's keys it still holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from openr_data.engines.local_request import Request
from openr_data.engines.local_sampling import Filters

_PER_ROW = ("live", "position", "generated", "limit", "seed", "logprob", "knobs", "rule", "written", "held", "held_length")


class Rows:
    """Arrays with one entry per row. A row that is not live may still hold the keys of a prompt, for others to copy.

    `position` is where the row's next input token goes; `held[row, :held_length[row]]` is the prompt whose keys a prefill wrote
    there. Keys written while decoding are never lent: another kernel computes them, and their last bits may differ.
    """

    def __init__(self, count: int, capacity: int, vocabulary: int) -> None:
        self.count, self.capacity = count, capacity
        self.owner: list[tuple[Request, int] | None] = [None] * count
        self.live = np.zeros(count, np.bool_)
        self.position = np.zeros(count, np.int64)
        self.generated = np.zeros(count, np.int64)
        self.limit = np.zeros(count, np.int64)
        self.seed = np.zeros(count, np.uint64)
        self.logprob = np.zeros(count, np.float64)
        self.knobs = np.ones((count, 3), np.float64)
        self.rule = np.zeros(count, np.int64)
        self.rules: NDArray[np.bool_] = np.zeros((1, vocabulary), np.bool_)
        self._rule_ids: dict[int, int] = {}
        self.written = np.zeros((count, capacity), np.int32)
        self.held = np.full((count, capacity), -1, np.int32)
        self.held_length = np.zeros(count, np.int64)

    @property
    def top(self) -> int:
        """One more than the highest live row."""
        return int(np.flatnonzero(self.live)[-1]) + 1

    def take(self, row: int, request: Request, sample: int) -> None:
        sampling = request.sampling
        self.owner[row] = (request, sample)
        self.live[row] = True
        self.position[row] = len(request.prompt) - 1
        self.generated[row], self.logprob[row] = 0, 0.0
        self.limit[row], self.seed[row] = request.limit, request.seeds[sample]
        self.knobs[row] = sampling.temperature, sampling.top_k, sampling.top_p
        self.rule[row] = self._rule_id(request)

    def _rule_id(self, request: Request) -> int:
        if request.stop is None:
            return 0
        key = id(request.stop.ending)
        if key not in self._rule_ids:
            # Models give numbers for more tokens than their tokenizer has (or, rarely, fewer).
            rule = np.zeros((1, self.rules.shape[1]), np.bool_)
            known = request.stop.ending[: rule.shape[1]]
            rule[0, : len(known)] = known
            self.rules = np.concatenate([self.rules, rule])
            self._rule_ids[key] = len(self.rules) - 1
        return self._rule_ids[key]

    def owned(self, row: int) -> tuple[Request, int]:
        """The request and the sample that a live row writes."""
        owner = self.owner[row]
        if owner is None:
            raise RuntimeError(f"row {row} is not live")
        return owner

    def release(self, row: int) -> None:
        self.live[row], self.owner[row] = False, None

    def hold(self, row: int, prompt: NDArray[np.int32]) -> None:
        self.held[row, : len(prompt)] = prompt
        self.held_length[row] = len(prompt)

    def shared(self, prompt: NDArray[np.int32]) -> NDArray[np.int64]:
        """How many tokens of the beginning of `prompt` each row holds the keys of."""
        if not len(prompt):
            return np.zeros(self.count, np.int64)
        differs = self.held[:, : len(prompt)] != prompt
        first = differs.argmax(1)
        return np.minimum(np.where(differs[np.arange(self.count), first], first, len(prompt)), self.held_length)

    def move(self, source: int, target: int) -> None:
        for name in _PER_ROW:
            array = getattr(self, name)
            array[target] = array[source]
        self.owner[target], self.live[target] = self.owner[source], True
        self.release(source)
        self.held_length[source] = 0

    def resize(self, count: int, capacity: int) -> None:
        """Longer rows, and no more of them than now; those that are given up must not be live."""
        extra = ((0, 0), (0, capacity - self.capacity))
        for name in _PER_ROW:
            setattr(self, name, getattr(self, name)[:count])
        del self.owner[count:]
        self.written = np.pad(self.written, extra)
        self.held = np.pad(self.held, extra, constant_values=-1)
        self.count, self.capacity = count, capacity

    def filters(self, count: int, device: torch.device) -> Filters:
        """The sampling parameters of rows 0..count-1."""
        knobs = self.knobs[:count]
        filtered = bool(((knobs[:, 1] > 0) | (knobs[:, 2] < 1.0))[self.live[:count]].any())
        temperature, top_k, top_p = torch.from_numpy(knobs.copy()).to(device).unbind(1)
        return Filters(temperature.float()[:, None], top_k.long()[:, None], top_p[:, None], filtered)

    def unfinished(self) -> Sequence[Request]:
        return list({id(owner[0]): owner[0] for owner in self.owner if owner}.values())
