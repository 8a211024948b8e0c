"""The comparative loss of the process Q-value model (PQM, arXiv 2410.11287), of hard and of graded targets."""

from __future__ import annotations

import torch
from torch import Tensor

from openr_data.prm.config import IGNORE

_ANCHOR = 0.5
"""The grade from which a step stands above the start, whose Q is 0."""


def comparative_loss(margins: Tensor, targets: Tensor, zeta: float) -> Tensor:
    """[solutions, steps] each -> [solutions]: the mean over the steps that have something below them; 0 where none has.

    With targets of 1 and 0 this is Eq. 10, averaged as in the authors' train_main.py: for every good step c_t, with the start
    c_0 whose Q is 0 in front of them,  -log( exp Q(c_t) / (sum_{q <= t} exp Q(c_q) + sum_w exp(Q(w) + zeta)) ),  where w runs
    over the bad steps; the start counts where there is a bad step. Graded targets y go beyond the paper: a step stands above
    every step of a lower target, with a margin of zeta times the difference, and above the start from one half on; a step below
    one half stands zeta * (1 - 2y) below the start. Steps of the target `IGNORE` take no part.
    """
    below, gaps = _order(targets, zeta)
    q = torch.nn.functional.pad(margins.float(), (1, 0))
    rivals = (q.unsqueeze(1) + gaps).masked_fill(~below, -torch.inf)
    with_itself = torch.cat([q.unsqueeze(2), rivals], dim=2)
    losses = torch.logsumexp(with_itself, dim=2) - q
    counted = below.any(2)
    return losses.masked_fill(~counted, 0.0).sum(1) / counted.sum(1).clamp(min=1)


def has_order(targets: Tensor) -> Tensor:
    """[solutions, steps] -> [solutions]: whether anything in it can be ranked, be it only against the start."""
    return (targets != IGNORE).any(1)


def _order(targets: Tensor, zeta: float) -> tuple[Tensor, Tensor]:
    """[solutions, 1 + steps, 1 + steps]: whether the second stands below the first, and by which margin. The start is first."""
    y = torch.nn.functional.pad(targets.float(), (1, 0), value=1.0)
    above, under = y.unsqueeze(2), y.unsqueeze(1)
    places = torch.arange(y.shape[1], device=y.device)
    earlier = places.unsqueeze(0) < places.unsqueeze(1)
    below = (under < above) | ((under == above) & (above >= _ANCHOR) & earlier)
    gaps = zeta * (above - under)
    # The start: good steps stand above it without a margin, whatever their grade, and only bad ones stand below it.
    is_good = y >= _ANCHOR
    below[:, :, 0] = is_good
    gaps[:, :, 0] = 0.0
    below[:, 0, :] = ~is_good
    gaps[:, 0, :] = zeta * (1 - 2 * y)
    known = y != IGNORE
    below &= known.unsqueeze(2) & known.unsqueeze(1)
    below[:, 0, 0] = False
    return below, gaps.masked_fill(~below, 0.0)
