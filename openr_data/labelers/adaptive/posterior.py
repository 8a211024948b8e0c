"""The posterior of one solution given what was seen of its prefixes: where the first error is, and what each prefix is worth.

Forward and backward sums over the states (good or bad, level) of `ValueModel`; nothing is sampled or approximated beyond the
model's grid. Knows counts, not rollouts.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from openr_data.labelers.adaptive.model import LEVELS, REPEAT_LEVELS, Array, ValueModel

SIZE = len(LEVELS)
_BOTH = np.concatenate([LEVELS, LEVELS])
_LOG, _LOG_NOT = np.log(_BOTH), np.log1p(-_BOTH)
_LOG_REPEAT, _LOG_NOT_REPEAT = np.log(REPEAT_LEVELS), np.log1p(-REPEAT_LEVELS)
_ONES = np.ones(2 * SIZE)
_KEPT = 128


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
    """Posteriors under one model. The transition matrices of a length are made once and kept for the lengths last used."""

    def __init__(self, model: ValueModel) -> None:
        self.model = model
        self._kept: OrderedDict[tuple[int, int], Array] = OrderedDict()

    def posterior(self, seen: Seen, known_good: int = 0) -> Posterior:
        """The posterior of a solution of M = len(seen.hits) steps with a wrong answer; `known_good` steps are surely right."""
        return self.follow(len(seen.hits), known_good).posterior(seen)

    def follow(self, length: int, known_good: int = 0) -> Followed:
        """The same for a solution that is seen again and again: only what changed is computed anew."""
        return Followed(self.model, self._transitions(length, known_good))

    def _transitions(self, length: int, known_good: int) -> Array:
        """(length - 1, 2L, 2L): from (good, bad) levels of a prefix to those of the next one."""
        key = (length, known_good)
        if key not in self._kept:
            self._kept[key] = self._make(length, known_good)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _make(self, length: int, known_good: int) -> Array:
        model, steps = self.model, np.zeros((length - 1, 2 * SIZE, 2 * SIZE))
        prior = np.where(np.arange(1, length + 1) <= known_good, 0.0, model.prior(length))
        left = np.cumsum(prior[::-1])[::-1]
        hazard = (prior / np.maximum(left, 1e-300))[: length - 1, None, None]
        steps[:, :SIZE, :SIZE] = (1 - hazard) * model.walk
        steps[:, :SIZE, SIZE:] = hazard * model.drop
        steps[:, SIZE:, SIZE:] = model.decay
        return steps


class Followed:
    """One solution under inference: the sums before and behind each prefix are kept, and redone only where evidence came in."""

    def __init__(self, model: ValueModel, transitions: Array) -> None:
        count = len(transitions)
        self._model, self._transitions, self._steps = model, transitions, transitions.copy()
        self._seen = Seen(*(np.zeros(count + 1) for _ in range(4)))
        self._levels = np.ones((count + 1, 2 * SIZE))
        self._repeats = np.ones((3, count + 1))
        self._forward, self._backward = np.zeros((count + 1, 2 * SIZE)), np.ones((count + 1, 2 * SIZE))
        self._sum_forward(0)
        self._sum_backward(count - 1)

    def posterior(self, seen: Seen) -> Posterior:
        """Given all that was seen by now."""
        self._take_in(seen)
        joint = self._forward * self._backward
        joint /= joint.sum(1, keepdims=True)
        good = joint[:, :SIZE].sum(1)
        good[0] = 1.0
        return Posterior(good - np.append(good[1:], 0.0), good, joint[:, :SIZE] @ LEVELS, joint[:, SIZE:] @ LEVELS)

    def _take_in(self, seen: Seen) -> None:
        values = np.flatnonzero((seen.hits != self._seen.hits) | (seen.decided != self._seen.decided))
        steps = np.flatnonzero((seen.tried != self._seen.tried) | (seen.repeated != self._seen.repeated))
        self._seen = seen
        self._levels[values] = level_likelihood(seen.hits[values], seen.decided[values])
        self._repeats[:, steps] = repeat_likelihood(self._model, seen.repeated[steps], seen.tried[steps])
        changed = sorted({int(t) - 1 for t in values} | {int(t) for t in steps if t < len(self._steps)})
        if not changed:
            return
        for t in changed:
            if t >= 0:
                self._weigh(t)
        self._sum_forward(max(changed[0], 0))
        self._sum_backward(changed[-1])

    def _weigh(self, t: int) -> None:
        """The transition from prefix t, weighted with what was seen of that step and behind it."""
        step, good, error, after = self._steps[t], *self._repeats[:, t]
        np.multiply(self._transitions[t], self._levels[t + 1], out=step)
        step[:SIZE, :SIZE] *= good
        step[:SIZE, SIZE:] *= error
        step[SIZE:, SIZE:] *= after

    def _sum_forward(self, start: int) -> None:
        if start == 0:
            self._forward[0, :SIZE] = self._levels[0, :SIZE]
        for t in range(start, len(self._steps)):
            moved = self._forward[t] @ self._steps[t]
            self._forward[t + 1] = moved / (moved @ _ONES)

    def _sum_backward(self, start: int) -> None:
        for t in range(start, -1, -1):
            moved = self._steps[t] @ self._backward[t + 1]
            self._backward[t] = moved / (moved @ _ONES)


def level_likelihood(hits: Array, decided: Array) -> Array:
    """(..., 2L): the likelihood of each level, good and bad alike, up to a factor of the prefix."""
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
