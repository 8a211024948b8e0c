"""One request of the local engine and the text it ends in. Knows token ids and the text side, not models or batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan

from openr_data.engines.local_text import StopRule, TextSide
from openr_data.types import Completion, FinishReason, Sampling


@dataclass(eq=False, slots=True)
class Request:
    """`n` samples of one prompt. `results[i]` belongs to sample index `start + i`; the request is done when none is missing.

    `limit` bounds the generated tokens (the option, or the room left in the context). `stop` is None when no string stops it.
    """

    prompt: Sequence[int]
    sampling: Sampling
    seeds: Sequence[int]
    start: int
    limit: int
    stop: StopRule | None = None
    cancelled: bool = False
    results: list[Completion | None] = field(init=False)
    pending: deque[int] = field(init=False)

    def __post_init__(self) -> None:
        self.results = [None] * len(self.seeds)
        self.pending = deque(range(len(self.seeds)))

    @property
    def done(self) -> bool:
        return all(result is not None for result in self.results)

    def finish(self, sample: int, text: TextSide, ids: Sequence[int], *, ended: bool, full: bool, logprob: float) -> None:
        """Record one sample of the generated tokens `ids`. `ended`: the last one is an end token; `full`: `limit` is reached."""
        reason: FinishReason = "length" if full and not ended else "stop"
        written = text.continuation(self.prompt, ids[:-1] if ended else ids, complete=reason == "stop")
        cut = self.stop.cut(written) if self.stop else None
        if cut is not None:
            written, reason = written[:cut], "stop"
        if isnan(logprob):  # the model's numbers overflowed, so its tokens mean nothing
            written, reason = "", "error"
        value = None if reason == "error" else round(logprob, 6)
        own = cut is None if reason == "stop" else None
        place, seed = self.start + sample, self.seeds[sample]
        self.results[sample] = Completion(written, len(ids), reason, place, seed, value, own, tuple(ids))

    def stopped(self, text: TextSide, ids: Sequence[int]) -> bool:
        """Whether a stop string stands in what was generated so far."""
        return self.stop is not None and self.stop.cut(text.continuation(self.prompt, ids)) is not None
