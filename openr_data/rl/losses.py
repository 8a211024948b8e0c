"""Losses of a policy over generated tokens. All tensors are [solutions, tokens], right-padded; `mask` is 1 where a token counts.

The forms and their names are those of TRL 1.16, which the tests compare them with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from openr_data.errors import UsageError

Reduction = Literal["dapo", "grpo", "dr_grpo"]
Ratio = Literal["token", "step", "sequence"]
_REDUCTIONS, _RATIOS = ("dapo", "grpo", "dr_grpo"), ("token", "step", "sequence")


@dataclass(frozen=True, slots=True)
class PolicyLoss:
    """The clipped objective (PPO, arXiv 1707.06347, Eq. 7) with a penalty for leaving the reference model.

    `clip_low` and `clip_high` bound the ratio below and above 1. `ratio`: of each token; of each step, the product over its
    tokens (OpenR's APPO, arXiv 2410.09671); or of the sequence, the geometric mean (GSPO, arXiv 2507.18071). `reduction`: the
    mean over all tokens of the update (`dapo`, arXiv 2503.14476), over solutions of their means (`grpo`), or the sum over
    `solutions * length` (`dr_grpo`, arXiv 2503.20783). `beta` weighs the penalty; `corrected` multiplies it by the ratio, whose
    gradient makes that of the penalty unbiased (DeepSeek-V3.2, arXiv 2512.02556). Raises `UsageError`.
    """

    clip_low: float = 0.2
    clip_high: float = 0.2
    ratio: Ratio = "token"
    reduction: Reduction = "dapo"
    beta: float = 0.0
    corrected: bool = True

    def __post_init__(self) -> None:
        if self.ratio not in _RATIOS:
            raise UsageError(f"there is no ratio '{self.ratio}'; choose one of: {', '.join(_RATIOS)}")
        if self.reduction not in _REDUCTIONS:
            raise UsageError(f"there is no reduction '{self.reduction}'; choose one of: {', '.join(_REDUCTIONS)}")
        if min(self.clip_low, self.clip_high, self.beta) < 0 or self.clip_low > 1:
            raise UsageError(
                "bounds of the ratio and the weight of the penalty are not below 0, and the lower bound is at most 1"
            )


@dataclass(frozen=True, slots=True)
class Extent:
    """Of a whole update, over all of its parts: generated tokens, solutions, and the longest that a solution may be."""

    tokens: int
    solutions: int
    length: int


@dataclass(frozen=True, slots=True)
class Played:
    """What a loss is computed of. `step` numbers the step of each token (0, 1, ...) within its solution.

    `old` are the log-probabilities of the policy that is held against, without gradient; `reference` those of the reference
    model.
    """

    new: Tensor
    old: Tensor
    advantages: Tensor
    mask: Tensor
    step: Tensor
    reference: Tensor | None = None


def policy_loss(played: Played, loss: PolicyLoss, extent: Extent) -> Tensor:
    """A part's share of the update's loss: the shares of all parts add up to it."""
    ratio = torch.exp(log_ratio(played, loss.ratio))
    clipped = ratio.clamp(1 - loss.clip_low, 1 + loss.clip_high)
    each = -torch.minimum(ratio * played.advantages, clipped * played.advantages)
    if loss.beta and played.reference is not None:
        apart = divergence(played.new, played.reference)
        each = each + loss.beta * (apart * ratio if loss.corrected else apart)
    return reduced(each, played.mask, loss.reduction, extent)


def log_ratio(played: Played, level: Ratio) -> Tensor:
    """ln(new / old) of a token, its step or its sequence; each token of a step or a sequence has the same one."""
    each = (played.new - played.old) * played.mask
    if level == "token":
        return each
    if level == "sequence":
        mean = each.sum(1, keepdim=True) / played.mask.sum(1, keepdim=True).clamp(min=1)
        return mean.expand_as(each)
    sums = torch.zeros(each.shape[0], int(played.step.max()) + 1, dtype=each.dtype, device=each.device)
    return sums.scatter_add(1, played.step, each).gather(1, played.step)


def divergence(new: Tensor, reference: Tensor) -> Tensor:
    """With r = reference / new, r - 1 - ln r: never below 0, and without bias KL(new || reference) (Schulman's k3).

    >>> divergence(torch.tensor([0.0]), torch.tensor([0.0]))
    tensor([0.])
    """
    ahead = reference - new
    return torch.exp(ahead) - ahead - 1


def reduced(each: Tensor, mask: Tensor, how: Reduction, extent: Extent) -> Tensor:
    """See `PolicyLoss`."""
    if how == "dapo":
        return (each * mask).sum() / max(1, extent.tokens)
    if how == "grpo":
        return ((each * mask).sum(1) / mask.sum(1).clamp(min=1)).sum() / max(1, extent.solutions)
    return (each * mask).sum() / max(1, extent.solutions * extent.length)


def clipped_share(played: Played, loss: PolicyLoss) -> Tensor:
    """How many tokens the bounds keep from having a gradient: a count."""
    ratio = torch.exp(log_ratio(played, loss.ratio))
    above = (ratio > 1 + loss.clip_high) & (played.advantages > 0)
    below = (ratio < 1 - loss.clip_low) & (played.advantages < 0)
    return ((above | below) & (played.mask > 0)).sum()
