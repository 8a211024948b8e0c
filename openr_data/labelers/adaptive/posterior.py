"""The posterior of one solution given what was seen of its prefixes: where the first error is, and what each prefix is worth.

Forward and backward sums over the states (good or bad, level) of `ValueModel`; nothing is sampled or approximated beyond the
model's grid. Knows counts, not rollouts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from openr_data.labelers.adaptive.model import LEVELS, REPEAT_LEVELS, Array, ValueModel

SIZE = len(LEVELS)
_LOG, _LOG_NOT = np.log(LEVELS), np.log1p(-LEVELS)
_LOG_REPEAT, _LOG_NOT_REPEAT = np.log(REPEAT_LEVELS), np.log1p(-REPEAT_LEVELS)
_KEPT = 64
_ONES = np.ones(3 * SIZE)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen at prefixes 0 .. M-1, one entry each: hits among decided rollouts, and among the rollouts that reached the
    prefix (`tried`) those that `repeated` the solution's next step.
    """

    hits: Array
    decided: Array
    repeated: Array
    tried: Array


@dataclass(frozen=True, slots=True)
class Posterior:
    """`first[i]` is the probability that prefix i + 1 is the first wrong one (i = 0 .. M-1). For prefixes 0 .. M-1: `good` is the
    probability that the prefix is good, `value` the mean of V, `hit_good` and `hit_bad` the probabilities of (good and a hit),
    (bad and a hit) at the next rollout.
    """

    first: Array
    good: Array
    hit_good: Array
    hit_bad: Array

    @property
    def value(self) -> Array:
        return self.hit_good + self.hit_bad

    @property
    def best(self) -> int:
        """The likeliest first wrong prefix, 1 .. M; the shortest of equals."""
        return int(self.first.argmax()) + 1

    @property
    def confidence(self) -> float:
        return float(self.first.max())


class Inference:
    """Posteriors under one model. The transitions of a length are made once and kept for the lengths last used."""

    def __init__(self, model: ValueModel) -> None:
        self.model = model
        self._moves = lru_cache(_KEPT)(partial(_moves, model))

    def posterior(self, seen: Seen, known_good: int = 0) -> Posterior:
        """The posterior of a solution of M = len(seen.hits) steps with a wrong answer; `known_good` steps are surely right."""
        return self.follow(len(seen.hits), known_good).posterior(seen)

    def follow(self, length: int, known_good: int = 0) -> Followed:
        """The same for a solution that is seen again and again: only what changed is computed anew."""
        return Followed(self.model, self._moves(length), hazards(self.model, length, known_good))


class Followed:
    """One solution under inference: the sums before and behind each prefix are kept, and redone only where evidence came in.

    Of a prefix and its next step there are three cases, L levels each: both are good, the step is the first error, or the prefix
    is bad. `_seen_as[t]` is what was seen of prefix t and its next step in each of them, and the prior of the step.
    """

    def __init__(self, model: ValueModel, moves: Array, hazard: Array) -> None:
        self._model, self._moves = model, moves
        self._prior = np.stack([1 - hazard, hazard, np.ones(len(hazard))], 1)
        self._seen = Seen(*(np.zeros(len(hazard)) for _ in range(4)))
        self._seen_as = np.repeat(self._prior, SIZE, 1)
        self._before, self._behind = np.zeros((2, len(hazard), 3 * SIZE))
        self._before[0, : 2 * SIZE] = self._behind[-1] = 1.0
        self._sum_up(0, len(hazard) - 1)

    def posterior(self, seen: Seen) -> Posterior:
        """Given all that was seen by now."""
        self._take_in(seen)
        joint = self._before * self._seen_as * self._behind
        joint /= (joint @ _ONES)[:, None]
        cases = joint.reshape(-1, 3, SIZE)
        first = cases[:, 1].sum(1)
        first /= first.sum()
        good = np.minimum(first[::-1].cumsum()[::-1], 1.0)
        return Posterior(first, good, cases[:, :2].sum(1) @ LEVELS, cases[:, 2] @ LEVELS)

    def _take_in(self, seen: Seen) -> None:
        was, self._seen = self._seen, seen
        new = (
            (seen.hits != was.hits) | (seen.decided != was.decided) | (seen.tried != was.tried) | (seen.repeated != was.repeated)
        )
        changed = np.flatnonzero(new)
        if not len(changed):
            return
        levels = level_likelihood(seen.hits[changed], seen.decided[changed])
        steps = self._prior[changed] * repeat_likelihood(self._model, seen.repeated[changed], seen.tried[changed]).T
        self._seen_as[changed] = (steps[:, :, None] * levels[:, None, :]).reshape(len(changed), -1)
        self._sum_up(int(changed[0]), int(changed[-1]))

    def _sum_up(self, first: int, last: int) -> None:
        """Anew what stands behind the first prefix that changed, and what stands before the last one."""
        for t in range(first, len(self._before) - 1):
            moved = (self._before[t] * self._seen_as[t]) @ self._moves[t]
            np.divide(moved, moved @ _ONES, out=self._before[t + 1])
        for t in range(last, 0, -1):
            moved = self._moves[t - 1] @ (self._behind[t] * self._seen_as[t])
            np.divide(moved, moved @ _ONES, out=self._behind[t - 1])


def hazards(model: ValueModel, length: int, known_good: int = 0) -> Array:
    """(length,): the prior probability that prefix t + 1 is the first wrong one if prefix t is good; 1 for the last."""
    prior = np.where(np.arange(1, length + 1) <= known_good, 0.0, model.prior(length))
    left = np.cumsum(prior[::-1])[::-1]
    hazard = prior / np.where(left > 0, left, 1.0)
    hazard[-1] = 1.0
    return np.asarray(hazard)


def _moves(model: ValueModel, length: int) -> Array:
    """(length - 1, 3L, 3L): from the cases of a prefix to those of the next one; a good one comes to two, its step chooses."""
    moves = np.zeros((length - 1, 3 * SIZE, 3 * SIZE))
    good, error, after = slice(SIZE), slice(SIZE, 2 * SIZE), slice(2 * SIZE, 3 * SIZE)
    moves[:, good, good] = moves[:, good, error] = model.walks(length)
    moves[:, error, after] = model.drops(length)
    moves[:, after, after] = model.decays(length)
    return moves


def level_likelihood(hits: Array, decided: Array) -> Array:
    """(..., L): the likelihood of each level, up to a factor of the prefix."""
    logs = hits[..., None] * _LOG + (decided - hits)[..., None] * _LOG_NOT
    return np.asarray(np.exp(logs - logs.max(-1, keepdims=True)))


def repeat_likelihood(model: ValueModel, repeated: Array, tried: Array) -> Array:
    """(3, ...): the likelihood of the repeats of each prefix's next step if it is before, at or after the first error, up to a
    common factor.
    """
    return np.moveaxis(repeat_levels(repeated, tried) @ model.repeat_rows.T, -1, 0)


def repeat_levels(repeated: Array, tried: Array) -> Array:
    """(..., R): the likelihood of each repeat level, up to a factor of the prefix."""
    logs = repeated[..., None] * _LOG_REPEAT + (tried - repeated)[..., None] * _LOG_NOT_REPEAT
    return np.asarray(np.exp(logs - logs.max(-1, keepdims=True)))
