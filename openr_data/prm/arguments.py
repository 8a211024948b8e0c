"""From our training configuration to transformers' arguments."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import torch
from transformers import SchedulerType, TrainingArguments

from openr_data.errors import UsageError
from openr_data.models.devices import choose_device, choose_dtype
from openr_data.models.trackers import check_trackers
from openr_data.prm.train_config import TrainConfig

EVALUATIONS = 5
_REPORTS = 100
_SMALL = 10_000_000
_CPU_TOKENS, _CUDA_TOKENS = 2048, 16384


@dataclass(frozen=True, slots=True)
class Extent:
    """What the arguments take from data and model: the optimiser steps of an epoch, whether there are rows to evaluate on, and
    how many weights the model has, frozen ones too.
    """

    steps_per_epoch: int
    evaluates: bool
    parameters: int


def arguments(config: TrainConfig, extent: Extent, folder: Path) -> Any:
    """Making them joins the processes of a distributed run. `folder` takes the checkpoints.

    Raises `UsageError` for a tracker that is not installed, an unknown schedule, and what the device cannot do.
    """
    check_trackers(config.report_to)
    if config.schedule not in (known := [kind.value for kind in SchedulerType]):
        raise UsageError(f"there is no schedule '{config.schedule}'; choose one of: {', '.join(known)}")
    device, steps = training_device(config), step_count(config, extent.steps_per_epoch)
    found = TrainingArguments(
        output_dir=str(folder),
        use_cpu=device.type == "cpu",
        bf16=choose_dtype(config.dtype, device) == torch.bfloat16,
        max_steps=steps,
        per_device_train_batch_size=1,
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=config.accumulation,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        dataloader_pin_memory=device.type == "cuda",
        learning_rate=learning_rate(config, extent.parameters),
        lr_scheduler_type=config.schedule,
        warmup_steps=round(config.warmup * steps),
        weight_decay=config.weight_decay,
        max_grad_norm=config.clip,
        gradient_checkpointing=config.checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if config.checkpointing else None,
        logging_steps=max(1, steps // _REPORTS),
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        ddp_find_unused_parameters=False,
        report_to=list(config.report_to) or "none",
        seed=config.seed,
        **_measuring(config, steps, extent.evaluates),
    )
    found._n_gpu = min(1, found.n_gpu)  # one process drives one device; more are for torchrun or accelerate launch
    return found


def _measuring(config: TrainConfig, steps: int, evaluates: bool) -> dict[str, Any]:
    """When is measured and saved. The best checkpoint is kept beside the last."""
    every = config.evaluate_every or config.save_every or -(-steps // EVALUATIONS)
    saving = {"save_strategy": "steps", "save_steps": config.save_every or every, "save_total_limit": 1}
    if not evaluates:
        return saving
    best = {"load_best_model_at_end": True, "metric_for_best_model": "score", "greater_is_better": True}
    return saving | best | {"eval_strategy": "steps", "eval_steps": every}


def step_count(config: TrainConfig, steps_per_epoch: int) -> int:
    return config.max_steps or max(1, ceil(config.epochs * steps_per_epoch - 1e-6))


def learning_rate(config: TrainConfig, parameters: int) -> float:
    """`parameters` are the model's, frozen ones too."""
    if config.rate:
        return config.rate
    if parameters < _SMALL:
        return 1e-3
    return 1e-4 if config.lora.rank else 2e-6


def token_budget(config: TrainConfig, device: torch.device) -> int:
    """Tokens of one forward pass."""
    return config.batch_tokens or (_CUDA_TOKENS if device.type == "cuda" else _CPU_TOKENS)


def training_device(config: TrainConfig) -> torch.device:
    """Raises `UsageError` for one that cannot be trained on, or cannot be chosen by number."""
    device = choose_device(config.device)
    if device.type not in {"cpu", "cuda"}:
        raise UsageError(f"training runs on cpu or cuda, not on {device}")
    if device.index:
        raise UsageError(f"choose a device for training with CUDA_VISIBLE_DEVICES={device.index} and --device cuda")
    if choose_dtype(config.dtype, device) not in {torch.float32, torch.bfloat16}:
        raise UsageError(f"training computes in float32 or bfloat16, not in {config.dtype}")
    return device
