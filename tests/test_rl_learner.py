"""The reference trainer on a tiny model: what a batch is cut into changes nothing, and good tokens become likelier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from local_models import save_llama

from openr_data.errors import EngineError, UsageError
from openr_data.rl.batches import Sample, batches
from openr_data.rl.learner import LearnConfig, Learner
from openr_data.rl.losses import PolicyLoss
from openr_data.rl.models import load_policy, save_policy
from openr_data.rl.policy import all_logprobs

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = save_llama(tmp_path_factory.mktemp("llama"))
    return path


def samples(count: int = 6, seed: int = 0) -> list[Sample]:
    draw = Random(seed)
    found = []
    for _ in range(count):
        prompt = [draw.randrange(4, 60) for _ in range(draw.randint(2, 9))]
        lengths = [draw.randint(1, 4) for _ in range(draw.randint(1, 3))]
        tokens = [draw.randrange(4, 60) for _ in range(sum(lengths))]
        found.append(Sample(prompt, tokens, [draw.uniform(-1, 1) for _ in tokens], lengths))
    return found


def plain_logprobs(model: Any, sample: Sample, temperature: float) -> torch.Tensor:
    ids = torch.tensor([[*sample.prompt, *sample.tokens]])
    with torch.no_grad():
        scores = torch.log_softmax(model(ids).logits[0].float() / temperature, -1)
    at = len(sample.prompt) - 1
    return torch.stack([scores[at + place, token] for place, token in enumerate(sample.tokens)])


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_are_those_of_each_sample_alone(folder: Path, temperature: float) -> None:
    model = load_policy(folder, CPU)
    for sample, found in zip(samples(), all_logprobs(model, samples(), 60, temperature), strict=True):
        assert torch.allclose(found, plain_logprobs(model, sample, temperature), atol=1e-5)


def test_batches_hold_every_sample_once_under_the_budget() -> None:
    given = samples(20)
    made = list(batches(given, 50, CPU))
    assert sorted(row for batch in made for row in batch.rows) == list(range(20))
    for batch in made:
        assert batch.ids.numel() <= 50 or len(batch.rows) == 1
        for place, row in enumerate(batch.rows):
            there = batch.mask[place].bool()
            assert batch.targets[place][there].tolist() == list(given[row].tokens)
            assert batch.advantages[place][there].tolist() == pytest.approx(given[row].advantages)
            assert batch.step[place][there].bincount().tolist() == list(given[row].lengths)


def weights(model: Any) -> torch.Tensor:
    return torch.cat([each.detach().flatten() for each in model.parameters()])


def updated(folder: Path, given: Sequence[Sample], **config: Any) -> tuple[torch.Tensor, dict[str, float]]:
    model = load_policy(folder, CPU)
    learner = Learner(model, LearnConfig(**config))
    told = learner.update(given, 1e-3, Random(0))
    return weights(model), told


@pytest.mark.parametrize("reduction", ["dapo", "grpo", "dr_grpo"])
def test_how_a_batch_is_cut_changes_neither_loss_nor_weights(folder: Path, reduction: Any) -> None:
    loss = PolicyLoss(reduction=reduction)
    (whole, told), (cut, told_cut) = (updated(folder, samples(), loss=loss, batch_tokens=budget) for budget in (10_000, 25))
    assert told == pytest.approx(told_cut, abs=1e-5)
    # Adam moves a weight whose gradient is next to nothing by the sign of its rounding: so the way as a whole is compared.
    assert torch.dist(whole, cut) < 1e-3 * torch.dist(whole, weights(load_policy(folder, CPU)))


def test_the_loss_of_one_step_is_minus_the_mean_advantage(folder: Path) -> None:
    given = samples()
    _, told = updated(folder, given)
    every = [each for sample in given for each in sample.advantages]
    assert told["loss"] == pytest.approx(-sum(every) / len(every), abs=1e-6)
    assert told["clipped"] == 0


def test_good_tokens_become_likelier_and_bad_ones_less(folder: Path) -> None:
    first, second = (
        replace(each, advantages=[sign] * len(each.tokens)) for each, sign in zip(samples(2), (1.0, -1.0), strict=True)
    )
    model = load_policy(folder, CPU)
    learner = Learner(model, LearnConfig(warmup=0))
    before = [float(line.sum()) for line in all_logprobs(model, [first, second], 1000, 1.0)]
    for _ in range(5):
        learner.update([first, second], 1e-3, Random(0))
    after = [float(line.sum()) for line in all_logprobs(model, [first, second], 1000, 1.0)]
    assert after[0] > before[0]
    assert after[1] < before[1]


def test_several_passes_meet_the_bounds_of_the_ratio(folder: Path) -> None:
    _, told = updated(folder, samples(), epochs=8, minibatches=2, loss=PolicyLoss(0.01, 0.01))
    assert told["clipped"] > 0


def test_equal_rewards_change_nothing(folder: Path) -> None:
    still = [replace(each, advantages=[0.0] * len(each.tokens)) for each in samples()]
    after, told = updated(folder, still)
    assert torch.equal(after, weights(load_policy(folder, CPU)))
    assert (told["loss"], told["gradient"]) == (0, 0)


def test_the_penalty_pulls_back_to_the_reference(folder: Path) -> None:
    still = [replace(each, advantages=[0.0] * len(each.tokens)) for each in samples()]
    model, reference = load_policy(folder, CPU), load_policy(folder, CPU).eval()
    with torch.no_grad():
        for each in model.parameters():
            each.add_(0.01 * torch.randn_like(each))
    learner = Learner(model, LearnConfig(loss=PolicyLoss(beta=1.0)), reference)
    found = [learner.update(still, 3e-4, Random(0))["kl"] for _ in range(20)]
    assert found[-1] < found[0] / 2
    with pytest.raises(UsageError):
        Learner(model, LearnConfig(loss=PolicyLoss(beta=1.0)))


def test_a_number_that_is_none_changes_nothing(folder: Path) -> None:
    model = load_policy(folder, CPU)
    before = weights(model)
    bad = [replace(samples(1)[0], advantages=[float("nan")] * len(samples(1)[0].tokens))]
    with pytest.raises(EngineError, match="no number"):
        Learner(model, LearnConfig()).update(bad, 1e-3, Random(0))
    assert torch.equal(weights(model), before)


def test_schedules() -> None:
    rates = [LearnConfig(rate=1.0, warmup=4, schedule="linear").rate_at(update, 100) for update in range(100)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[40] == 1.0
    assert rates[70] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(1 / 60)
    cosine = LearnConfig(rate=1.0, warmup=0, schedule="cosine")
    assert cosine.rate_at(50, 100) == pytest.approx(0.5)
    with pytest.raises(UsageError, match="schedule"):
        LearnConfig(schedule="none")


def test_a_saved_policy_is_the_same_policy(folder: Path, tmp_path: Path) -> None:
    model = load_policy(folder, CPU)
    save_policy(model, folder, tmp_path / "saved", ("plain", "\n"))
    again = load_policy(tmp_path / "saved", CPU)
    assert torch.equal(weights(model), weights(again))
    assert (tmp_path / "saved" / "tokenizer.json").is_file()
