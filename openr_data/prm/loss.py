"""What a step's judgement costs: soft cross-entropy, squared error or a ranking, in fp32, as sums that add up over any split.

A loss is a weighted sum over steps (over solutions, for the ranking) and the total weight that divides it. Both add up over parts
of a batch, accumulation and processes, so that the mean never depends on how a batch was cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from openr_data.prm.config import IGNORE
from openr_data.prm.ranking import comparative_loss, has_order
from openr_data.prm.train_config import Loss, TrainConfig


@dataclass(frozen=True, slots=True)
class StepLoss:
    """Arguments of its methods are [solutions, steps]: `margins` the logit differences log p(+) - log p(-), `targets` in 0 .. 1
    or `IGNORE`, `weights` as `step_weights` gives them.

    `cross_entropy`: -(y log p(+) + (1 - y) log p(-)) over the two judgements, which is binary cross-entropy of the margin;
    `smoothing` s makes y (1 - s) + s / 2 of a target. `squared`: (p(+) - y)^2, for Monte Carlo values. `ranking`: PQM, one value
    a solution, with the margin `zeta`.
    """

    kind: Loss = "cross_entropy"
    smoothing: float = 0.0
    zeta: float = 4.0

    @classmethod
    def of(cls, config: TrainConfig) -> StepLoss:
        return cls(config.loss, config.smoothing, config.ranking_margin)

    def total(self, margins: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """The weighted sum."""
        if self.kind == "ranking":
            return (comparative_loss(margins, targets, self.zeta) * weights.amax(1)).sum()
        known = targets != IGNORE
        y = torch.where(known, targets, 0.5).float()
        return (self._each(margins.float(), y) * torch.where(known, weights, 0.0)).sum()

    def items(self, targets: Tensor, weights: Tensor) -> Tensor:
        """The total weight of what `total` sums: the divisor of a mean."""
        if self.kind == "ranking":
            return torch.where(has_order(targets), weights.amax(1), 0.0).sum()
        return torch.where(targets != IGNORE, weights, 0.0).sum()

    def _each(self, margins: Tensor, y: Tensor) -> Tensor:
        if self.kind == "squared":
            return (torch.sigmoid(margins) - y) ** 2
        return binary_cross_entropy_with_logits(margins, y * (1 - self.smoothing) + self.smoothing / 2, reduction="none")


def step_weights(targets: Tensor, row_weights: Tensor, positive_weight: float) -> Tensor:
    """[solutions, steps], [solutions] -> [solutions, steps]: a row's weight at its known steps, times `positive_weight` at
    targets above one half.

    >>> step_weights(torch.tensor([[1.0, 0.25, -100.0]]), torch.tensor([2.0]), 3.0)
    tensor([[6., 2., 0.]])
    """
    factors = torch.where(targets > 0.5, positive_weight, 1.0) * (targets != IGNORE)
    return factors * row_weights.unsqueeze(1)
