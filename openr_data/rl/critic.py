"""The value head: how much reward is still to come, read from the policy's own hidden states.

It learns beside the policy and not through it: the states come without gradient, so that a critic that is still wrong changes
nothing that the policy knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from openr_data.errors import EngineError
from openr_data.rl.batches import Sample, batches
from openr_data.rl.policy import without_dropout


class Critic(nn.Module):
    """Two layers over states of `width` numbers; new, it says 0 everywhere."""

    def __init__(self, width: int, rate: float = 1e-3) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        last = self.layers[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.optimizer = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=0.0)

    def forward(self, states: Tensor) -> Tensor:
        """[n, width] -> [n]."""
        found: Tensor = self.layers(states)[..., 0]
        return found

    def fit(self, states: Tensor, targets: Tensor, *, epochs: int, batch: int, seed: int) -> float:
        """Passes over all states in batches; the mean squared error before them. `EngineError` for what is no number."""
        with torch.no_grad():
            before = float(((self(states) - targets) ** 2).mean())
        draw = torch.Generator().manual_seed(seed)
        for _ in range(epochs):
            order = torch.randperm(len(states), generator=draw).to(states.device)
            for here in (order[start : start + batch] for start in range(0, len(order), batch)):
                self.optimizer.zero_grad()
                loss = ((self(states[here]) - targets[here]) ** 2).mean()
                loss.backward()
                norm = nn.utils.clip_grad_norm_(self.parameters(), 1.0)
                if not (isfinite(float(loss.detach())) and isfinite(float(norm))):
                    raise EngineError("the value head's loss is no number any more: try a lower --critic-rate")
                self.optimizer.step()
        return before


@torch.no_grad()
def token_states(model: Any, samples: Sequence[Sample], budget: int) -> list[Tensor]:
    """[tokens, width] in fp32 for each sample: the state from which each token was written."""
    found: list[Tensor] = [torch.empty(0)] * len(samples)
    for batch in batches(samples, budget, next(model.parameters()).device):
        width = batch.targets.shape[1]
        with without_dropout(model):
            states = model(
                input_ids=batch.ids,
                attention_mask=batch.attention,
                position_ids=batch.positions,
                use_cache=False,
                logits_to_keep=1,
                output_hidden_states=True,
            ).hidden_states[-1][:, -width - 1 : -1]
        for row, line in zip(batch.rows, states.float(), strict=True):
            found[row] = line[: len(samples[row].tokens)]
    return found
