"""The adaptive labeler's model of one solution: how the success probability moves along it, and where it is lost. Only numbers.

A solution with a wrong answer has M prefixes; prefix e, 1 <= e <= M, is the first wrong one. Before e the prefixes are good,
from e on bad. The success probability V_t of prefix t is one of `LEVELS`. Along the good part log-odds(V) walks slowly; at e it
drops, mostly to nothing, and stays low. What is seen at prefix t is hits and rollouts, binomial given V_t, and how many of the
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

REPEAT_LEVELS: Array = np.array([0.005, 0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.995])
"""Probabilities that a rollout repeats the solution's next step, word for word."""

POSITIONS = 8
"""Bins of the prior over the relative position of the first error."""


@dataclass(frozen=True)
class ValueModel:
    """The parameters; the defaults are a weak prior, `fit` finds those of a policy and its problems.

    Good part: log-odds move by `drift` +- `spread` a step, or with probability `jump` to any level. At the error the value is
    lost with probability `lost`, and else falls to a level at or below, level j below weighted exp(-taper * j) from the lowest
    up. Later it stays with probability `stay`, and else falls again, by `lost_later` and `taper_later`.
    `position[i]` is the prior weight of bin i of the relative position; `repeats` has three rows,
    for a step before the first error, the step that is it, and a step after it: the probabilities of `REPEAT_LEVELS`.
    """

    drift: float = 0.1
    spread: float = 0.4
    jump: float = 0.02
    lost: float = 0.75
    taper: float = 0.1
    stay: float = 0.5
    lost_later: float = 0.9
    taper_later: float = 0.2
    position: tuple[float, ...] = (1 / POSITIONS,) * POSITIONS
    repeats: tuple[tuple[float, ...], ...] = ((1 / len(REPEAT_LEVELS),) * len(REPEAT_LEVELS),) * 3

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ValueModel:
        rows = tuple(tuple(row) for row in values["repeats"])
        return cls(**{**values, "position": tuple(values["position"]), "repeats": rows})

    @cached_property
    def walk(self) -> Array:
        """(L, L): from a good level to the next good one."""
        odds = np.log(LEVELS / (1 - LEVELS))
        moves = np.exp(-0.5 * ((odds[None, :] - odds[:, None] - self.drift) / self.spread) ** 2)
        return np.asarray((1 - self.jump) * moves / moves.sum(1, keepdims=True) + self.jump / len(LEVELS))

    @cached_property
    def drop(self) -> Array:
        """(L, L): from a good level to the level of the first wrong prefix."""
        return _fall(self.lost, self.taper)

    @cached_property
    def decay(self) -> Array:
        """(L, L): from a bad level to the next bad one."""
        return self.stay * np.eye(len(LEVELS)) + (1 - self.stay) * _fall(self.lost_later, self.taper_later)

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


def _fall(lost: float, taper: float) -> Array:
    size = len(LEVELS)
    falls = np.tril(np.exp(-taper * np.arange(size))[None, :].repeat(size, 0))
    falls *= (1 - lost) / falls.sum(1, keepdims=True)
    falls[:, 0] += lost
    return np.asarray(falls)


@lru_cache(maxsize=512)
def _position_prior(position: Sequence[float], length: int) -> Array:
    weights = np.interp(bins(length), np.arange(POSITIONS), np.array(position))
    return np.asarray(weights / weights.sum())
