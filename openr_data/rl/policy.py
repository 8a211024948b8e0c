"""What a model of transformers says of tokens: their log-probabilities, at the temperature they were sampled with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from openr_data.rl.batches import Batch, Sample, batches


def token_logprobs(model: Any, batch: Batch, temperature: float = 1.0) -> Tensor:
    """[samples, tokens]: ln p of each target, in fp32; anything where the mask is 0. Temperature 0 is read as 1."""
    width = batch.targets.shape[1]
    logits = model(
        input_ids=batch.ids,
        attention_mask=batch.attention,
        position_ids=batch.positions,
        use_cache=False,
        logits_to_keep=width + 1,
    ).logits[:, :-1]
    scaled = logits.float() / (temperature or 1.0)
    return torch.log_softmax(scaled, -1).gather(-1, batch.targets[..., None])[..., 0]


@torch.no_grad()
def all_logprobs(model: Any, samples: Sequence[Sample], budget: int, temperature: float) -> list[Tensor]:
    """One tensor [tokens] on the CPU for each sample, in their order."""
    found: list[Tensor] = [torch.empty(0)] * len(samples)
    device = next(model.parameters()).device
    with without_dropout(model):
        for batch in batches(samples, budget, device):
            for row, line in zip(batch.rows, token_logprobs(model, batch, temperature).cpu(), strict=True):
                found[row] = line[: len(samples[row].tokens)].clone()
    return found


@contextmanager
def without_dropout(model: Any) -> Iterator[None]:
    """As the policy is when it samples; afterwards as it was."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
