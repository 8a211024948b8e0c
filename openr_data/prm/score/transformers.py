"""Step scores with transformers, in this process: one forward pass for all steps of a solution, many solutions a pass.

Rows are filled up on the right and need no mask for it: attention is causal, so that no token sees what stands behind it. The
question of many candidates is computed once, its keys and values repeated. Where flash attention is installed for the device,
sequences stand one behind the other in a single row instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from inspect import signature
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.utils import is_flash_attn_2_available

from openr_data.errors import EngineError
from openr_data.models.devices import choose_device, choose_dtype
from openr_data.models.files import model_folder
from openr_data.prm import builtin
from openr_data.prm.encode import Encoded
from openr_data.prm.heads import margins
from openr_data.prm.load import PRM, load_prm
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.batching import by_length, fill
from openr_data.prm.score.exact import exact
from openr_data.prm.score.identity import identity_of
from openr_data.prm.score.meter import Meter, Size, peak_of
from openr_data.prm.score.prefixes import Sharing, plan
from openr_data.prm.score.scorer import ModelScorer, quiet

_CPU_TOKENS, _CUDA_TOKENS = 2048, 32768
_LEAST_CUDA_TOKENS = 8192
"""Of a forward pass that keeps a GPU busy."""

Margins = list[tuple[float, ...]]


def open_transformers(spec: ScorerSpec) -> ModelScorer:
    """Raises what `load_prm` and `model_folder` do."""
    device = choose_device(spec.device)
    flash = _flash(device, choose_dtype(spec.dtype, device))
    folder = model_folder(spec.model, spec.revision)
    attention = "flash_attention_2" if flash else "sdpa"
    prm = load_prm(folder, device=spec.device, dtype=spec.dtype, attention=attention, style=spec.style)
    backend = TransformersBackend(prm, budget=spec.batch_tokens, packed=flash)
    identity = identity_of(prm.folder, prm.config, str(prm.model.dtype).removeprefix("torch."))
    return ModelScorer(prm.encoder, backend, identity, backend.meter)


def open_builtin(spec: ScorerSpec) -> ModelScorer:
    """The built-in model. Raises `UsageError` for another backend, a style or a revision, and what `load_builtin` does."""
    builtin.refuse_other(spec)
    prm = builtin.load_builtin(device=spec.device, dtype=spec.dtype)
    backend = TransformersBackend(prm, budget=spec.batch_tokens)
    return ModelScorer(prm.encoder, backend, builtin.builtin_identity(prm), backend.meter)


def _flash(device: torch.device, number_format: torch.dtype) -> bool:
    half = number_format in {torch.bfloat16, torch.float16}
    return device.type == "cuda" and half and bool(is_flash_attn_2_available())


class TransformersBackend:
    """`budget` is the tokens of one forward pass, padding included; 0 chooses by the device. It is halved for good where the
    memory is not enough. `packed` puts sequences into one row, `shared` computes questions once.
    """

    def __init__(self, prm: PRM, *, budget: int = 0, packed: bool = False, shared: bool = True) -> None:
        self._model = exact(prm.model)
        self._device: torch.device = prm.model.device
        self._asked = budget
        self._budget = budget or (_CPU_TOKENS if self._device.type == "cpu" else _CUDA_TOKENS)
        self._least = 0 if self._device.type == "cpu" else _LEAST_CUDA_TOKENS
        self._prm, self._packed = prm, packed
        self._keys = _keeps_all_keys(prm.model, prm.config.context)
        # A likelihood reads the tag before a step again, which `_continue` does not.
        self._shared = shared and self._keys and prm.config.head != "likelihood"
        self._keeps = "logits_to_keep" in signature(prm.model.forward).parameters
        self._size = Size.of(prm.model)
        self.meter = Meter(peak=peak_of(torch.cuda.get_device_name(self._device)) if self._device.type == "cuda" else None)

    def growing(self) -> TransformersBackend:
        """The same model for a search, which asks for prefixes that grow; itself where what was read cannot be kept."""
        from openr_data.prm.score.growing import GrowingBackend

        if self._packed or not self._keys or self._prm.config.template.turns:
            return self
        return GrowingBackend(self._prm, budget=self._asked)

    @torch.inference_mode()
    def margins(self, batch: Sequence[Encoded], /, on_done: Callable[[int], None] = quiet) -> Margins:
        found: Margins = [()] * len(batch)
        sharings, rest = plan(batch, self._budget, self._least) if self._shared else ([], list(range(len(batch))))
        for sharing in sharings:
            rest += self._share(batch, sharing, found, on_done)
        whole = self._pack if self._packed else self._pad
        self._batches(
            rest, [len(batch[row].ids) for row in rest], lambda rows: whole([batch[row] for row in rows]), found, on_done
        )
        return found

    def _batches(
        self,
        rows: Sequence[int],
        lengths: Sequence[int],
        run: Callable[[list[int]], Margins],
        found: Margins,
        on_done: Callable[[int], None],
    ) -> None:
        """Run all rows in batches of like length, and put what comes out in its place."""
        order, start = by_length(lengths), 0
        while start < len(order):
            stop = fill(lengths, order, start, self._budget)
            chosen = [rows[place] for place in order[start:stop]]
            scores = self._fitting(run, chosen, lengths[order[start]])
            if scores is None:
                continue
            for row, score in zip(chosen, scores, strict=True):
                found[row] = score
            on_done(len(chosen))
            start = stop

    def _fitting(self, run: Callable[[list[int]], Margins], rows: list[int], longest: int) -> Margins | None:
        """`None` where the memory is not enough: batches are smaller from now on. Raises `EngineError` where they cannot be."""
        try:
            return run(rows)
        except torch.OutOfMemoryError as fault:
            if len(rows) == 1:
                raise EngineError(
                    f"one solution of {longest} tokens does not fit the memory of {self._device} beside the model: use --dtype "
                    "bfloat16, another device or a smaller model, or free its memory"
                ) from fault
        self._budget = max(longest, len(rows) * longest // 2)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()  # behind the handler, which holds what was computed so far
        return None

    def _pad(self, rows: Sequence[Encoded]) -> Margins:
        found = self._forward(self._matrix([row.ids for row in rows]), [row.reads for row in rows])
        self._count((0, len(row.ids)) for row in rows)
        return found

    def _pack(self, rows: Sequence[Encoded]) -> Margins:
        """One behind the other; positions begin anew, by which transformers tells the sequences apart."""
        starts = [0, *accumulate(len(row.ids) for row in rows)]
        reads = [start + read for start, row in zip(starts, rows, strict=False) for read in row.reads]
        positions = torch.cat([torch.arange(len(row.ids)) for row in rows])[None].to(self._device)
        ids = self._matrix([[token for row in rows for token in row.ids]])
        (found,) = self._forward(ids, [reads], position_ids=positions)
        self._count((0, len(row.ids)) for row in rows)
        return _split(found, [len(row.reads) for row in rows])

    def _share(
        self, batch: Sequence[Encoded], sharing: Sharing, found: Margins, on_done: Callable[[int], None]
    ) -> tuple[int, ...]:
        """Score what follows the questions. Returns the rows that could not be, as the memory does not hold the questions."""
        try:
            prompts = self._prompts(sharing)
        except torch.OutOfMemoryError:
            return sharing.rows
        question = dict(zip(sharing.rows, sharing.questions, strict=True))

        def run(rows: list[int]) -> Margins:
            return self._continue(prompts, [question[row] for row in rows], [batch[row] for row in rows], sharing.length)

        self._batches(sharing.rows, [len(batch[row].ids) - sharing.length for row in sharing.rows], run, found, on_done)
        return ()

    def _prompts(self, sharing: Sharing) -> Any:
        """The keys and values of the questions, one row each."""
        cache = DynamicCache()
        self._forward(self._matrix(sharing.prompts), [[0]], past_key_values=cache)
        self._count((0, sharing.length) for _ in sharing.prompts)
        return cache

    def _continue(self, prompts: Any, questions: list[int], rows: Sequence[Encoded], length: int) -> Margins:
        """The tokens from `length` on, each row behind the keys of its question."""
        at, cache = torch.tensor(questions, device=self._device), DynamicCache()
        for number, layer in enumerate(prompts.layers):
            cache.update(layer.keys[at], layer.values[at], number)
        reads = [[read - length for read in row.reads] for row in rows]
        found = self._forward(self._matrix([row.ids[length:] for row in rows]), reads, past_key_values=cache)
        self._count((length, len(row.ids)) for row in rows)
        return found

    def _forward(self, ids: Tensor, reads: Sequence[Sequence[int]], **more: Any) -> Margins:
        """Logit differences at the columns `reads[row]` of each row."""
        rows = torch.tensor([row for row, columns in enumerate(reads) for _ in columns])
        columns = torch.tensor([column for each in reads for column in each])
        if self._keeps:
            kept, columns = torch.unique(columns, return_inverse=True)
            more["logits_to_keep"] = kept.to(self._device)
        logits = self._model(input_ids=ids, use_cache="past_key_values" in more, **more).logits
        read = margins(logits[rows.to(self._device), columns.to(self._device)])
        return _split(read.tolist(), [len(each) for each in reads])

    def _matrix(self, rows: Sequence[Sequence[int]]) -> Tensor:
        longest = max(map(len, rows))
        return torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=self._device)

    def _count(self, spans: Iterable[tuple[int, int]]) -> None:
        self.meter.flops += sum(self._size.flops(start, stop) for start, stop in spans)


def _split(values: Sequence[float], counts: Sequence[int]) -> Margins:
    rest = iter(values)
    return [tuple(next(rest) for _ in range(count)) for count in counts]


def _keeps_all_keys(model: Any, context: int) -> bool:
    """Whether every layer looks at every earlier token, so that the keys of a question are all that is needed of it."""
    settings = model.config.get_text_config(decoder=True)
    window = getattr(settings, "sliding_window", None) or context
    kinds = set(getattr(settings, "layer_types", None) or ["full_attention"])
    takes = "past_key_values" in signature(model.forward).parameters
    return takes and kinds == {"full_attention"} and window >= context
