"""Heads in float64, for scores that do not depend on their company.

The hidden states of an fp32 model differ by 1e-7 or so between batches of different shapes. The logits of + and - may be near 20,
where fp32 knows no numbers closer than 2e-6: rounding them would make of it a difference that can be seen in a probability.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from openr_data.prm.heads import Fp32Linear, JudgementHead


class ExactLinear(Fp32Linear):
    """The linear map in float64."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (the name in torch)
        return linear(input.double(), self.weight.double(), _double(self.bias))


class ExactJudgementHead(JudgementHead):
    """The judgements' two rows in float64."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (the name in torch)
        rows, bias = list(self.rows), _double(self.bias)
        return linear(input.double(), self.weight[rows].double(), None if bias is None else bias[rows])


_EXACT = {Fp32Linear: ExactLinear, JudgementHead: ExactJudgementHead}


def exact(model: Any) -> Any:
    """An fp32 model with its judging heads in float64 (`heads.plain` undoes it too). Of another format, unchanged."""
    if model.dtype == torch.float32 and model.device.type in {"cpu", "cuda"}:  # others have no float64
        for module in model.modules():
            module.__class__ = _EXACT.get(type(module), type(module))
    return model


def _double(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.double()
