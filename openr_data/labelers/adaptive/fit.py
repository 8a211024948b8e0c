"""Fits the adaptive labeler's model to a pilot: no labels are needed, only what rollouts showed of wrong solutions.

The mode of the posterior under a weak prior, with first errors and values summed out: a coordinate search over the movement of
the value, and expectation-maximisation for the position prior and the repeat histograms. A likelihood does not depend on the
stopping rule, so a pilot may itself be labelled adaptively.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from openr_data.labelers.adaptive.model import POSITIONS, Array, ValueModel, bins, even
from openr_data.labelers.adaptive.posterior import SIZE, Seen, level_likelihood, repeat_levels, repeat_likelihood

ROUNDS = 30
SHRINK = 0.6
SETTLED = 0.01
SMOOTHING = 0.5
"""Weight of an even position prior beside the pilot's own: what the posteriors say of positions is partly their prior's echo."""

_PSEUDO = 0.5
"""Counts added to every histogram bin, so that a small pilot excludes nothing."""

_RANGES = {
    "climb": (0.0, 1.5, 0.6, 0.4),
    "rise": (0.15, 2.0, 0.3, 0.3),
    "dip": (0.1, 0.6, 0.25, 0.2),
    "jump": (0.02, 0.3, 0.03, 0.05),
    "lost": (0.0, 0.98, 0.5, 0.25),
    "log_repair": (-8.0, -1.5, -3.5, 1.0),
    "spread": (0.2, 4.0, 1.0, 0.7),
    "lost_later": (0.0, 0.98, 0.5, 0.5),
    "drift": (0.1, 3.0, 0.3, 0.3),
}
"""Lowest and highest value of each movement parameter, and the mean and spread of a weak normal prior.

An error has to cost something: with `lost` at 0 and repairs nearly sure, a small pilot may be explained a little better by
calling right steps errors.
"""


@dataclass(frozen=True, slots=True)
class Pilot:
    """The pilot's solutions side by side, padded in front: arrays of (solutions, prefixes), the last prefixes in one column."""

    seen: Seen
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, solutions: Sequence[Seen]) -> Pilot:
        lengths = tuple(len(each.hits) for each in solutions)
        padded = {
            name: np.stack([np.pad(getattr(each, name), (max(lengths) - len(each.hits), 0)) for each in solutions])
            for name in ("hits", "decided", "repeated", "tried")
        }
        return cls(Seen(**padded), lengths)


STARTS = ((0.85, -1.5, 0.8), (0.1, -4.0, 0.1))
"""`lost`, `log_repair` and `lost_later` of a policy that hardly ever recovers, and of one that does: each has its own hill."""


def fit(solutions: Sequence[Seen]) -> ValueModel:
    """The model that explains the pilot best; the default one when there is nothing to learn from. Deterministic."""
    if not solutions:
        return ValueModel()
    pilot = Pilot.of(solutions)
    found = [_climb(replace(_START, lost=lost, log_repair=rate, lost_later=later), pilot) for lost, rate, later in STARTS]
    return max(found, key=lambda model: log_posterior(model, pilot))


_START = ValueModel(repeats=(even(0.5, 2.0), even(2.0, 0.5), even(1.0, 1.0)))


def _climb(model: ValueModel, pilot: Pilot) -> ValueModel:
    steps = {name: spread / 2 for name, (*_, spread) in _RANGES.items()}
    for _ in range(ROUNDS):
        model, steps = _walk(model, pilot, steps)
        model = _expected(model, pilot)
        if all(steps[name] < SETTLED * (high - low) for name, (low, high, *_) in _RANGES.items()):
            break
    return model


def log_likelihood(model: ValueModel, pilot: Pilot) -> float:
    """Of the whole pilot, up to a constant that no parameter changes."""
    return float(_evidence(model, pilot)[1].sum())


def log_posterior(model: ValueModel, pilot: Pilot) -> float:
    """With the weak prior, which decides where a pilot says little."""
    offs = (((getattr(model, name) - mean) / spread) ** 2 for name, (_, _, mean, spread) in _RANGES.items())
    return log_likelihood(model, pilot) - 0.5 * float(sum(offs))


def first_errors(model: ValueModel, pilot: Pilot) -> Array:
    """(solutions, prefixes): the posterior of each first wrong prefix, 1 .. length."""
    return _evidence(model, pilot)[0]


def _walk(model: ValueModel, pilot: Pilot, steps: dict[str, float]) -> tuple[ValueModel, dict[str, float]]:
    """One move along each coordinate that helps; where none does, its step shrinks."""
    best, steps = log_posterior(model, pilot), dict(steps)
    for name, (low, high, *_) in _RANGES.items():
        value = getattr(model, name)
        tries = [min(max(value + sign * steps[name], low), high) for sign in (1, -1)]
        moved = [(log_posterior(replace(model, **{name: each}), pilot), each) for each in tries if each != value]
        better, chosen = max(moved, default=(best, value))
        if better > best + 1e-6:
            best, model = better, replace(model, **{name: chosen})
        else:
            steps[name] *= SHRINK
    return model, steps


