"""The continuously refilled batch: sequences join and leave between any two steps. Knows token ids, not questions or files.

Determinism: what a row computes must not depend on the other rows. Every forward pass has a multiple of `ROWS` rows (or prompt
tokens), for which the matrix products of a CPU give each row the same bits at any batch size; the tests check that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch

from openr_data.engines.local_cache import GRAIN, ROWS, Place, RowCache, multiple
from openr_data.engines.local_model import LocalModel
from openr_data.engines.local_prefill import Prefill, PromptTokens
from openr_data.engines.local_prefixes import KeptPrompts
from openr_data.engines.local_request import Request
from openr_data.engines.local_rows import Rows
from openr_data.engines.local_sampling import Filters, choose, uniforms
from openr_data.engines.local_text import TextSide
from openr_data.errors import EngineError

_START = 256


class Batch:
    """At most `slots` sequences at a time; requests beyond them wait in a queue, first come first served.

    `submit` and `cancel` may be called at any moment, also while another thread is in `step`; nothing else may.

    Up to `kept` prompts (as many as there are slots, unless said) stay in memory that no sequence needs, for later requests.
    """

    def __init__(self, model: LocalModel, text: TextSide, slots: int, kept: int | None = None) -> None:
        self.model, self.text, self.slots = model, text, slots
        self.steps = self.generated_tokens = 0
        self.prompt_tokens = PromptTokens()
        self._keep = multiple(slots, ROWS) if kept is None else kept
        self._cancelled = False
        self._queue: deque[Request] = deque()
        self._build(model.affordable_rows(min(_START, self._longest)), min(_START, self._longest))

    def _build(self, affordable: int, capacity: int) -> None:
        if not affordable:
            raise EngineError(
                f"there is no memory for a sequence of {capacity} tokens: use a smaller model or a shorter --max-tokens"
            )
        self.slots = min(self.slots, affordable)
        rows = min(affordable, multiple(self.slots, ROWS))
        self._kept = KeptPrompts(rows, min(affordable - rows, self._keep))
        rows += self._kept.count
        self._cache = RowCache(self.model.layers, rows, capacity)
        self._rows = Rows(rows, capacity, self.model.vocabulary)
        self._prefill = Prefill(self.model, self._cache, self._rows, self._kept, self.prompt_tokens)
        self._token = torch.zeros(rows, dtype=torch.long, device=self.model.device)
        self._filters: Filters | None = None

    @property
    def _longest(self) -> int:
        return _capacity(self.model.context)

    def fits(self, length: int) -> bool:
        """Whether the memory holds one sequence of `length` tokens. One that does not must not be submitted."""
        return self.model.affordable_rows(_capacity(length)) > 0

    @property
    def kept_prompts(self) -> int:
        """How many prompts the spare memory has room for now."""
        return self._kept.count

    @property
    def busy(self) -> bool:
        return bool(self._queue) or self._live_count > 0

    def submit(self, request: Request) -> None:
        self._queue.append(request)

    def cancel(self, request: Request) -> None:
        """Its rows are free from the next step on."""
        request.cancelled = self._cancelled = True

    def step(self) -> list[Request]:
        """Admit what fits, and generate one token for every sequence. Returns the requests that are done by it."""
        with torch.inference_mode():
            self._drop_cancelled()
            self._admit()
            if not self._live_count:
                return []
            self._compact()
            self.steps += 1
            return self._decode()

    def drain(self) -> list[Request]:
        """Forget everything. Returns the requests that were not done."""
        left = {id(request): request for request in (*self._rows.unfinished(), *self._queue)}
        self._queue.clear()
        for row in np.flatnonzero(self._rows.live):
            self._rows.release(int(row))
        return list(left.values())

    def forget(self) -> None:
        """What rows hold of prompts: the model has other weights now."""
        self._rows.held_length[:] = 0

    def _drop_cancelled(self) -> None:
        if not self._cancelled:
            return
        self._cancelled = False
        for row in np.flatnonzero(self._rows.live):
            if self._rows.owned(int(row))[0].cancelled:
                self._rows.release(int(row))

    def _admit(self) -> None:
        while self._queue and self._live_count < self.slots:
            request = self._queue[0]
            if request.cancelled or not request.pending:
                self._queue.popleft()
            elif self._make_room(len(request.prompt) + request.limit):
                self._start(request, self._free()[: len(request.pending)])
            else:
                break
        self._prefill.run()

    def _free(self) -> list[int]:
        return [int(row) for row in np.flatnonzero(~self._rows.live[: self._kept.first])][: self.slots - self._live_count]

    @property
    def _live_count(self) -> int:
        return int(np.count_nonzero(self._rows.live))

    def _make_room(self, length: int) -> bool:
        """Whether a row holds `length` tokens, widening all rows if need be. False: wait until the present sequences are done.

        Kept prompts go before a sequence has to wait.
        """
        needed = _capacity(length)
        if needed <= self._rows.capacity:
            return True
        capacity = min(max(needed, 2 * self._rows.capacity), self._longest)
        if self.model.affordable_rows(capacity) < self._kept.first:  # no spare room, then
            capacity = needed
        affordable = self.model.affordable_rows(capacity)
        if affordable >= self._kept.first:
            self._kept.shrink(affordable - self._kept.first)
            count = self._kept.first + self._kept.count
            self._cache.resize(count, capacity)
            self._rows.resize(count, capacity)
            return True
        if self._live_count:
            return False
        self._build(affordable, capacity)  # fewer, longer rows
        return True

    def _start(self, request: Request, rows: Sequence[int]) -> None:
        """The prompt's keys are to be in these rows, and its last token is their first input: only `_decode` samples."""
        prompt = np.asarray(request.prompt, np.int32)
        self._prefill.add(prompt[:-1], rows)
        for row in rows:
            self._rows.take(row, request, request.pending.popleft())
        self._token[list(rows)] = int(prompt[-1])
        self._filters = None

    def _compact(self) -> None:
        """Move the highest rows into holes when that makes the forward pass smaller."""
        live = self._rows.live
        count = self._live_count
        if multiple(count, ROWS) >= multiple(self._rows.top, ROWS):
            return
        for target in np.flatnonzero(~live[:count]):
            source = self._rows.top - 1
            self._cache.copy(source, int(target), int(self._rows.position[source]))
            self._token[int(target)] = self._token[source]
            self._rows.move(source, int(target))
        self._filters = None

    def _decode(self) -> list[Request]:
        rows, device = self._rows, self.model.device
        count = min(multiple(rows.top, ROWS), rows.count)
        live = rows.live[:count]
        span = min(multiple(int(rows.position[:count][live].max()) + 1, GRAIN), rows.capacity)
        # A row that is not live writes its meaningless key where no sequence ever reads.
        positions = torch.from_numpy(np.where(live, rows.position[:count], rows.capacity - 1)).to(device)
        logits = self.model.forward(self._token[:count, None], self._cache, Place(positions[:, None], span))
        if self._filters is None or len(self._filters.temperature) != count:
            self._filters = rows.filters(count, device)
        draws = torch.from_numpy(uniforms(rows.seed[:count], rows.generated[:count])).to(device)
        tokens, logprob = choose(logits, draws[:, None], self._filters)
        self._token[:count] = tokens
        return self._record(tokens.cpu().numpy(), logprob.double().cpu().numpy(), count)

    def _record(
        self,
        tokens: np.ndarray[tuple[int], np.dtype[np.int64]],
        logprob: np.ndarray[tuple[int], np.dtype[np.float64]],
        count: int,
    ) -> list[Request]:
        rows = self._rows
        live = np.flatnonzero(rows.live[:count])
        tokens = tokens[live]
        rows.written[live, rows.generated[live]] = tokens
        rows.generated[live] += 1
        rows.position[live] += 1
        rows.logprob[live] += logprob[live]
        self.generated_tokens += len(live)
        ended = self.model.ends[tokens]
        full = rows.generated[live] >= rows.limit[live]
        suspects = rows.rules[rows.rule[live], tokens]
        done: dict[int, Request] = {}
        for at in np.flatnonzero(ended | full | suspects):
            self._settle(int(live[at]), bool(ended[at]), bool(full[at]), done)
        return list(done.values())

    def _settle(self, row: int, ended: bool, full: bool, done: dict[int, Request]) -> None:
        request, sample = self._rows.owned(row)
        ids = self._rows.written[row, : self._rows.generated[row]].tolist()
        if not (ended or full) and not request.stopped(self.text, ids):
            return
        request.finish(sample, self.text, ids, ended=ended, full=full, logprob=float(self._rows.logprob[row]))
        self._rows.release(row)
        if request.done:
            done[id(request)] = request


def _capacity(length: int) -> int:
    """Positions of a row for that many tokens: a padded prefill, and a place for the keys of rows that are not live."""
    return multiple(length + ROWS + 1, GRAIN)
