"""The comparative loss of PQM: Eq. 10 of arXiv 2410.11287 by hand, and its extension to graded targets."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from openr_data.prm.config import IGNORE
from openr_data.prm.ranking import comparative_loss, has_order

ZETA = 4.0


def test_equation_10_by_hand() -> None:
    """Two good steps, one bad one, the start in front: three terms."""
    q1, q2, w = 1.0, 2.0, -1.0
    bad = exp(w + ZETA)
    terms = [
        -log(1 / (1 + bad)),
        -log(exp(q1) / (1 + exp(q1) + bad)),
        -log(exp(q2) / (1 + exp(q1) + exp(q2) + bad)),
    ]
    found = comparative_loss(tensor([[q1, q2, w]]), tensor([[1.0, 1.0, 0.0]]), ZETA)
    assert float(found) == pytest.approx(sum(terms) / 3, abs=1e-6)


def test_without_a_bad_step_the_start_is_no_term() -> None:
    """As the authors average: -log(e / (1 + e)) alone."""
    found = comparative_loss(tensor([[1.0, 9.0]]), tensor([[1.0, IGNORE]]), ZETA)
    assert float(found) == pytest.approx(log(1 + exp(-1)), abs=1e-6)


def test_only_bad_steps_are_pushed_below_the_start() -> None:
    found = comparative_loss(tensor([[-2.0, 0.5]]), tensor([[0.0, 0.0]]), ZETA)
    assert float(found) == pytest.approx(log(1 + exp(2) + exp(4.5)), abs=1e-6)


def test_graded_targets_by_hand() -> None:
    """.75 stands above .25 with the margin zeta / 2 and above the start; the start stands above .25 with zeta / 2."""
    high, low = 1.5, 0.5
    pushed = exp(low + ZETA / 2)
    terms = [-log(1 / (1 + pushed)), -log(exp(high) / (1 + exp(high) + pushed))]
    found = comparative_loss(tensor([[low, high]]), tensor([[0.25, 0.75]]), ZETA)
    assert float(found) == pytest.approx(sum(terms) / 2, abs=1e-6)


def test_a_solution_without_known_steps_has_no_loss() -> None:
    targets = tensor([[IGNORE, IGNORE], [1.0, IGNORE]])
    found = comparative_loss(torch.zeros(2, 2), targets, ZETA)
    assert found[0] == 0
    assert has_order(targets).tolist() == [False, True]


@given(st.integers(0, 10**6))
def test_hard_targets_agree_with_the_authors_formula(seed: int) -> None:
    """Their sums in their order (train_main.py), with steps masked after the first bad one or kept, in float64."""
    source = torch.Generator().manual_seed(seed)
    q, y = torch.randn(5, generator=source), (torch.rand(5, generator=source) < 0.6).float()
    mine = comparative_loss(q[None], y[None], ZETA)
    bad = sum(exp(value + ZETA) for value, label in zip(q.tolist(), y.tolist(), strict=True) if label == 0)
    terms, below = ([-log(1 / (1 + bad))] if bad else []), 1.0
    for value, label in zip(q.tolist(), y.tolist(), strict=True):
        if label == 1:
            terms.append(-log(exp(value) / (exp(value) + below + bad)))
            below += exp(value)
    assert float(mine) == pytest.approx(sum(terms) / len(terms), rel=1e-4)


@given(st.integers(0, 10**6))
def test_raising_the_best_step_and_lowering_the_worst_lowers_the_loss(seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    q, y = torch.randn(1, 4, generator=source), tensor([[0.0, 0.3, 0.8, 1.0]])
    q.requires_grad_()
    (gradient,) = torch.autograd.grad(comparative_loss(q, y, ZETA).sum(), q)
    assert gradient[0, 3] < 0 < gradient[0, 0]
