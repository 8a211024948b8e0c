"""Heads in fp32 over whatever the model computes in: two rows of the vocabulary, or the few classes of a small head.

A softmax over bf16 logits leaves some twenty distinct scores, most of them 1.0 (ties in every vote), so the head's own product is
taken in fp32, and only the rows that are asked for are computed. The parameters stay the model's: they are trained, tied,
sharded, saved and adapted as before.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from openr_data.prm.config import PRMConfig


class Fp32Linear(nn.Linear):
    """The linear map in fp32, also under autocast and in a bf16 model."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (the name in torch)
        with torch.autocast(input.device.type, enabled=False):
            return linear(input.float(), self.weight.float(), _float(self.bias))


class JudgementHead(Fp32Linear):
    """A language model's head that computes two tokens: [..., hidden] -> [..., 2], the bad one first and the good one second."""

    rows: tuple[int, int]

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (the name in torch)
        with torch.autocast(input.device.type, enabled=False):
            rows, bias = list(self.rows), _float(self.bias)
            return linear(input.float(), self.weight[rows].float(), None if bias is None else bias[rows])


def judging(model: Any, config: PRMConfig) -> Any:
    """The same model with its head in fp32; of a causal one, only the rows of the judgements. What it saves is unchanged."""
    if config.head == "causal":
        head = model.get_output_embeddings()
        head.__class__ = JudgementHead
        head.rows = (config.negative_id, config.positive_id)
        return model
    for module in model.modules():
        if type(module) is nn.Linear and _belongs_to_head(model, module):
            module.__class__ = Fp32Linear
    return model


def plain(model: Any) -> Any:
    """Undoes `judging`: the model as transformers made it, for generation, saving or export."""
    for module in model.modules():
        if isinstance(module, Fp32Linear):
            module.__class__ = nn.Linear  # type: ignore[assignment]  # the class is what changes
    return model


def _float(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.float()


def _belongs_to_head(model: Any, module: nn.Linear) -> bool:
    return any(module is each for name in ("score", "v_head") if hasattr(model, name) for each in getattr(model, name).modules())


def margins(logits: Tensor) -> Tensor:
    """[..., 2] or [..., 1] -> [...]: the logit difference log p(+) - log p(-), in fp32; of float64, rounded last."""
    found = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return (found[..., 1] - found[..., 0] if found.shape[-1] == 2 else found[..., 0]).float()
