"""What TRL is told: our words in its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft import LoraConfig
from trl import GRPOConfig

from openr_data.pipelines.rl.config import Grpo, RLConfig
from openr_data.pipelines.rl.scaled.config import Scale


def arguments(config: RLConfig, teaching: Grpo, scale: Scale, out: Path, world: int, *, on_cpu: bool) -> GRPOConfig:
    """`teaching` and `scale` are those of `config`. Raises `UsageError` for solutions that the devices cannot share."""
    learn = config.learn
    return GRPOConfig(
        output_dir=str(out),
        max_steps=config.updates * learn.steps,
        learning_rate=learn.rate,
        weight_decay=learn.weight_decay,
        max_grad_norm=learn.clip,
        temperature=learn.temperature or 1.0,
        max_completion_length=learn.length,
        num_iterations=learn.epochs,
        epsilon=learn.loss.clip_low,
        epsilon_high=learn.loss.clip_high,
        importance_sampling_level=learn.loss.ratio,
        loss_type=learn.loss.reduction,
        beta=learn.loss.beta,
        use_bias_correction_kl=learn.loss.corrected,
        bf16=scale.in_bf16,
        gradient_checkpointing=scale.checkpointing,
        use_cpu=on_cpu,
        seed=config.seed,
        shuffle_dataset=False,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        trust_remote_code=False,
        **_shares(teaching, learn.minibatches, scale, world),
    )


def adapter(scale: Scale) -> LoraConfig | None:
    """Low-rank weights (LoRA, arXiv 2106.09685) on every linear layer but the head."""
    if not scale.lora:
        return None
    alpha = scale.alpha or 2 * scale.lora
    return LoraConfig(r=scale.lora, lora_alpha=alpha, target_modules="all-linear", task_type="CAUSAL_LM")


def _shares(teaching: Grpo, minibatches: int, scale: Scale, world: int) -> Mapping[str, Any]:
    """How the solutions of an update are dealt out: to devices, passes and steps of the optimiser."""
    passes = scale.passes(teaching.questions, teaching.group, minibatches, world)
    return {
        "per_device_train_batch_size": scale.device_batch,
        "steps_per_generation": passes,
        "gradient_accumulation_steps": passes // minibatches,
        "num_generations": teaching.group,
    }
