"""Causal attention as two batched matrix products: on a CPU in bfloat16 half the time of the fused kernel, backward included.

For training only, where padding stands at the right and causality alone masks it. Registered with transformers under `NAME`.
"""

from __future__ import annotations

from functools import cache

import torch

NAME = "openr_data_causal"


def causal_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """`query`, `key`, `value`: (batch, heads, length, width) -> (batch, length, heads, width). Knows no dropout and no cache."""
    batch, heads, length, width = query.shape
    q, k, v = (x.reshape(batch * heads, length, width) for x in (query, key, value))
    mask = _mask(length, q.dtype, q.device)
    weights = torch.softmax(torch.baddbmm(mask, q, k.transpose(1, 2), alpha=scaling), -1)
    return torch.bmm(weights, v).view(batch, heads, length, width).transpose(1, 2).contiguous(), None


@cache
def _mask(length: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.full((length, length), -1e9, dtype=dtype, device=device).triu(1)


def register() -> None:
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, causal_attention)
