"""The policy loss: against sums written out by hand, and what must not change it."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import pytest
import torch

from openr_data.errors import UsageError
from openr_data.rl.losses import Extent, Played, PolicyLoss, clipped_share, divergence, log_ratio, policy_loss

MASK = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
STEP = torch.tensor([[0, 0, 1], [0, 1, 0]])
EXTENT = Extent(tokens=5, solutions=2, length=10)


def played(drift: float = 0.0, seed: int = 0) -> Played:
    torch.manual_seed(seed)
    old = -torch.rand(2, 3)
    new = (old + drift * torch.randn(2, 3)).requires_grad_()
    return Played(new, old, torch.tensor([[1.0, -2.0, 0.5], [-1.0, 3.0, 9.0]]), MASK, STEP)


def by_hand(given: Played, loss: PolicyLoss) -> list[list[float]]:
    """Each token's own part, with plain numbers."""
    rows = []
    for new, old, advantages in zip(given.new.tolist(), given.old.tolist(), given.advantages.tolist(), strict=True):
        row = []
        for n, o, a in zip(new, old, advantages, strict=True):
            ratio = exp(n - o)
            row.append(-min(ratio * a, min(max(ratio, 1 - loss.clip_low), 1 + loss.clip_high) * a))
        rows.append(row)
    return rows


@pytest.mark.parametrize("reduction", ["dapo", "grpo", "dr_grpo"])
def test_the_loss_by_hand(reduction: str) -> None:
    loss = PolicyLoss(0.1, 0.3, reduction=reduction)  # type: ignore[arg-type]
    given = played(0.5)
    (a, b, c), (d, e, _) = by_hand(given, loss)
    wanted = {
        "dapo": (a + b + c + d + e) / 5,
        "grpo": ((a + b + c) / 3 + (d + e) / 2) / 2,
        "dr_grpo": (a + b + c + d + e) / (2 * 10),
    }
    assert policy_loss(given, loss, EXTENT).item() == pytest.approx(wanted[reduction], rel=1e-5)


def test_on_policy_the_gradient_is_the_policy_gradient() -> None:
    given = played()
    policy_loss(given, PolicyLoss(), EXTENT).backward()  # type: ignore[no-untyped-call]
    assert given.new.grad is not None
    assert torch.allclose(given.new.grad, -given.advantages * MASK / 5)


def test_what_is_clipped_has_no_gradient_and_is_counted() -> None:
    given = played()
    new = torch.tensor([[0.5, 0.5, -0.5], [0.5, -0.5, 0.0]]) + given.old
    far = replace(given, new=new.requires_grad_())
    policy_loss(far, PolicyLoss(), EXTENT).backward()  # type: ignore[no-untyped-call]
    assert far.new.grad is not None
    # Advantages 1, -2, .5 and -1, 3: only the first rose with a good advantage; what fell has good ones.
    assert (far.new.grad == 0).tolist() == [[True, False, False], [False, False, True]]
    assert int(clipped_share(far, PolicyLoss())) == 1


def test_levels_of_the_ratio() -> None:
    given = replace(played(), new=played().old + torch.tensor([[0.1, 0.2, 0.4], [0.3, -0.1, 7.0]]))
    assert torch.allclose(log_ratio(given, "token"), torch.tensor([[0.1, 0.2, 0.4], [0.3, -0.1, 0.0]]), atol=1e-6)
    step = log_ratio(given, "step") * MASK
    assert torch.allclose(step, torch.tensor([[0.3, 0.3, 0.4], [0.3, -0.1, 0.0]]), atol=1e-6)
    mean = log_ratio(given, "sequence") * MASK
    assert torch.allclose(mean, torch.tensor([[0.7 / 3] * 3, [0.1, 0.1, 0.0]]), atol=1e-6)


@pytest.mark.parametrize("ratio", ["token", "step", "sequence"])
def test_advantages_that_are_constant_over_a_sequence(ratio: str) -> None:
    """[solutions, tokens] of one value each is [solutions]."""
    given = played(0.3, seed=1)
    one = torch.tensor([[2.0], [-1.0]])
    loss = PolicyLoss(ratio=ratio)  # type: ignore[arg-type]
    wide = policy_loss(replace(given, advantages=one.expand(2, 3)), loss, EXTENT)
    assert torch.equal(wide, policy_loss(replace(given, advantages=one), loss, EXTENT))


def test_the_penalty_is_zero_at_the_reference_and_grows() -> None:
    assert float(divergence(torch.tensor([-1.0]), torch.tensor([-1.0]))) == 0
    assert float(divergence(torch.tensor([0.0]), torch.tensor([1.0]))) == pytest.approx(exp(1) - 2)
    given = replace(played(), reference=played().old - 1.0)
    plain, with_it = (policy_loss(given, PolicyLoss(beta=beta), EXTENT).item() for beta in (0.0, 0.5))
    assert with_it - plain == pytest.approx(0.5 * (exp(-1) + 1 - 1))


def test_the_estimator_has_no_bias() -> None:
    """E[r - 1 - ln r] under the new policy is KL(new || reference)."""
    new, reference = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.3, 0.5])
    expected = float((new * divergence(new.log(), reference.log())).sum())
    assert expected == pytest.approx(float((new * (new / reference).log()).sum()), rel=1e-5)


def test_the_corrected_penalty_has_the_gradient_of_the_divergence() -> None:
    """Over all tokens, by their probability: the gradient of ratio * k3 is that of KL(new || reference), that of k3 is not."""
    reference = torch.tensor([0.2, 0.3, 0.5]).log()
    logits = torch.tensor([0.4, -0.1, 0.2], requires_grad=True)
    new = torch.log_softmax(logits, 0)
    (wanted,) = torch.autograd.grad((new.exp() * (new - reference)).sum(), logits, retain_graph=True)
    weights, ratio = new.exp().detach(), torch.exp(new - new.detach())
    corrected = (weights * ratio * divergence(new, reference)).sum()
    plain = (weights * divergence(new, reference)).sum()
    found = [torch.autograd.grad(each, logits, retain_graph=True)[0] for each in (corrected, plain)]
    assert torch.allclose(found[0], wanted, atol=1e-6)
    assert not torch.allclose(found[1], wanted, atol=1e-3)


def test_parts_add_up_to_the_whole() -> None:
    given = played(0.3)
    whole = policy_loss(given, PolicyLoss(), EXTENT)
    halves = [
        Played(given.new[i : i + 1], given.old[i : i + 1], given.advantages[i : i + 1], MASK[i : i + 1], STEP[i : i + 1])
        for i in range(2)
    ]
    assert sum(policy_loss(each, PolicyLoss(), EXTENT).item() for each in halves) == pytest.approx(whole.item(), rel=1e-6)


@pytest.mark.parametrize("wrong", [{"ratio": "word"}, {"reduction": "sum"}, {"beta": -1.0}, {"clip_low": 1.5}])
def test_what_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        PolicyLoss(**wrong)  # type: ignore[arg-type]
