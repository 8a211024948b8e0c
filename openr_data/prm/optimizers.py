"""What changes the weights: AdamW, or Muon for the matrices of the layers beside AdamW for everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer


class MuonAdamW(Optimizer):
    """Two optimisers that are scheduled, saved and resumed as one. Group 0 is AdamW's, group 1 Muon's.

    Muon (Jordan 2024) is for matrices between hidden states; embeddings, heads, norms and biases are AdamW's.
    """

    def __init__(self, model: nn.Module, *, rate: float, muon_rate: float, weight_decay: float) -> None:
        """Of the parameters that are trained. Raises `ValueError` where none is a matrix of a layer, or all are."""
        trained = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
        matrices = [each for name, each in trained if _is_matrix(name, each)]
        others = [each for name, each in trained if not _is_matrix(name, each)]
        self._parts: tuple[Optimizer, Optimizer] = (
            AdamW(others, lr=rate, weight_decay=weight_decay),
            Muon(matrices, lr=muon_rate, momentum=0.95, weight_decay=weight_decay),
        )
        super().__init__([part.param_groups[0] for part in self._parts], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Each part works on its own group, as it stands after a schedule or a resumption."""
        if closure is not None:
            raise ValueError("a closure is not evaluated here")
        for part, group in zip(self._parts, self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state
            part.step()


def _is_matrix(name: str, parameter: Any) -> bool:
    return parameter.ndim == 2 and ".layers." in name
