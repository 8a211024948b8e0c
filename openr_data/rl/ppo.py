"""Proximal policy optimisation with a value head (arXiv 1707.06347), at the level of tokens, steps or turns.

OpenR's TPPO is the token level and its APPO the step level, with one ratio for a step (arXiv 2410.09671); a solution is one turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Literal

import torch
from torch import Tensor

from openr_data.errors import EngineError, UsageError
from openr_data.rl.advantages.gae import gae, token_discounts, token_rewards
from openr_data.rl.advantages.spread import spread
from openr_data.rl.batches import Sample
from openr_data.rl.critic import Critic, token_states
from openr_data.rl.learner import Learner
from openr_data.rl.rewards import Rewards, step_rewards
from openr_data.rl.trajectory import Trajectory

Level = Literal["token", "step", "turn"]
_LEVELS = ("token", "step", "turn")


@dataclass(frozen=True, slots=True)
class Ppo:
    """`discount` holds between segments (at the token level between steps, and 1 inside of one), `decay` is GAE's lambda. The
    value head learns at `critic_rate`, `critic_epochs` times over the states of an update. Raises `UsageError`.
    """

    rewards: Rewards = field(default_factory=Rewards)
    level: Level = "token"
    discount: float = 1.0
    decay: float = 0.95
    critic_rate: float = 1e-3
    critic_epochs: int = 4

    def __post_init__(self) -> None:
        if self.level not in _LEVELS:
            raise UsageError(f"there is no level '{self.level}'; choose one of: {', '.join(_LEVELS)}")
        if not 0 <= self.discount <= 1 or not 0 <= self.decay <= 1 or self.critic_rate <= 0 or self.critic_epochs < 1:
            raise UsageError("--discount and --decay are from 0 to 1, and the value head's rate and epochs above 0")


class ActorCritic:
    """A learner with a value head. `critic` has to be kept with the policy's weights and the learner's optimiser."""

    def __init__(self, learner: Learner, ppo: Ppo) -> None:
        self.learner, self.ppo = learner, ppo
        model = learner.model
        width = model.config.get_text_config(decoder=True).hidden_size
        self.critic = Critic(width, ppo.critic_rate).to(next(model.parameters()).device)

    def play(self, trajectories: Sequence[Trajectory], rate: float, draw: Random) -> dict[str, float]:
        """One update of value head and policy, and what happened. Raises `EngineError` where no solution has its rewards, and as
        `Learner.update` does.
        """
        paid = [
            (each, pay) for each in trajectories if (pay := step_rewards(each, self.ppo.rewards, self.ppo.discount)) is not None
        ]
        if not paid:
            raise EngineError("no solution of an update could be rewarded, so there is nothing to learn from")
        samples = [Sample(each.prompt, each.tokens, [0.0] * len(each.tokens), each.lengths) for each, _ in paid]
        states = token_states(self.learner.model, samples, 2 * self.learner.config.batch_tokens)
        with torch.no_grad():
            values = [self.critic(each).cpu() for each in states]
        estimated = [self._estimate(each, pay, line) for (each, pay), line in zip(paid, values, strict=True)]
        told = self.learner.update(_whitened(samples, [each.advantages for each in estimated]), rate, draw)
        error = self._fit(states, [each.targets for each in estimated], draw)
        return {**told, "value_error": error, "value": float(torch.cat(values).mean())}

    def state(self) -> dict[str, Any]:
        """Of the value head and its optimiser."""
        return {"critic": self.critic.state_dict(), "critic_optimizer": self.critic.optimizer.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.critic.load_state_dict(state["critic"])
        self.critic.optimizer.load_state_dict(state["critic_optimizer"])

    def _estimate(self, each: Trajectory, rewards: Sequence[float], values: Tensor) -> _Estimated:
        line, ppo = values.tolist(), self.ppo
        if ppo.level == "token":
            pay, discounts = token_rewards(rewards, each.lengths), token_discounts(each.lengths, ppo.discount)
            advantages, targets = gae(pay, line, discounts, ppo.decay)
            return _Estimated(advantages, targets)
        pay, lengths = _segments(rewards, each.lengths) if ppo.level == "step" else ([sum(rewards)], [len(each.tokens)])
        starts = [sum(lengths[:number]) for number in range(len(lengths))]
        advantages, targets = gae(pay, [line[start] for start in starts], [ppo.discount] * len(pay), ppo.decay)
        at_start = dict(zip(starts, targets, strict=True))
        return _Estimated(spread(advantages, lengths), [at_start.get(place) for place in range(len(line))])

    def _fit(self, states: Sequence[Tensor], targets: Sequence[Sequence[float | None]], draw: Random) -> float:
        """Over the states at which a value is read: all of them, or where a segment begins."""
        known = [
            (line[place], target)
            for line, row in zip(states, targets, strict=True)
            for place, target in enumerate(row)
            if target is not None
        ]
        stacked = torch.stack([state for state, _ in known])
        wanted = torch.tensor([target for _, target in known], device=stacked.device)
        return self.critic.fit(stacked, wanted, epochs=self.ppo.critic_epochs, batch=1024, seed=draw.getrandbits(31))


@dataclass(frozen=True, slots=True)
class _Estimated:
    """Per token: the advantage, and what the value head should have said (`None`: it is not read there)."""

    advantages: Sequence[float]
    targets: Sequence[float | None]


def _segments(rewards: Sequence[float], lengths: Sequence[int]) -> tuple[list[float], list[int]]:
    """Steps without a token of their own pay with the one before them (or, at the beginning, with the next).

    >>> _segments([1.0, 2.0, 4.0], [3, 0, 2])
    ([3.0, 4.0], [3, 2])
    """
    pay: list[float] = []
    kept: list[int] = []
    ahead = 0.0
    for reward, length in zip(rewards, lengths, strict=True):
        if length:
            pay.append(reward + ahead)
            kept.append(length)
            ahead = 0.0
        elif pay:
            pay[-1] += reward
        else:
            ahead += reward
    return pay, kept


def _whitened(samples: Sequence[Sample], advantages: Sequence[Sequence[float]]) -> list[Sample]:
    """With advantages of mean 0 and deviation 1 over all tokens of the update."""
    every = torch.tensor([value for line in advantages for value in line], dtype=torch.float64)
    centre, width = float(every.mean()), float(every.std(correction=0)) + 1e-8
    return [
        replace(sample, advantages=[(value - centre) / width for value in line])
        for sample, line in zip(samples, advantages, strict=True)
    ]
