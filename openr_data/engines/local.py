"""The local engine: any decoder-only model of transformers, all requests in one continuously refilled batch, on a CPU or CUDA.

It knows how the parts are put together: files, tokenizer, weights, batch, event loop. It knows no graders and no records.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from openr_data.engines.base import EngineLimits, EngineSpec, context_mark, sample_seed
from openr_data.engines.local_files import BUILTIN, model_digest, model_folder
from openr_data.engines.local_text import TextSide, load_text_side
from openr_data.engines.prompts import PromptTemplate
from openr_data.errors import ContextOverflow, UsageError
from openr_data.types import Completion, Sampling, Steps

if TYPE_CHECKING:
    from torch import Tensor

    from openr_data.engines.local_batch import Batch
    from openr_data.engines.local_loop import StepLoop

_SMALL = 30_000_000
"""Parameters up to which a step is so short that it runs in the event loop, and on one thread."""


@asynccontextmanager
async def open_local(spec: EngineSpec, limits: EngineLimits) -> AsyncIterator[LocalEngine]:
    """The model that `spec` names, ready to sample; its memory is free again at the end.

    `UsageError` for a model, template, device or dtype that cannot be used.
    """
    import torch

    folder = await asyncio.to_thread(model_folder, spec)
    threads = torch.get_num_threads()
    try:
        engine = await asyncio.to_thread(_load, spec, limits, folder)
        if engine.small:
            torch.set_num_threads(1)
        engine.start()
        try:
            yield engine
        finally:
            await engine.close()
    finally:
        torch.set_num_threads(threads)


def render_only(spec: EngineSpec) -> TextSide:
    """Tokenizer and template without the weights: `prompt`, `pieces` and `template` as the engine would have them."""
    folder = model_folder(spec, weights=False)
    return load_text_side(folder, spec.template, builtin=_is_builtin(folder), separator=spec.separator)


def _is_builtin(folder: Path) -> bool:
    return folder.resolve() == BUILTIN.resolve()


def _load(spec: EngineSpec, limits: EngineLimits, folder: Path) -> LocalEngine:
    import torch

    from openr_data.engines.local_batch import Batch
    from openr_data.engines.local_exact import rows_agree
    from openr_data.engines.local_model import load_model

    text = load_text_side(folder, spec.template, builtin=_is_builtin(folder), separator=spec.separator)
    model = load_model(folder, dtype=spec.dtype, device=limits.device, memory_share=limits.gpu_memory)
    small = model.device.type == "cpu" and model.parameters <= _SMALL
    if small:
        torch.set_num_threads(1)
    if small and spec.dtype == "auto" and not rows_agree(model):
        model = load_model(folder, dtype="float64", device=limits.device, memory_share=limits.gpu_memory)
    if limits.max_model_len:
        model.context = min(model.context, limits.max_model_len)
    slots = limits.slots or (128 if model.device.type == "cpu" else 256)
    kind = str(model.dtype).removeprefix("torch.") + context_mark(limits)
    identity = f"{spec.engine}:{model_digest(folder)[:32]}:{kind}"
    return LocalEngine(identity, text, Batch(model, text, slots), small=small)


class LocalEngine:
    """See `openr_data.engines.base.LoadedEngine`. Between `start` and `close` it belongs to one event loop."""

    def __init__(self, identity: str, text: TextSide, batch: Batch, *, small: bool) -> None:
        self.identity = identity
        self.small = small
        self._text = text
        self._batch = batch
        self._loop: StepLoop | None = None

    @property
    def template(self) -> PromptTemplate:
        return self._text.template

    @property
    def slots(self) -> int:
        return self._batch.slots

    @property
    def generated_tokens(self) -> int:
        """Tokens generated so far, those of cancelled requests included."""
        return self._batch.generated_tokens

    @property
    def prompt_tokens(self) -> tuple[int, int]:
        """How many tokens of prompts were computed, and how many were taken from prompts that were held already."""
        return self._batch.prompt_tokens.computed, self._batch.prompt_tokens.reused

    @property
    def steps(self) -> int:
        """Forward passes that generated."""
        return self._batch.steps

    def start(self) -> None:
        from openr_data.engines.local_loop import StepLoop

        self._loop = StepLoop(self._batch, threaded=not self.small)

    def load(self, weights: Mapping[str, Tensor], mark: str) -> None:
        """Other weights of the same model, copied; `mark` names them in `identity`. `UsageError` while requests wait."""
        if self._batch.busy:
            raise UsageError("the engine is sampling: its weights cannot change now")
        self._batch.model.load(weights)
        self._batch.forget()
        self.identity = f"{self.identity.split('+', 1)[0]}+{mark}"

    async def close(self) -> None:
        """Ends the steps; requests that still wait get an `EngineError`."""
        if self._loop:
            await self._loop.close()

    def prompt(self, question: str, prefix: Steps, /) -> str:
        return self._text.prompt(question, prefix)

    def pieces(self, text: str, /) -> Sequence[str]:
        return self._text.pieces(text)

    def prompt_ids(self, question: str, prefix: Steps, /) -> tuple[int, ...]:
        """The tokens of the prompt."""
        return tuple(self._text.encode_prompt(self.prompt(question, prefix)))

    def written(self, text: str, /) -> tuple[int, ...]:
        """The tokens of a whole solution as the model would have written it, its end token included."""
        return (*self._text.encode(text), *self._text.end)

    def text_of(self, prompt: Sequence[int], ids: Sequence[int], /) -> str:
        """The text of the first generated tokens, as it follows the prompt."""
        return self._text.continuation(prompt, ids)

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        """See `openr_data.types.Engine`. Raises `ContextOverflow` for a prompt that leaves no room in context or memory."""
        from openr_data.engines.local_request import Request

        if n < 1:
            return []
        if sampling.max_tokens < 1 or self._loop is None:
            raise UsageError("max_tokens must be at least 1" if self._loop else "the engine is not open")
        prompt = self.prompt(question, prefix)
        ids = self._text.encode_prompt(prompt)
        room = self._batch.model.context - len(ids)
        if not ids or room < 1:
            raise ContextOverflow(_overflow(len(ids), self._batch.model.context))
        limit = min(sampling.max_tokens, room)
        if not self._batch.fits(len(ids) + limit):
            raise ContextOverflow(f"there is no memory for a sequence of {len(ids)} + {limit} tokens: use a shorter --max-tokens")
        stop = self._text.stop_rule((*self.template.stop, *sampling.stop), prompt)
        seeds = [sample_seed(sampling, prompt, index) for index in range(start, start + n)]
        return await self._loop.complete(Request(ids, sampling, seeds, start, limit, stop))


def _overflow(length: int, context: int) -> str:
    if not length:
        return "the prompt is empty, and a model needs at least one token to continue"
    return f"the prompt has {length} tokens and the model's context holds {context}: shorten it, or use a model with a longer one"
