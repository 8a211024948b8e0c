"""Step scores with transformers, in this process: one forward pass for all steps of a solution, many solutions a pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from openr_data.models.files import model_folder
from openr_data.prm.encode import Encoded
from openr_data.prm.heads import margins
from openr_data.prm.load import PRM, load_prm
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.batching import batches
from openr_data.prm.score.identity import identity_of
from openr_data.prm.score.scorer import ModelScorer, quiet

_CPU_TOKENS, _CUDA_TOKENS = 2048, 32768


def open_transformers(spec: ScorerSpec) -> ModelScorer:
    prm = load_prm(model_folder(spec.model, spec.revision), device=spec.device, dtype=spec.dtype, style=spec.style)
    identity = identity_of(prm.folder, prm.config, str(prm.model.dtype))
    return ModelScorer(prm.encoder, TransformersBackend(prm, spec.batch_tokens), identity)


class TransformersBackend:
    """`budget` is the tokens of one forward pass, padding included; 0 chooses by the device."""

    def __init__(self, prm: PRM, budget: int = 0) -> None:
        self._model = prm.model
        self._budget = budget or (_CPU_TOKENS if prm.model.device.type == "cpu" else _CUDA_TOKENS)

    @torch.inference_mode()
    def margins(self, batch: Sequence[Encoded], /, on_done: Callable[[int], None] = quiet) -> list[tuple[float, ...]]:
        found: list[tuple[float, ...]] = [()] * len(batch)
        for chosen in batches([len(each.ids) for each in batch], self._budget):
            for index, row in zip(chosen, self._padded([batch[index] for index in chosen]), strict=True):
                found[index] = row
            on_done(len(chosen))
        return found

    def _padded(self, rows: Sequence[Encoded]) -> list[tuple[float, ...]]:
        longest = max(len(row.ids) for row in rows)
        ids = torch.tensor([[*row.ids, *[0] * (longest - len(row.ids))] for row in rows], device=self._model.device)
        mask = torch.tensor([[1] * len(row.ids) + [0] * (longest - len(row.ids)) for row in rows], device=self._model.device)
        found = margins(self._model(input_ids=ids, attention_mask=mask, use_cache=False).logits)
        return [tuple(found[number, list(row.reads)].tolist()) for number, row in enumerate(rows)]
