"""Losses of steps: golden values by hand, and that they add up however a batch is cut."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, tensor

from openr_data.prm.config import IGNORE
from openr_data.prm.loss import StepLoss, step_weights

ONE = tensor([[1.0, 1.0]])


def test_cross_entropy_by_hand() -> None:
    """-(1 log s(2) + 0) = log(1 + e^-2), and -(.25 log s(-1) + .75 log s(1))."""
    margins, targets = tensor([[2.0, -1.0]]), tensor([[1.0, 0.25]])
    wanted = log(1 + exp(-2)) + 0.25 * log(1 + exp(1)) + 0.75 * log(1 + exp(-1))
    assert float(StepLoss().total(margins, targets, ONE)) == pytest.approx(wanted, abs=1e-6)


def test_cross_entropy_is_the_softmax_of_two_logits() -> None:
    logits, y = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(1)), torch.rand(3, 4)
    two = torch.log_softmax(logits, -1)
    wanted = -(y * two[..., 1] + (1 - y) * two[..., 0]).sum()
    found = StepLoss().total(logits[..., 1] - logits[..., 0], y, torch.ones(3, 4))
    assert torch.allclose(found, wanted, atol=1e-6)


def test_smoothing_moves_a_target_towards_one_half() -> None:
    """s = .2 makes .9 of 1."""
    found = StepLoss(smoothing=0.2).total(tensor([[0.5]]), tensor([[1.0]]), tensor([[1.0]]))
    assert float(found) == pytest.approx(0.9 * log(1 + exp(-0.5)) + 0.1 * log(1 + exp(0.5)), abs=1e-6)


def test_squared_error_by_hand() -> None:
    """s(0) = .5 and s(log 3) = .75."""
    found = StepLoss("squared").total(tensor([[0.0, log(3)]]), tensor([[1.0, 0.5]]), tensor([[1.0, 2.0]]))
    assert float(found) == pytest.approx(0.25 + 2 * 0.0625, abs=1e-6)


def test_masked_steps_carry_no_loss_and_no_gradient() -> None:
    margins = tensor([[1.0, 5.0]], requires_grad=True)
    targets, weights = tensor([[1.0, IGNORE]]), tensor([[1.0, 7.0]])
    for kind in ("cross_entropy", "squared", "ranking"):
        (gradient,) = torch.autograd.grad(StepLoss(kind).total(margins, targets, weights), margins)
        assert gradient[0, 1] == 0
        assert gradient[0, 0] != 0
    assert float(StepLoss().items(targets, weights)) == 1


def test_extreme_margins_stay_finite() -> None:
    margins, targets = tensor([[1e4, -1e4]], requires_grad=True), tensor([[0.0, 1.0]])
    for kind in ("cross_entropy", "squared", "ranking"):
        total = StepLoss(kind).total(margins, targets, ONE)
        (gradient,) = torch.autograd.grad(total, margins)
        assert torch.isfinite(total)
        assert torch.isfinite(gradient).all()


def test_weights_of_rows_and_of_the_good_class() -> None:
    targets = tensor([[1.0, 0.5, IGNORE], [0.0, 0.75, IGNORE]])
    assert step_weights(targets, tensor([1.0, 2.0]), 3.0).tolist() == [[3.0, 1.0, 0.0], [2.0, 6.0, 0.0]]


@given(st.integers(0, 10**6), st.sampled_from(["cross_entropy", "squared", "ranking"]), st.integers(1, 5))
def test_totals_and_items_add_up_over_any_split(seed: int, kind: str, cut: int) -> None:
    margins, targets, weights = _drawn(seed)
    loss = StepLoss(kind, zeta=2.0)  # type: ignore[arg-type]  # drawn from the literal's values
    halves = [[each[part] for each in (margins, targets, weights)] for part in (slice(cut), slice(cut, None))]
    totals, items = sum(float(loss.total(*half)) for half in halves), sum(float(loss.items(*half[1:])) for half in halves)
    assert totals == pytest.approx(float(loss.total(margins, targets, weights)), abs=1e-4)
    assert items == pytest.approx(float(loss.items(targets, weights)), abs=1e-4)


def test_items_of_a_ranking_are_solutions() -> None:
    targets = tensor([[1.0, 0.0], [1.0, IGNORE], [IGNORE, IGNORE]])
    assert float(StepLoss("ranking").items(targets, step_weights(targets, tensor([1.0, 2.0, 4.0]), 1.0))) == 3


def _drawn(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, 5, (6, 4), generator=source) / 4
    targets[torch.rand((6, 4), generator=source) < 0.3] = IGNORE
    weights = step_weights(targets, torch.rand(6, generator=source) + 0.5, 1.0)
    return 3 * torch.randn((6, 4), generator=source), targets, weights
