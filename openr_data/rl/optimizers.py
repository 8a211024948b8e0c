"""Who moves the weights: AdamW, or Muon for the matrices and AdamW for the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

OPTIMIZERS = ("adamw", "muon")
_REST = 0.3
"""AdamW's rate beside Muon's."""


class Together:
    """Several optimisers as one. `group["part"]` is the share of the learning rate that a group of weights has."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self._parts = tuple(parts)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for part in self._parts for group in part.param_groups]

    def zero_grad(self) -> None:
        for part in self._parts:
            part.zero_grad()

    def step(self) -> None:
        for part in self._parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for part, stored in zip(self._parts, state["parts"], strict=True):
            part.load_state_dict(stored)


def optimizer_of(model: nn.Module, name: str, rate: float, weight_decay: float) -> Together:
    """Over what is trained. `muon` (Jordan 2024) takes the matrices inside the layers, whose update it makes orthogonal; AdamW
    takes embeddings, heads and norms, at three tenths of the rate.
    """
    trained = {name: each for name, each in model.named_parameters() if each.requires_grad}
    inside = _inside(model) if name == "muon" else set()
    matrices = [each for name, each in trained.items() if each.ndim == 2 and name in inside]
    taken = set(map(id, matrices))
    rest = [each for each in trained.values() if id(each) not in taken]
    parts: list[torch.optim.Optimizer] = []
    if rest:
        groups = [{"params": rest, "part": _REST if matrices else 1.0}]
        parts.append(torch.optim.AdamW(groups, lr=rate, weight_decay=weight_decay))
    if matrices:
        parts.append(torch.optim.Muon([{"params": matrices, "part": 1.0}], lr=rate, weight_decay=weight_decay))
    return Together(parts)


def _inside(model: nn.Module) -> set[str]:
    """Names of what belongs to neither embeddings nor the head."""
    ends = [getattr(model, name, None) for name in ("get_input_embeddings", "get_output_embeddings")]
    outside = {id(each) for end in ends if end is not None and (module := end()) is not None for each in module.parameters()}
    return {name for name, each in model.named_parameters() if id(each) not in outside}
