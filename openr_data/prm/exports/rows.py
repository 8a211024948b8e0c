"""A head as two rows over the last hidden state: the bad class first, the good one second, and the margin is their difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from openr_data.errors import UsageError
from openr_data.prm.config import PRMConfig


@dataclass(frozen=True, slots=True)
class Rows:
    """`weight` is [2, hidden] and `bias` is [2], in the head's number format."""

    weight: Tensor
    bias: Tensor


def rows_of(model: Any, config: PRMConfig) -> Rows:
    """Exact for every linear head; one logit d is the classes 0 and d. Raises `UsageError` for a head that is not linear."""
    if config.head == "causal":
        _refuse_cap(model)
        return _picked(model.get_output_embeddings(), [config.negative_id, config.positive_id])
    if config.head == "token_classification":
        return _picked(model.score, [0, 1])
    if config.head in {"value", "value_head"}:
        layer = model.score if config.head == "value" else model.v_head.summary
        found = _picked(layer, [0])
        return Rows(_below_zero(found.weight), _below_zero(found.bias))
    if config.head == "likelihood":
        raise UsageError("the likelihood of steps is no head over the last hidden state, so no other layout holds it")
    raise UsageError("the head of this model is not linear (process_reward), so it is exported to qwen-prm alone")


def _picked(layer: Any, rows: list[int]) -> Rows:
    weight = layer.weight.detach()[rows].clone()
    bias = weight.new_zeros(len(rows)) if layer.bias is None else layer.bias.detach()[rows].clone()
    return Rows(weight, bias)


def _below_zero(row: Tensor) -> Tensor:
    """The row of the good class under one of zeros for the bad class."""
    return torch.cat([torch.zeros_like(row), row])


def _refuse_cap(model: Any) -> None:
    if getattr(model.config.get_text_config(), "final_logit_softcapping", None) is not None:
        family = model.config.model_type
        raise UsageError(f"a '{family}' model caps its logits, which no linear head does; it is exported to causal alone")
