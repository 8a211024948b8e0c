"""Trains the built-in policy from problems, slips and the model's own solutions, with Muon and AdamW."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from openr_data.engines.builtin.tokenizer import PAD_ID, build_tokenizer
from openr_data.errors import RunDirError
from openr_data.pipelines.builtin_batches import IGNORE, POOL, Batches
from openr_data.pipelines.builtin_config import BuiltinTraining
from openr_data.pipelines.builtin_data import Example, Line
from openr_data.pipelines.builtin_model import build_model, save_model, use_attention
from openr_data.pipelines.builtin_recipe import write_recipe

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Where a run stands; `tokens` counts real tokens so far, `loss` is the mean since the last report."""

    step: int
    steps: int
    loss: float
    tokens: int
    seconds: float
    operations: int

    @property
    def eta_seconds(self) -> float:
        """At the rate so far; early batches are shorter, so it grows while the curriculum does."""
        return self.seconds / self.step * (self.steps - self.step)

    def __str__(self) -> str:
        rate = self.tokens / max(self.seconds, 1e-9)
        return (
            f"step {self.step}/{self.steps}  loss {self.loss:.4f}  up to {self.operations} operations  "
            f"{self.tokens / 1e6:.1f} M tokens  {rate / 1e3:.1f} k tokens/s  {self.seconds:.0f} s  ETA {self.eta_seconds:.0f} s"
        )


def loss_of(model: LlamaForCausalLM, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the next token, where there is a target. Padding stands at the right, so causality masks it."""
    hidden = model.model(input_ids=tokens[:, :-1], use_cache=False).last_hidden_state
    wanted = targets[:, 1:] != IGNORE
    return cross_entropy(model.lm_head(hidden[wanted]).float(), targets[:, 1:][wanted])


def optimisers(config: BuiltinTraining, model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon (Jordan 2024) for the matrices inside the layers, AdamW for embeddings and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=config.muon_rate, momentum=0.95, weight_decay=0.0),
        torch.optim.AdamW(others, lr=config.adamw_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def rate_factor(config: BuiltinTraining, step: int) -> float:
    """Linear warm-up, constant, linear decay to zero; then the finishing phase: warm-up and decay at a lower rate."""
    if step >= config.steps and config.finish_steps:
        done = step - config.steps
        return config.finish_rate * min((done + 1) / config.warmup, (config.finish_steps - done) / config.finish_steps)
    left = (config.steps - step) / max(1, config.decay * config.steps)
    return min(1.0, (step + 1) / config.warmup, left)


class Training:
    """The state of one run."""

    def __init__(self, config: BuiltinTraining) -> None:
        torch.set_num_threads(config.threads)
        self.config = config
        self.tokenizer = build_tokenizer()
        self.model = build_model(config, self.tokenizer)
        self.optimisers = optimisers(config, self.model)
        self.batches = Batches(config, self.tokenizer)
        self.generator = torch.Generator(config.device).manual_seed(config.seed)
        self.step = 0
        self.tokens = 0
        self.seconds = 0.0

    def run_pool(self) -> float:
        """Train on one pool; returns the mean loss."""
        losses = []
        for tokens, targets in self.batches.pool(self.step):
            if self.step < self.config.all_steps:
                losses.append(self._train_step(tokens, targets))
        self._refresh_own()
        return sum(losses) / len(losses)

    def _train_step(self, tokens: torch.Tensor, targets: torch.Tensor) -> float:
        if self.step == self.config.steps:
            self.optimisers = optimisers(self.config, self.model)
        factor = rate_factor(self.config, self.step)
        rates = (self.config.muon_rate, self.config.adamw_rate)
        for optimiser, rate in zip(self.optimisers, rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate * factor
        with torch.autocast(self.config.device, dtype=torch.bfloat16):
            loss = loss_of(self.model, tokens, targets)
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it unannotated
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self.tokens += int(tokens.ne(PAD_ID).sum())
        return loss.item()

    def progress(self, loss: float) -> TrainingProgress:
        operations = self.batches.operations(self.step)
        return TrainingProgress(self.step, self.config.all_steps, loss, self.tokens, self.seconds, operations)

    def state(self) -> dict[str, Any]:
        """Everything a later process needs to go on: tensors and plain values only."""
        batches = self.batches
        return {
            "config": asdict(self.config),
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "generator": self.generator.get_state(),
            "counters": (self.step, self.tokens, self.seconds, batches.index),
            "random": batches.rng.getstate(),
            "own": [(e.question, [(line.text, line.learn) for line in e.lines]) for e in batches.own],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.generator.set_state(state["generator"])
        self.step, self.tokens, self.seconds, self.batches.index = state["counters"]
        self.batches.rng.setstate(state["random"])
        self.batches.own = [Example(question, tuple(Line(*line) for line in lines)) for question, lines in state["own"]]

    def _refresh_own(self) -> None:
        config = self.config
        due = self.step >= config.own_from * config.steps and not self.batches.own
        if due and config.own_share:
            use_attention(self.model, training=False)
            count = int(config.own_share * config.batch * config.own_refresh)
            self.batches.refresh_own(self.model, self.generator, count, config.slips_at(self.step).revise_own)
            use_attention(self.model, training=True)


def train_builtin(
    config: BuiltinTraining, out_dir: Path, on_progress: Callable[[TrainingProgress], None] = lambda _: None
) -> Path:
    """Train; save the weights, the tokenizer and RECIPE.json in `out_dir`; returns it. Weights so far are in `out_dir/latest`.

    A run that was killed goes on from its last checkpoint when it is started again with the same `config` and `out_dir`;
    raises `RunDirError` when `out_dir` holds a checkpoint of another configuration.
    """
    training, checkpoint = Training(config), out_dir / "checkpoint.pt"
    if checkpoint.exists():
        training.restore(_load_checkpoint(checkpoint, config))
    out_dir.mkdir(parents=True, exist_ok=True)
    while training.step < config.all_steps:
        started = time.monotonic()
        loss = training.run_pool()
        training.seconds += time.monotonic() - started
        on_progress(training.progress(loss))
        if training.step % config.checkpoint_every < POOL:
            _save_checkpoint(training, checkpoint)
    save_model(training.model, out_dir)
    parameters = sum(parameter.numel() for parameter in training.model.parameters())
    write_recipe(out_dir, config, parameters=parameters, tokens=training.tokens, seconds=training.seconds)
    checkpoint.unlink(missing_ok=True)
    return out_dir


def _save_checkpoint(training: Training, path: Path) -> None:
    """The whole state, and the weights so far as a model that can be loaded. A kill leaves the earlier checkpoint whole."""
    part = path.with_suffix(".part")
    torch.save(training.state(), part)
    part.replace(path)
    save_model(training.model, path.parent / "latest")


def _load_checkpoint(path: Path, config: BuiltinTraining) -> Mapping[str, Any]:
    state: Mapping[str, Any] = torch.load(path, weights_only=True)
    fields = sorted(name for name, value in asdict(config).items() if state["config"].get(name) != value and name != "threads")
    if fields:
        raise RunDirError(
            f"{path.parent} holds a training run with another configuration ({', '.join(fields)}); use another folder"
        )
    return state
