"""New layers on top of a model that change nothing yet: LLaMA Pro (arXiv 2401.02415, Sec. 3.1), all at the top.

A judge has to compare what was written with what the model itself would have written, and a policy knows the latter in its last
layer only: what compares needs a layer behind it. A large model has layers to spare, a small one has not.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn

from openr_data.errors import UsageError

_OUTPUTS = ("self_attn.o_proj", "mlp.down_proj")
"""By whose weights a layer adds to the residual stream."""


@torch.no_grad()
def grow(model: Any, count: int) -> None:
    """Adds `count` copies of the last layer, which pass through what they are given until they are trained.

    Raises `UsageError` for a model whose layers are not built as those of Llama, Qwen, Mistral and Gemma are.
    """
    layers, config = getattr(model.base_model, "layers", None), model.config.get_text_config()
    if not isinstance(layers, nn.ModuleList) or not all(_output(layers[-1], name) for name in _OUTPUTS):
        raise UsageError(f"no layers can be added to a model of the type '{config.model_type}'")
    for _ in range(count):
        new: Any = deepcopy(layers[-1])
        new.self_attn.layer_idx = len(layers)
        for parameter in (each for name in _OUTPUTS for each in _output(new, name).parameters()):
            parameter.zero_()
        layers.append(new)
    config.num_hidden_layers = len(layers)
    if kinds := getattr(config, "layer_types", None):
        config.layer_types = [*kinds, *([kinds[-1]] * count)]


def _output(layer: nn.Module, name: str) -> Any:
    part: Any = layer
    for piece in name.split("."):
        part = getattr(part, piece, None)
    return part
