"""Trains a process reward model: from a model and rows to a finished folder.

One process trains on one device. `torchrun --nproc-per-node 8 ...` and `accelerate launch ...` in front of the same command start
more: transformers' Trainer reads what they set, and each process takes its share of every batch. `accelerate launch --config_file
FILE` chooses FSDP or DeepSpeed (ZeRO) the same way. Low-rank adapters are merged in one process, so they go with plain data
parallelism only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PrinterCallback, TrainerState
from transformers.utils import is_flash_attn_2_available

from openr_data.errors import InputError, UsageError
from openr_data.prm import checkpoints
from openr_data.prm.adapters import adapted, merged
from openr_data.prm.arguments import Extent, arguments, token_budget
from openr_data.prm.collate import Collator
from openr_data.prm.config import PRMConfig
from openr_data.prm.heads import judging, plain
from openr_data.prm.loss import StepLoss
from openr_data.prm.memory import memory_advice
from openr_data.prm.plan import EvaluationPlan, TrainingPlan, lengths, positive_balance
from openr_data.prm.progress import Patience, Progress, Reporter
from openr_data.prm.tokenizer_files import save_tokenizer
from openr_data.prm.train_config import TrainConfig
from openr_data.prm.trainer import PRMTrainer
from openr_data.prm.weights import quiet

_FLASH = "flash_attention_2"
_VERSIONS = ("openr-data", "torch", "transformers", "accelerate", "peft", "tokenizers", "datasets")
_HOW = ("device", "report_to", "batch_tokens", "checkpointing")


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The finished folder. `loss` is the mean of the last report, `best_step` the step of the weights that were kept, `auroc` and
    `ece` theirs on the evaluation rows (`None` without such rows, or where they are of one class). `history` is what was logged.
    """

    folder: Path
    steps: int
    best_step: int
    loss: float
    auroc: float | None
    ece: float | None
    tokens: int
    seconds: float
    history: tuple[Mapping[str, Any], ...]


