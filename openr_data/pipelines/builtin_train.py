"""Trains the built-in policy: from problems, slips and the model's own solutions, with Muon and AdamW."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from openr_data.engines.builtin.tokenizer import CONTEXT, build_tokenizer
from openr_data.errors import RunDirError
from openr_data.pipelines import builtin_attention
from openr_data.pipelines.builtin_config import BuiltinTraining
from openr_data.pipelines.builtin_data import Example, Line, draw_example, own_example
from openr_data.pipelines.builtin_sample import sample_texts
from openr_data.problems.arithmetic import DIFFICULTIES, Program, draw_question
from openr_data.problems.oracle import judge

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

IGNORE = -100
POOL = 8
"""Batches that are drawn together and sorted by length, so that a batch holds little padding."""


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


def build_model(config: BuiltinTraining, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A freshly initialised Llama with tied embeddings; the vocabulary is padded to a multiple of 64."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(config.seed)
    settings = LlamaConfig(
        vocab_size=-(-len(tokenizer) // 64) * 64,
        hidden_size=config.hidden,
        intermediate_size=config.intermediate,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.heads,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(settings).to(config.device)
    use_attention(model, training=True)
    return model


def use_attention(model: LlamaForCausalLM, *, training: bool) -> None:
    """On a CPU, training has its own attention; everything else, and CUDA, uses the fused kernels."""
    builtin_attention.register()
    own = training and model.device.type == "cpu"
    model.set_attn_implementation(builtin_attention.NAME if own else "sdpa")


def encode(tokenizer: PreTrainedTokenizerFast, examples: Sequence[Example]) -> list[tuple[list[int], list[int]]]:
    """Tokens and targets of each example: question, lines, end token. Questions and unlearnt lines have the target `IGNORE`."""
    pieces: list[str] = []
    for example in examples:
        lines = example.lines
        pieces += [example.question + "\n", *(line.text + "\n" for line in lines[:-1]), lines[-1].text]
    ids = iter(tokenizer(pieces).input_ids)
    return [_join(next(ids), [(next(ids), line) for line in example.lines], tokenizer.eos_token_id) for example in examples]


def _join(question: list[int], lines: Sequence[tuple[list[int], Line]], end: int) -> tuple[list[int], list[int]]:
    tokens, targets = list(question), [IGNORE] * len(question)
    for ids, line in lines:
        tokens += ids
        targets += ids if line.learn else [IGNORE] * len(ids)
    return [*tokens, end], [*targets, end]


class Batches:
    """Batches without end, by the curriculum. `own` holds solutions that the model sampled; the newest replace the oldest."""

    def __init__(self, config: BuiltinTraining, tokenizer: PreTrainedTokenizerFast) -> None:
        self.config, self.tokenizer = config, tokenizer
        self.rng = Random(f"batches/{config.seed}")
        self.index = 0
        self.own: list[Example] = []

    def operations(self, step: int) -> int:
        """The largest number of operations at this step."""
        grown = step / max(1, self.config.curriculum * self.config.steps)
        return min(DIFFICULTIES[-1], 2 + int(grown * (DIFFICULTIES[-1] - 1)))

    def draw_program(self, most: int) -> Program:
        self.index += 1
        return draw_question(self.config.seed, self.index, self.rng.randint(1, most), "train")

    def pool(self, step: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """`POOL` batches of tokens and targets (batch, length), length-sorted inside the pool and in random order."""
        size, most = self.config.batch, self.operations(step)
        own = [self.own.pop() for _ in range(min(len(self.own), int(self.config.own_share * size * POOL)))]
        fresh = [draw_example(self.rng, self.draw_program(most), self.config.slips) for _ in range(size * POOL - len(own))]
        rows = sorted((row for row in encode(self.tokenizer, own + fresh) if len(row[0]) <= CONTEXT), key=lambda row: len(row[0]))
        groups = [rows[start : start + size] for start in range(0, len(rows), size)]
        self.rng.shuffle(groups)
        for group in groups:
            yield (
                self._pad([tokens for tokens, _ in group], self.tokenizer.pad_token_id),
                self._pad([t for _, t in group], IGNORE),
            )

    def _pad(self, rows: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
        width = max(len(row) for row in rows)
        return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows], device=self.config.device)

    def refresh_own(self, model: LlamaForCausalLM, generator: torch.Generator, count: int) -> None:
        """Sample `count` training questions with the model and keep what can be learnt from the solutions."""
        programs = sorted((self.draw_program(DIFFICULTIES[-1]) for _ in range(count)), key=lambda p: len(p.operations))
        made: list[Example] = []
        for start in range(0, count, 128):
            part = programs[start : start + 128]
            texts = sample_texts(
                model, self.tokenizer, [p.question + "\n" for p in part], temperature=1.0, generator=generator, max_tokens=220
            )
            for program, text in zip(part, texts, strict=True):
                steps = text.split("\n")
                example = own_example(self.rng, program, steps, judge(program.question, steps), self.config.slips.revise)
                made += [example] if example else []
        self.rng.shuffle(made)
        self.own = made


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
    """Linear warm-up, constant, linear decay to zero."""
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
            if self.step < self.config.steps:
                losses.append(self._train_step(tokens, targets))
        self._refresh_own()
        return sum(losses) / len(losses)

    def _train_step(self, tokens: torch.Tensor, targets: torch.Tensor) -> float:
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
        self.tokens += int((tokens != self.tokenizer.pad_token_id).sum())
        return loss.item()

    def progress(self, loss: float) -> TrainingProgress:
        operations = self.batches.operations(self.step)
        return TrainingProgress(self.step, self.config.steps, loss, self.tokens, self.seconds, operations)

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
            self.batches.refresh_own(self.model, self.generator, int(config.own_share * config.batch * config.own_refresh))
            use_attention(self.model, training=True)


def train_builtin(
    config: BuiltinTraining, out_dir: Path, on_progress: Callable[[TrainingProgress], None] = lambda _: None
) -> Path:
    """Train and save weights and tokenizer in `out_dir`; returns it.

    A run that was killed goes on from its last checkpoint when it is started again with the same `config` and `out_dir`;
    raises `RunDirError` when `out_dir` holds a checkpoint of another configuration.
    """
    training, checkpoint = Training(config), out_dir / "checkpoint.pt"
    if checkpoint.exists():
        training.restore(_load_checkpoint(checkpoint, config))
    out_dir.mkdir(parents=True, exist_ok=True)
    while training.step < config.steps:
        started = time.monotonic()
        loss = training.run_pool()
        training.seconds += time.monotonic() - started
        on_progress(training.progress(loss))
        if training.step % config.checkpoint_every < POOL:
            _save_checkpoint(training, checkpoint)
    save_model(training.model, training.tokenizer, out_dir)
    checkpoint.unlink(missing_ok=True)
    return out_dir


def _save_checkpoint(training: Training, path: Path) -> None:
    """The whole state, and the weights so far as a model that can be loaded. A kill leaves the earlier checkpoint whole."""
    part = path.with_suffix(".part")
    torch.save(training.state(), part)
    part.replace(path)
    save_model(training.model, training.tokenizer, path.parent / "latest")


def _load_checkpoint(path: Path, config: BuiltinTraining) -> Mapping[str, Any]:
    state: Mapping[str, Any] = torch.load(path, weights_only=True)
    fields = sorted(name for name, value in asdict(config).items() if state["config"].get(name) != value and name != "threads")
    if fields:
        raise RunDirError(
            f"{path.parent} holds a training run with another configuration ({', '.join(fields)}); use another folder"
        )
    return state


def save_model(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out_dir: Path) -> None:
    import copy

    clone = copy.deepcopy(model).to(torch.bfloat16)
    clone.save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)
