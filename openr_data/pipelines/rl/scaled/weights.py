"""All weights of a policy that is being trained, wherever they lie: sharded over devices, or as an adapter beside the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from accelerate import DistributedType, PartialState
from accelerate.utils import broadcast, broadcast_object_list
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor

_ADAPTER, _BASE = "base_model.model.", ".base_layer"


def full_weights(trainer: Any) -> dict[str, Tensor]:
    """By the names of the model without its adapter. The adapter is added to a copy: what is trained does not change."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if not isinstance(model, PeftModel):
        found = trainer.accelerator.get_state_dict(trainer.model)
        return from_first(found, trainer.accelerator.device) if sharded(trainer.accelerator) else dict(found)
    return merged(model)


def plain_model(trainer: Any) -> Any:
    """The model without its adapter's wrapping: for its configuration, and not for its weights."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    return model.get_base_model() if isinstance(model, PeftModel) else model


def sharded(accelerator: Any) -> bool:
    """Whether the weights lie in parts: then accelerate gathers them for the first process alone."""
    return accelerator.distributed_type in {DistributedType.FSDP, DistributedType.DEEPSPEED}


def from_first(found: Mapping[str, Tensor] | None, device: torch.device) -> dict[str, Tensor]:
    """What the first process has, in every process; the others may have anything. Each has to call it."""
    kinds = {name: (weight.shape, weight.dtype) for name, weight in (found or {}).items()}
    (kinds,) = broadcast_object_list([kinds])
    own = found if found and PartialState().is_main_process else {}
    whole: dict[str, Tensor] = {}
    for name, (shape, dtype) in kinds.items():
        room = own[name].to(device) if name in own else torch.empty(shape, dtype=dtype, device=device)
        whole[name] = cast(Tensor, broadcast(room))
    return whole


@torch.no_grad()
def merged(model: PeftModel) -> dict[str, Tensor]:
    """The weights of the model below with those of the active adapter added to them."""
    found = {
        name.removeprefix(_ADAPTER).replace(_BASE, ""): weight
        for name, weight in model.state_dict().items()
        if not _of_adapter(name, model)
    }
    for name, layer in model.named_modules():
        if isinstance(layer, BaseTunerLayer):
            place = f"{name.removeprefix(_ADAPTER)}.weight"
            found[place] = _with_deltas(layer, found[place])
    return found


def _with_deltas(layer: Any, weight: Tensor) -> Tensor:
    total = weight.float()
    for adapter in layer.active_adapters:
        total = total + layer.get_delta_weight(adapter).float()
    return total.to(weight.dtype)


def _of_adapter(name: str, model: PeftModel) -> bool:
    return any(f".{adapter}." in name or name.endswith(f".{adapter}") for adapter in model.peft_config)