def train(
    model: Any,
    tokenizer: Any,
    config: PRMConfig,
    train_config: TrainConfig,
    train_rows: Any,
    eval_rows: Any | None,
    out: Path,
    *,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> TrainResult:
    """`model` is one of `prm.build`, `train_rows` and `eval_rows` are data sets of `prm.rows`. Changes the model.

    Writes the model, tokenizer, `prm_config.json` and `training.json` (settings, versions, history) into `out` when it is done,
    and `out/adapter` with LoRA; until then only `out/.checkpoints` is written, from which `resume` goes on exactly; a finished
    training is told again. Raises `UsageError` and `RunDirError` (see `checkpoints.begin`), `InputError` without a row, and
    `EngineError` for a loss or gradient that is no number and for memory that is too small.
    """
    if not len(train_rows):
        raise InputError("there is no row to train on")
    steps = -(-len(train_rows) // train_config.batch)
    extent = Extent(steps, bool(eval_rows), sum(each.numel() for each in model.parameters()))
    args = arguments(train_config, extent, out / checkpoints.WORK)
    settings = _settings(config, train_config, train_rows, eval_rows)
    with args.main_process_first(local=False):
        checkpoint = checkpoints.begin(out, settings, resume=resume or args.process_index > 0)
    if (done := checkpoints.finished(out)) is not None:
        return _told(out, done)
    with quiet(), memory_advice(train_config, token_budget(train_config, args.device)):
        reporter = Reporter(on_progress)
        trainer = _trainer(model, config, train_config, args, train_rows, eval_rows, reporter)
        _go(trainer, reporter, checkpoint)
        versions = {name: version(name) for name in _VERSIONS}
        record = {"settings": settings, "versions": versions, **_measured(trainer), "seconds": reporter.seconds}
        _finish(trainer, tokenizer, config, out, record)
    return _told(out, record)


def _settings(config: PRMConfig, train_config: TrainConfig, train_rows: Any, eval_rows: Any | None) -> dict[str, Any]:
    """What the weights depend on, as JSON; how they are computed is left out."""
    trained = {name: value for name, value in asdict(train_config).items() if name not in _HOW}
    rows = {"rows": _extent(train_rows), "evaluation_rows": _extent(eval_rows) if eval_rows else None}
    return dict(json.loads(json.dumps({"prm": asdict(config), **trained, **rows})))


def _extent(rows: Any) -> dict[str, int]:
    return {"count": len(rows), "tokens": int(lengths(rows).sum())}


def _trainer(
    model: Any,
    config: PRMConfig,
    train_config: TrainConfig,
    args: Any,
    train_rows: Any,
    eval_rows: Any | None,
    reporter: Reporter,
) -> PRMTrainer:
    torch.manual_seed(train_config.seed)  # of new adapters
    budget, packed = token_budget(train_config, args.device), _packs(train_config, args.device)
    if packed and args.device.type == "cuda" and is_flash_attn_2_available():
        model.set_attn_implementation(_FLASH)
    weight = train_config.positive_weight or positive_balance(train_rows)
    collator = Collator(budget, packed, weight)
    plan = TrainingPlan(
        train_rows,
        collator,
        batch=train_config.batch,
        accumulation=train_config.accumulation,
        processes=args.world_size,
        seed=train_config.seed,
    )
    trainer = PRMTrainer(
        prm=config,
        loss=StepLoss.of(train_config),
        model=_made(model, config, train_config),
        args=args,
        train_dataset=plan,
        eval_dataset=EvaluationPlan(eval_rows, collator) if eval_rows else None,
        callbacks=[reporter, *([Patience(train_config.patience)] if train_config.patience and eval_rows else [])],
    )
    trainer.remove_callback(PrinterCallback)
    if train_config.lora.rank and (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        raise UsageError("low-rank adapters go with plain data parallelism (torchrun), not with FSDP or DeepSpeed")
    return trainer


def _packs(train_config: TrainConfig, device: torch.device) -> bool:
    if train_config.packing == "auto":
        return device.type == "cuda" and is_flash_attn_2_available()
    return train_config.packing == "on"


def _made(model: Any, config: PRMConfig, train_config: TrainConfig) -> Any:
    """With its head in fp32; either all weights are trained, in float32, or adapters are."""
    if train_config.lora.rank:
        return adapted(judging(model, config), config, train_config.lora)
    return judging(model, config).float()


def _go(trainer: PRMTrainer, reporter: Reporter, checkpoint: Path | None) -> None:
    """Trains, from the checkpoint on. One that is of the last step only lacks its model in `out`."""
    if checkpoint is None or not _is_over(trainer, checkpoint):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        return
    state: Any = TrainerState.load_from_json(str(checkpoint / checkpoints.STATE))
    trainer.state = state
    reporter.seconds = state.stateful_callbacks[Reporter.__name__]["attributes"]["seconds"]
    trainer._load_from_checkpoint(trainer.state.best_model_checkpoint or str(checkpoint))


def _is_over(trainer: PRMTrainer, checkpoint: Path) -> bool:
    state: Any = TrainerState.load_from_json(str(checkpoint / checkpoints.STATE))
    waited = state.stateful_callbacks.get(Patience.__name__, {})
    stopped = (
        bool(waited) and waited["attributes"]["early_stopping_patience_counter"] >= waited["args"]["early_stopping_patience"]
    )
    return stopped or bool(state.global_step >= trainer.args.max_steps)


def _measured(trainer: PRMTrainer) -> dict[str, Any]:
    """The fields of a `TrainResult`, without folder and seconds."""
    state = trainer.state
    best = state.best_global_step or state.global_step
    of_best: Mapping[str, Any] = next((each for each in state.log_history if each["step"] == best and "eval_loss" in each), {})
    return {
        "steps": state.global_step,
        "best_step": best,
        "loss": next((each["loss"] for each in reversed(state.log_history) if "loss" in each), None),
        "auroc": of_best.get("eval_auroc"),
        "ece": of_best.get("eval_ece"),
        "tokens": int(state.num_input_tokens_seen),
        "history": state.log_history,
    }


def _finish(trainer: PRMTrainer, tokenizer: Any, config: PRMConfig, out: Path, record: Mapping[str, Any]) -> None:
    folder = out / checkpoints.WORK / checkpoints.MODEL
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        trainer.save_model(str(folder))  # gathers the shards; every process takes part
        (folder / "training_args.bin").unlink(missing_ok=True)
    elif trainer.is_world_process_zero():
        _save(trainer, folder)
    if trainer.is_world_process_zero():
        save_tokenizer(tokenizer, folder)
        config.save(folder)
        checkpoints.finish(out, record)
    trainer.accelerator.wait_for_everyone()


def _save(trainer: PRMTrainer, folder: Path) -> None:
    """The weights as they were computed with: bfloat16 where that was autocast. Adapters are merged in float32."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if isinstance(model, PeftModel):
        model.save_pretrained(str(folder / "adapter"), save_embedding_layers=False)
        (folder / "adapter" / "README.md").unlink(missing_ok=True)  # peft's empty form
        model = merged(model.cpu().float())
    model = plain(model).to(torch.bfloat16 if trainer.args.bf16 else torch.float32)
    model.save_pretrained(folder)


def _told(out: Path, record: Mapping[str, Any]) -> TrainResult:
    names = (each.name for each in fields(TrainResult) if each.name not in {"folder", "history"})
    return TrainResult(folder=out, history=tuple(record["history"]), **{name: record[name] for name in names})
