"""The layers of a model as those of a Qwen2, and a linear head as that of Qwen2.5-Math-PRM: the same function in other words."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from openr_data.errors import UsageError
from openr_data.prm.config import PRMConfig
from openr_data.prm.exports.rows import Rows

_KEPT = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "initializer_range",
    "rms_norm_eps",
    "tie_word_embeddings",
    "rope_parameters",
    "attention_dropout",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
)


def qwen2_config(config: Any, prm: PRMConfig) -> Any:
    """The configuration of the Qwen2 that computes what a model of `config` does. Raises `UsageError` where there is none.

    A Llama, or a Mistral whose window is no shorter than the context, is a Qwen2 without biases of query, key and value.
    """
    from transformers import Qwen2Config

    if config.model_type == "qwen2":
        return config
    if why := _hindrance(config, prm):
        raise UsageError(f"a '{config.model_type}' model cannot be written as a Qwen2: {why}")
    return Qwen2Config(**{name: getattr(config, name) for name in _KEPT}, dtype=config.dtype)


def _hindrance(config: Any, prm: PRMConfig) -> str:
    if config.model_type not in {"llama", "mistral"}:
        return "its layers compute something else"
    if getattr(config, "attention_bias", False) or getattr(config, "mlp_bias", False):
        return "its layers have biases of their own"
    if (config.head_dim or 0) not in {0, config.hidden_size // config.num_attention_heads}:
        return "its attention heads are not of the width that its hidden size gives"
    window = getattr(config, "sliding_window", None)
    return f"it sees {window} tokens back, fewer than the context of {prm.context}" if window and window < prm.context else ""


def qwen2_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the layers, with a bias of zeros for each query, key and value that has none."""
    biases = {
        name.removesuffix("weight") + "bias": weight.new_zeros(weight.shape[0])
        for name, weight in state.items()
        if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight"))
    }
    return {**biases, **state}


def qwen_head(rows: Rows) -> dict[str, Tensor]:
    """Exact since x = relu(x) - relu(-x): four hidden units hold both signs of both classes, the others are zero.

    With rows n and p, A = [n; -n; p; -p; 0] and B = [[1, -1, 0, 0, 0], [0, 0, 1, -1, 0]]: B relu(A h + a) = [n h, p h] + bias.
    """
    hidden = rows.weight.shape[1]
    if hidden < 4:
        raise UsageError(f"a hidden size of {hidden} leaves no room for the head of Qwen's PRM")
    first, offset = rows.weight.new_zeros(hidden, hidden), rows.bias.new_zeros(hidden)
    for row in (0, 1):
        for sign in (0, 1):
            first[2 * row + sign] = (-1) ** sign * rows.weight[row]
            offset[2 * row + sign] = (-1) ** sign * rows.bias[row]
    second = rows.weight.new_zeros(2, hidden)
    second[0, 0] = second[1, 2] = 1
    second[0, 1] = second[1, 3] = -1
    return {
        "score.0.weight": first,
        "score.0.bias": offset,
        "score.2.weight": second,
        "score.2.bias": torch.zeros_like(rows.bias),
    }
