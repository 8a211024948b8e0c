"""The reference trainer: a policy, an optimiser, and updates by the clipped objective. Knows no engine, grader or file.

One update takes the solutions that the present policy wrote, and passes over them `epochs` times in `minibatches` parts each. The
first pass of a single part has the ratio 1 everywhere, so nothing is computed to compare with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import cos, isfinite, pi
from random import Random
from typing import Any

import torch
from torch import Tensor

from openr_data.errors import EngineError, UsageError
from openr_data.rl.batches import Batch, Sample, batches
from openr_data.rl.losses import Extent, Played, PolicyLoss, clipped_share, divergence, policy_loss
from openr_data.rl.optimizers import OPTIMIZERS, optimizer_of
from openr_data.rl.policy import all_logprobs, token_logprobs

_FALL = 0.6
"""The share of a run over which a linear schedule falls."""


@dataclass(frozen=True, slots=True)
class LearnConfig:
    """`rate` is the learning rate after `warmup` updates. `schedule`: it stays (`constant`), or falls to 0 in a straight line
    over the last three fifths of the run (`linear`) or along a cosine (`cosine`). `optimizer`: see `optimizer_of`.

    `clip` bounds the norm of the gradient. `batch_tokens` are the most ids of one forward pass: how a batch is cut changes no
    loss. `length` is the longest solution in tokens. Raises `UsageError`.
    """

    loss: PolicyLoss = field(default_factory=PolicyLoss)
    rate: float = 1e-4
    schedule: str = "linear"
    warmup: int = 5
    epochs: int = 1
    minibatches: int = 1
    clip: float = 1.0
    weight_decay: float = 0.0
    optimizer: str = "adamw"
    batch_tokens: int = 16384
    temperature: float = 1.0
    length: int = 512

    def __post_init__(self) -> None:
        if self.schedule not in {"constant", "linear", "cosine"}:
            raise UsageError(f"there is no schedule '{self.schedule}'; choose constant, linear or cosine")
        if self.optimizer not in OPTIMIZERS:
            raise UsageError(f"there is no optimizer '{self.optimizer}'; choose one of: {', '.join(OPTIMIZERS)}")
        if min(self.epochs, self.minibatches, self.batch_tokens, self.length) < 1 or min(self.rate, self.clip) <= 0:
            raise UsageError(
                "epochs, minibatches, tokens of a batch, the learning rate and the bound of the gradient are above 0"
            )

    @property
    def once(self) -> bool:
        """Whether each update has one step of the optimiser: then the policy that wrote is the policy that learns."""
        return self.steps == 1

    @property
    def steps(self) -> int:
        """Of the optimiser, in an update."""
        return self.epochs * self.minibatches

    def rate_at(self, update: int, updates: int) -> float:
        """`update` counts from 0."""
        if update < self.warmup:
            return self.rate * (update + 1) / (self.warmup + 1)
        if self.schedule == "linear":
            return self.rate * min(1.0, (updates - update) / (_FALL * updates))
        done = (update - self.warmup) / max(1, updates - self.warmup)
        return self.rate * ((1 + cos(pi * min(1.0, done))) / 2 if self.schedule == "cosine" else 1.0)


class Learner:
    """`model` and `reference` are causal models of transformers with the same tokenizer; the reference is never changed."""

    def __init__(self, model: Any, config: LearnConfig, reference: Any | None = None) -> None:
        self.model, self.config = model, config
        self._reference = reference if config.loss.beta else None
        if config.loss.beta and reference is None:
            raise UsageError("a penalty for leaving the reference model needs one")
        self._device: torch.device = next(model.parameters()).device
        self.optimizer = optimizer_of(model, config.optimizer, config.rate, config.weight_decay)

    def update(self, samples: Sequence[Sample], rate: float, draw: Random) -> dict[str, float]:
        """Changes the policy, and says what happened. `EngineError` instead of a step by what is no number."""
        self.at(rate)
        told: dict[str, list[float]] = {}
        old = None if self.config.once else self._logprobs(self.model, samples)
        reference = self._logprobs(self._reference, samples) if self._reference is not None else None
        for rows in self._parts(len(samples), draw):
            for name, value in self._step(rows, samples, old, reference).items():
                told.setdefault(name, []).append(value)
        return {name: sum(values) / len(values) for name, values in told.items()}

    def at(self, rate: float) -> None:
        """The learning rate from now on."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["part"]

    def _logprobs(self, model: Any, samples: Sequence[Sample]) -> list[Tensor]:
        return all_logprobs(model, samples, 2 * self.config.batch_tokens, self.config.temperature)

    def _parts(self, count: int, draw: Random) -> Iterator[list[int]]:
        for _ in range(self.config.epochs):
            order = draw.sample(range(count), count)
            size = -(-count // self.config.minibatches)
            yield from (order[start : start + size] for start in range(0, count, size))

    def _step(
        self, rows: Sequence[int], samples: Sequence[Sample], old: list[Tensor] | None, reference: list[Tensor] | None
    ) -> dict[str, float]:
        """One step of the optimiser. Advantages of 0 are in the divisors, and cost no forward pass without a penalty."""
        mine = [samples[row] for row in rows]
        extent = Extent(sum(len(each.tokens) for each in mine), len(mine), self.config.length)
        learnt = [row for row in rows if self._reference is not None or any(samples[row].advantages)]
        self.optimizer.zero_grad()
        sums = {"loss": 0.0, "clipped": 0.0, "nll": 0.0, "kl": 0.0}
        for batch in batches([samples[row] for row in learnt], self.config.batch_tokens, self._device):
            of_batch = [learnt[place] for place in batch.rows]
            for name, value in self._backward(batch, of_batch, old, reference, extent).items():
                sums[name] += value
        norm = self._finish(sums["loss"])
        seen = max(1, sum(len(samples[row].tokens) for row in learnt))
        return {"loss": sums["loss"], "gradient": norm, **{name: sums[name] / seen for name in ("clipped", "nll", "kl")}}

    def _backward(
        self, batch: Batch, rows: Sequence[int], old: list[Tensor] | None, reference: list[Tensor] | None, extent: Extent
    ) -> dict[str, float]:
        new = token_logprobs(self.model, batch, self.config.temperature)
        played = Played(
            new=new,
            old=new.detach() if old is None else _padded([old[row] for row in rows], new),
            advantages=batch.advantages,
            mask=batch.mask,
            step=batch.step,
            reference=None if reference is None else _padded([reference[row] for row in rows], new),
        )
        loss = policy_loss(played, self.config.loss, extent)
        loss.backward()  # type: ignore[no-untyped-call]
        return {"loss": loss.item(), **_told(played, self.config.loss)}

    def _finish(self, loss: float) -> float:
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip))
        if not isfinite(loss) or not isfinite(norm):
            self.optimizer.zero_grad()
            what = "gradient" if isfinite(loss) else "loss"
            raise EngineError(f"the {what} is no number any more: try a lower --rate; the last checkpoint is kept")
        self.optimizer.step()
        return norm


@torch.no_grad()
def _told(played: Played, loss: PolicyLoss) -> dict[str, float]:
    """Sums over the tokens of a batch. The negative log-likelihood of own samples estimates the entropy of the policy."""
    apart = torch.zeros(()) if played.reference is None else (divergence(played.new, played.reference) * played.mask).sum()
    surprise = -(played.new * played.mask).sum()
    return {"clipped": clipped_share(played, loss).item(), "nll": surprise.item(), "kl": apart.item()}


def _padded(lines: Sequence[Tensor], like: Tensor) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(lines), batch_first=True).to(like)
