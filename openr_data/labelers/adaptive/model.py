"""The adaptive labeler's model of one solution: how the success probability moves along it, and where it is lost. Only numbers.

A solution with a wrong answer has M prefixes; prefix e, 1 <= e <= M, is the first wrong one. Before e the prefixes are good,
from e on bad. The success probability V_t of prefix t is one of `LEVELS`. Along the good part V climbs or stays; at e it drops,
 mostly to nothing, and stays low. What is seen at prefix t is hits and rollouts, binomial given V_t, and how many of the
rollouts that reached prefix t repeated the solution's next step: policies repeat a right step more often than a slip.

A bad prefix may keep some of its value (the policy corrects itself): one hit after it then is a hint, not a proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVELS: Array = np.array(
    [0.004, 0.015, 0.03, 0.05, 0.08, 0.12, 0.17, 0.23, 0.3, 0.38, 0.46, 0.54, 0.62, 0.7, 0.77, 0.83, 0.88, 0.92, 0.96, 0.985]
)
"""Success probabilities of the model, closer together towards 0 and 1. The lowest one stands for "lost"."""

_ODDS: Array = np.log(LEVELS / (1 - LEVELS))

REPEAT_LEVELS: Array = np.array([0.005, 0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.995])
"""Probabilities that a rollout repeats the solution's next step, word for word."""

POSITIONS = 8
"""Bins of the prior over the relative position of the first error."""


@dataclass(frozen=True)
class ValueModel:
    """The parameters; the defaults are a weak prior, `fit` finds those of a policy and its problems.

    Good part: with r steps left, log V shrinks by the share `climb` / r (0: V stays; 1: the steps left are equally hard, and V
    comes to 1 at the end); around that the log-odds spread by `rise` upwards and `dip` downwards, or jump to any level with
    probability `jump`. At the error the value is lost with probability `lost`, and else only what can still be made good remains:
    each of the r steps left repairs it with probability q = exp(`log_repair`), so V is multiplied by 1 - (1 - q)^r; around that
    the log-odds spread by `spread`. With each later step the rest is lost with probability `lost_later`, or follows the same law
    with the spread `drift`. It never rises there.

    `position[i]` is the prior weight of bin i of the relative position; `repeats` has three rows, for a step before the first
    error, the step that is it, and a step after it: the probabilities of `REPEAT_LEVELS`.
    """

    climb: float = 0.6
    rise: float = 0.3
    dip: float = 0.25
    jump: float = 0.03
    lost: float = 0.5
    log_repair: float = -3.5
    spread: float = 1.0
    lost_later: float = 0.5
    drift: float = 0.3
    position: tuple[float, ...] = (1 / POSITIONS,) * POSITIONS
    repeats: tuple[tuple[float, ...], ...] = ((1 / len(REPEAT_LEVELS),) * len(REPEAT_LEVELS),) * 3

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ValueModel:
        rows = tuple(tuple(row) for row in values["repeats"])
        return cls(**{**values, "position": tuple(values["position"]), "repeats": rows})

    def walks(self, length: int) -> Array:
        """(length - 1, L, L): from the good level of prefix t to that of prefix t + 1, t = 0 .. length - 2."""
        return _walks(self.climb, self.rise, self.dip, self.jump, length)

    def drops(self, length: int) -> Array:
        """(length - 1, L, L): from the good level of prefix t to that of prefix t + 1, the first wrong one."""
        return _drops(self.lost, self.log_repair, self.spread, length)

    def decays(self, length: int) -> Array:
        """(length - 1, L, L): from the bad level of prefix t to that of prefix t + 1."""
        return _decays(self.lost_later, self.log_repair, self.drift, length)

    @cached_property
    def repeat_rows(self) -> Array:
        """(3, R): `repeats` as an array."""
        return np.array(self.repeats)

    def prior(self, length: int) -> Array:
        """(length,): the probability that prefix 1 .. length is the first wrong one."""
        return _position_prior(self.position, length)


def even(first: float, last: float) -> tuple[float, ...]:
    """A distribution over `REPEAT_LEVELS` that changes evenly from its first to its last weight."""
    weights = np.linspace(first, last, len(REPEAT_LEVELS))
    return tuple(float(weight) for weight in weights / weights.sum())


def bins(length: int) -> Array:
    """(length,): the place of prefix 1 .. length on the axis of the position bins."""
    return (np.arange(1, length + 1) - 0.5) / length * POSITIONS - 0.5


@lru_cache(maxsize=128)
def _walks(climb: float, rise: float, dip: float, jump: float, length: int) -> Array:
    left = np.arange(length, 1, -1)[:, None]
    aims = np.exp(np.log(LEVELS) * np.clip(1 - climb / left, 0.0, 1.0))
    aims = np.clip(aims, LEVELS[0], LEVELS[-1])
    moved = _ODDS - np.log(aims / (1 - aims))[:, :, None]
    weights = np.exp(-0.5 * (moved / np.where(moved > 0, rise, dip)) ** 2)
    return np.asarray((1 - jump) * weights / weights.sum(2, keepdims=True) + jump / len(LEVELS))


@lru_cache(maxsize=128)
def _drops(lost: float, log_repair: float, spread: float, length: int) -> Array:
    return _falls(lost, reparable(log_repair, np.arange(length - 1, 0, -1)), spread)


@lru_cache(maxsize=128)
def _decays(lost: float, log_repair: float, spread: float, length: int) -> Array:
    left = np.arange(length - 1, 0, -1)
    return _falls(lost, reparable(log_repair, left) / reparable(log_repair, left + 1), spread)


def reparable(log_repair: float, left: Array | NDArray[np.int_]) -> Array:
    """The probability that one of the steps that are left repairs an error."""
    return np.asarray(-np.expm1(left * np.log1p(-np.exp(log_repair))))


def _falls(lost: float, shares: Array, spread: float) -> Array:
    """(T, L, L): lost, or about this share of the level, and never more than the level."""
    aims = np.clip(LEVELS * shares[:, None], LEVELS[0], LEVELS[-1])
    off = _ODDS - np.log(aims / (1 - aims))[:, :, None]
    weights = np.tril(np.exp(-0.5 * (off / spread) ** 2) + 1e-12)
    weights *= (1 - lost) / weights.sum(2, keepdims=True)
    weights[:, :, 0] += lost
    return np.asarray(weights)


@lru_cache(maxsize=512)
def _position_prior(position: Sequence[float], length: int) -> Array:
    weights = np.interp(bins(length), np.arange(POSITIONS), np.array(position))
    return np.asarray(weights / weights.sum())
