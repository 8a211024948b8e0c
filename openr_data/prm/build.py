"""The model of a prepared configuration, ready to be trained: the base's weights, a row for a new tag and a new head."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from openr_data.errors import UsageError
from openr_data.prm.likelihood import begin_likelihood
from openr_data.prm.prepare import Prepared
from openr_data.prm.weights import first_line, open_weights, refuse_absent

SPREAD = 1e-3
"""The deviation of a new head's weights: its first scores are all near one half, whatever the family's own spread."""


def build(prepared: Prepared, *, dtype: torch.dtype, attention: str = "sdpa") -> Any:
    """The model on the CPU, in training mode, with the head as transformers makes it: `heads.judging` is the trainer's to apply.

    Deterministic but for a new head, which is drawn from torch's generator. A new tag gets the mean embedding. Raises
    `UsageError` for weights that are missing (those of a new head apart) and for embeddings that cannot grow.
    """
    model, absent = open_weights(prepared.folder, prepared.config, dtype, attention)
    refuse_absent(prepared.folder, [name for name in absent if not (prepared.new_head and name.startswith("score."))])
    if absent:
        (begin_likelihood if prepared.config.head == "likelihood" else _begin_small)(model.score)
    if prepared.new_tag:
        _give_row(model, prepared)
    if hasattr(model, "dropout"):
        model.dropout.p = model.config.classifier_dropout = 0.0
    return model.train()


@torch.no_grad()
def _begin_small(head: nn.Module) -> None:
    """Scores near one half at first, whatever the family's own spread."""
    layers = [each for each in head.modules() if isinstance(each, nn.Linear)]
    for layer in layers:
        nn.init.normal_(layer.weight, std=SPREAD if layer is layers[-1] else layer.in_features**-0.5)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _give_row(model: Any, prepared: Prepared) -> None:
    """Room for the tag in the embeddings, and the mean of the others in its row, where a random one would be noise."""
    tag = prepared.config.tag_id
    embeddings = model.get_input_embeddings()
    if tag >= embeddings.weight.shape[0]:
        try:
            model.resize_token_embeddings(tag + 1, mean_resizing=False)
        except (NotImplementedError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise UsageError(
                f"the embeddings of '{prepared.folder}' cannot grow by the tag '{prepared.config.tag}' ({first_line(error)}); "
                "name a control token that the model has, with --tag"
            ) from error
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        if layer is not None:
            _mean_into(layer, tag)


@torch.no_grad()
def _mean_into(layer: Any, row: int) -> None:
    """Of the rows before it, in fp32; rows behind it are padding."""
    layer.weight[row] = layer.weight[:row].float().mean(0).to(layer.weight.dtype)