def _expected(model: ValueModel, pilot: Pilot) -> ValueModel:
    """The position prior and the repeat histograms that the posterior of the pilot asks for."""
    first = first_errors(model, pilot)
    return replace(model, position=_positions(first, pilot.lengths), repeats=_repeats(model, first, pilot.seen))


def _positions(first: Array, lengths: Sequence[int]) -> tuple[float, ...]:
    weights = np.full(POSITIONS, SMOOTHING * len(first) / POSITIONS + 1)
    for row, length in zip(first, lengths, strict=True):
        np.add.at(weights, np.clip(np.rint(bins(length)), 0, POSITIONS - 1).astype(int), row[-length:])
    smooth = np.convolve(np.pad(weights, 1, "edge"), (0.25, 0.5, 0.25), "valid")
    return tuple(float(weight) for weight in smooth / smooth.sum())


def _repeats(model: ValueModel, first: Array, seen: Seen) -> tuple[tuple[float, ...], ...]:
    reached = np.cumsum(first, 1)
    classes = np.stack([1 - reached, first, reached - first]) * (seen.tried > 0)
    levels = repeat_levels(seen.repeated, seen.tried)
    rows = []
    for weights, row in zip(classes, model.repeat_rows, strict=True):
        shares = levels * row
        counts = (shares / shares.sum(-1, keepdims=True) * weights[..., None]).sum((0, 1)) + _PSEUDO
        rows.append(tuple(float(count) for count in counts / counts.sum()))
    return tuple(rows)


def _evidence(model: ValueModel, pilot: Pilot) -> tuple[Array, Array]:
    """The posteriors of the first error and the log likelihood of each solution."""
    seen, (count, length) = pilot.seen, pilot.seen.hits.shape
    levels = level_likelihood(seen.hits, seen.decided)
    forward, scale = _forward(model, levels, pilot.lengths)
    drops, decays = model.drops(length), model.decays(length)
    logs = np.full((count, length), -np.inf)
    behind, behind_scale = np.ones((count, SIZE)), np.zeros(count)
    for t in range(length - 1, -1, -1):
        if t + 1 < length:
            behind = levels[:, t + 1] * (behind @ decays[t + 1].T if t + 2 < length else behind)
            total = behind.sum(1)
            behind, behind_scale = behind / total[:, None], behind_scale + np.log(total)
        mass = np.einsum("sl,sl->s", forward[t] @ drops[t], behind) if t + 1 < length else np.ones(count)
        logs[:, t] = scale[t] + behind_scale + np.log(np.maximum(mass, 1e-300))
    return _normalised(logs + _step_logs(model, seen) + _prior_logs(model, pilot))


def _forward(model: ValueModel, levels: Array, lengths: Sequence[int]) -> tuple[list[Array], list[Array]]:
    """Per column the good levels given all before it, and the log of what was scaled away. A solution begins at its root."""
    starts = levels.shape[1] - np.array(lengths)
    walks = model.walks(levels.shape[1])
    state, scale = np.full((len(levels), SIZE), 1 / SIZE), np.zeros(len(levels))
    states, scales = [], []
    for t in range(levels.shape[1]):
        moved = np.where((starts < t)[:, None], state @ walks[t - 1], state) * levels[:, t] if t else state * levels[:, 0]
        total = moved.sum(1)
        state, scale = moved / total[:, None], scale + np.log(total)
        states.append(state)
        scales.append(scale)
    return states, scales


def _step_logs(model: ValueModel, seen: Seen) -> Array:
    """(solutions, prefixes): what the repeats of all steps say for each first error."""
    good, error, after = np.log(np.maximum(repeat_likelihood(model, seen.repeated, seen.tried), 1e-300))
    before = np.cumsum(good, 1) - good
    behind = after.sum(1, keepdims=True) - np.cumsum(after, 1)
    return np.asarray(before + error + behind)


def _prior_logs(model: ValueModel, pilot: Pilot) -> Array:
    logs = np.full(pilot.seen.hits.shape, -np.inf)
    for row, length in enumerate(pilot.lengths):
        logs[row, -length:] = np.log(model.prior(length))
    return logs


def _normalised(logs: Array) -> tuple[Array, Array]:
    top = logs.max(1, keepdims=True)
    weights = np.exp(logs - top)
    total = weights.sum(1, keepdims=True)
    return weights / total, top[:, 0] + np.log(total[:, 0])
