"""The GPU of this process, before anything is loaded to it."""

from __future__ import annotations

import torch

from openr_data.errors import UsageError
from openr_data.models.devices import choose_device
from openr_data.models.processes import local_rank


def take_device(asked: str, processes: int) -> None:
    """Each process of a launcher has the GPU of its number on its machine; alone, a run has one that is the only one.

    Raises `UsageError`.
    """
    device = choose_device(asked)
    if device.type != "cuda":
        return
    if ":" in asked:
        raise UsageError(f"--trainer trl does not take --device {asked}: choose GPUs with CUDA_VISIBLE_DEVICES")
    if processes == 1 and torch.cuda.device_count() > 1:
        raise UsageError(
            f"--trainer trl wants a process for each of the {torch.cuda.device_count()} GPUs: begin with `accelerate launch`, "
            "or show one alone with CUDA_VISIBLE_DEVICES=0"
        )
    torch.cuda.set_device(local_rank())
