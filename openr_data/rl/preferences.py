"""Direct preference optimisation (arXiv 2305.18290): of two continuations of a prompt the one becomes likelier, the other less.

Over whole solutions, or over single steps behind the same right ones (Step-DPO, arXiv 2406.18629).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from openr_data.errors import UsageError
from openr_data.rl.batches import Sample


@dataclass(frozen=True, slots=True)
class Pair:
    """Two continuations of one prompt, as token ids."""

    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]

    @property
    def samples(self) -> tuple[Sample, Sample]:
        """As the policy's batches have them; whose advantages are not read."""
        return tuple(Sample(self.prompt, each, [0.0] * len(each)) for each in (self.chosen, self.rejected))  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class PairLoss:
    """`beta` is the strength of the tie to the reference model, `smoothing` the share of pairs that are taken to be the wrong way
    round (conservative DPO), and `likelihood` weighs the mean negative log-likelihood of what is chosen, which keeps it from
    becoming less likely, too. Raises `UsageError`.
    """

    beta: float = 0.1
    smoothing: float = 0.0
    likelihood: float = 0.0

    def __post_init__(self) -> None:
        if self.beta <= 0 or not 0 <= self.smoothing < 0.5 or self.likelihood < 0:
            raise UsageError("--beta is above 0, --smoothing from 0 to below .5, and --likelihood not below 0")


def pair_losses(chosen: Tensor, rejected: Tensor, lengths: Tensor, loss: PairLoss, reference: tuple[Tensor, Tensor]) -> Tensor:
    """[pairs]: one loss for each. `chosen` and `rejected` are the sums of log-probabilities, `lengths` the tokens of what is
    chosen.

    -ln sigmoid(m) with m = beta ((chosen - its reference) - (rejected - its reference)), Eq. 7 there.
    """
    margin = loss.beta * ((chosen - reference[0]) - (rejected - reference[1]))
    right = -torch.nn.functional.logsigmoid(margin)
    wrong = -torch.nn.functional.logsigmoid(-margin)
    each = (1 - loss.smoothing) * right + loss.smoothing * wrong
    return each - loss.likelihood * chosen / lengths.clamp(min=1)


def parted(pairs: Sequence[Pair], budget: int) -> list[list[int]]:
    """Places of pairs of like lengths, whose batch of both sides has at most `budget` ids (a larger pair goes alone)."""
    order = sorted(range(len(pairs)), key=lambda place: (sum(_widths(pairs[place])), place))
    parts: list[list[int]] = []
    widest = (0, 0)
    for place in order:
        before, behind = _widths(pairs[place])
        wider = max(widest[0], before), max(widest[1], behind)
        if not parts or 2 * (len(parts[-1]) + 1) * sum(wider) > budget:
            parts.append([])
            wider = before, behind
        parts[-1].append(place)
        widest = wider
    return parts


def _widths(pair: Pair) -> tuple[int, int]:
    return len(pair.prompt), max(len(pair.chosen), len(pair.rejected))
