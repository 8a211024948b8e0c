"""Proximal policy optimisation: what steps are paid, what the value head learns, and that levels mean what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from local_models import save_llama

from openr_data.errors import EngineError, UsageError
from openr_data.rl.batches import Sample
from openr_data.rl.critic import Critic, token_states
from openr_data.rl.learner import LearnConfig, Learner
from openr_data.rl.models import load_policy
from openr_data.rl.policy import all_logprobs
from openr_data.rl.ppo import ActorCritic, Level, Ppo
from openr_data.rl.rewards import Rewards, step_rewards
from openr_data.rl.trajectory import Trajectory

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = save_llama(tmp_path_factory.mktemp("llama"))
    return path


def solution(outcome: float | None, scores: tuple[float | None, ...] = (), *, steps: int = 2, seed: int = 0) -> Trajectory:
    draw = Random(seed)
    tokens = tuple(draw.randrange(4, 60) for _ in range(3 * steps))
    return Trajectory((5, 6, 7), tokens, ("x",) * steps, (3,) * steps, outcome, scores)


def test_shaped_rewards_sum_to_the_outcome_whatever_the_steps() -> None:
    draw = Random(1)
    for steps in range(1, 9):
        scores = tuple(draw.random() for _ in range(steps))
        found = step_rewards(solution(1.0, scores, steps=steps), Rewards("shaped"))
        assert found is not None
        assert sum(found) == pytest.approx(1.0)


def test_summed_scores_pay_for_steps() -> None:
    found = step_rewards(solution(0.0, (0.9,) * 5, steps=5), Rewards("mixed", 0.5))
    assert found == pytest.approx([0.45] * 5)


def test_a_step_that_spoils_the_solution_is_paid_least() -> None:
    found = step_rewards(solution(0.0, (0.9, 0.1, 0.1), steps=3), Rewards("shaped"))
    assert found == pytest.approx([0.9, -0.8, -0.1])


@pytest.mark.parametrize("kind", ["outcome", "prm", "mixed", "shaped"])
def test_what_is_not_known_is_not_paid(kind: str) -> None:
    rewards = Rewards(kind)  # type: ignore[arg-type]
    if kind != "outcome":
        assert step_rewards(solution(1.0, (0.5, None)), rewards) is None
        assert step_rewards(solution(1.0), rewards) is None
    if kind != "prm":
        assert step_rewards(solution(None, (0.5, 0.5)), rewards) is None


@pytest.mark.parametrize("wrong", [{"kind": "best"}, {"weight": -1.0}])
def test_rewards_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Rewards(**wrong)  # type: ignore[arg-type]


def test_states_are_those_from_which_the_tokens_were_written(folder: Path) -> None:
    """The logits of the states are the log-probabilities of the tokens."""
    model = load_policy(folder, CPU)
    samples = [
        Sample(each.prompt, each.tokens, [0.0] * len(each.tokens)) for each in (solution(1.0), solution(0.0, steps=4, seed=1))
    ]
    known = all_logprobs(model, samples, 1000, 1.0)
    for sample, states, wanted in zip(samples, token_states(model, samples, 1000), known, strict=True):
        scores = torch.log_softmax(model.lm_head(states), -1)
        assert torch.allclose(scores[torch.arange(len(sample.tokens)), list(sample.tokens)], wanted, atol=1e-4)


def test_a_value_head_begins_at_zero_and_learns() -> None:
    torch.manual_seed(0)
    states = torch.randn(400, 16)
    targets = (states[:, 0] > 0).float()
    critic = Critic(16, rate=1e-2)
    assert critic(states).abs().max() == 0
    errors = [critic.fit(states, targets, epochs=2, batch=64, seed=seed) for seed in range(40)]
    assert errors[0] == pytest.approx(float((targets**2).mean()))
    assert errors[-1] < 0.05


def actor(folder: Path, level: Level = "token", **changes: object) -> ActorCritic:
    torch.manual_seed(0)
    learner = Learner(load_policy(folder, CPU), LearnConfig(epochs=2, minibatches=2))
    return ActorCritic(learner, replace(Ppo(level=level), **changes))  # type: ignore[arg-type]


def likelihoods(played: ActorCritic, trajectories: Sequence[Trajectory]) -> list[float]:
    samples = [Sample(each.prompt, each.tokens, [0.0] * len(each.tokens)) for each in trajectories]
    return [float(line.sum()) for line in all_logprobs(played.learner.model, samples, 1000, 1.0)]


@pytest.mark.parametrize("level", ["token", "step", "turn"])
def test_right_solutions_become_likelier_and_values_come_near_the_outcome(folder: Path, level: Level) -> None:
    played = actor(folder, level)
    right, wrong = solution(1.0, seed=1), solution(0.0, seed=2)
    before = likelihoods(played, [right, wrong])
    told = [played.play([right, wrong], 1e-3, Random(update)) for update in range(8)]
    after = likelihoods(played, [right, wrong])
    assert after[0] - before[0] > after[1] - before[1]
    assert told[-1]["value_error"] < told[0]["value_error"]


def test_estimates_at_the_level_of_steps_by_hand(folder: Path) -> None:
    """A new critic says 0: with decay 1 every step has what is still to come, and its first token the target."""
    played = actor(folder, "step", decay=1.0, discount=0.5, rewards=Rewards("prm"))
    found = played._estimate(solution(None, (0.5, 1.0)), [0.5, 1.0], torch.zeros(6))
    assert found.advantages == pytest.approx([1.0] * 3 + [1.0] * 3)
    assert found.targets == [1.0, None, None, 1.0, None, None]
    turn = actor(folder, "turn")._estimate(solution(1.0), [0.0, 1.0], torch.tensor([0.25] * 6))
    assert turn.advantages == pytest.approx([0.75] * 6)
    assert turn.targets == [1.0, None, None, None, None, None]


def test_without_a_reward_nothing_is_learnt(folder: Path) -> None:
    with pytest.raises(EngineError, match="nothing to learn from"):
        actor(folder).play([solution(None)], 1e-3, Random(0))


def test_a_value_head_is_restored(folder: Path) -> None:
    played = actor(folder)
    played.play([solution(1.0, seed=1), solution(0.0, seed=2)], 1e-3, Random(0))
    again = actor(folder)
    again.restore(played.state())
    states = torch.randn(5, played.learner.model.config.hidden_size)
    assert torch.equal(played.critic(states), again.critic(states))
