"""The reference trainer for preferences: the learner's optimiser and guards, with the loss of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from openr_data.rl.batches import batches
from openr_data.rl.learner import LearnConfig, Learner
from openr_data.rl.policy import all_logprobs, token_logprobs
from openr_data.rl.preferences import Pair, PairLoss, pair_losses, parted


class PairLearner(Learner):
    """`reference` is the policy that came in; it is never changed."""

    def __init__(self, model: Any, config: LearnConfig, reference: Any, loss: PairLoss) -> None:
        super().__init__(model, config)
        self._fixed, self._pair_loss = reference, loss

    def prefer(self, pairs: Sequence[Pair], rate: float) -> dict[str, float]:
        """One step of the optimiser over the mean loss of the pairs, and what happened: the share of pairs that the policy now
        orders as it should, against the reference, and the mean margin. Raises `EngineError` as `update` does.
        """
        self.at(rate)
        self.optimizer.zero_grad()
        sums = {"loss": 0.0, "ordered": 0.0, "margin": 0.0, "nll": 0.0}
        for places in parted(pairs, self.config.batch_tokens):
            for name, value in self._backward_pairs([pairs[place] for place in places], len(pairs)).items():
                sums[name] += value
        return {**sums, "gradient": self._finish(sums["loss"]), "kl": 0.0}

    def _backward_pairs(self, pairs: Sequence[Pair], total: int) -> dict[str, float]:
        samples = [side for pair in pairs for side in pair.samples]
        fixed = torch.stack([line.sum() for line in all_logprobs(self._fixed, samples, self.config.batch_tokens, 1.0)])
        (batch,) = batches(samples, 2**62, self._device)
        sums = (token_logprobs(self.model, batch) * batch.mask).sum(1)[_back(batch.rows, self._device)].view(-1, 2)
        lengths = torch.tensor([len(pair.chosen) for pair in pairs], device=self._device)
        known = fixed.to(sums).view(-1, 2)
        losses = pair_losses(sums[:, 0], sums[:, 1], lengths, self._pair_loss, (known[:, 0], known[:, 1]))
        (losses.sum() / total).backward()  # type: ignore[no-untyped-call]
        ahead = (sums[:, 0] - known[:, 0] - sums[:, 1] + known[:, 1]).detach()
        return {
            "loss": losses.sum().item() / total,
            "ordered": (ahead > 0).sum().item() / total,
            "margin": ahead.sum().item() / total,
            "nll": -(sums[:, 0].detach() / lengths).sum().item() / total,
        }


def _back(rows: Sequence[int], device: torch.device) -> Tensor:
    """Where each sample stands in a batch that has them in another order."""
    return torch.tensor(sorted(range(len(rows)), key=rows.__getitem__), device=device)
