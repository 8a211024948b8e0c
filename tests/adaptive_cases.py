"""The adaptive labeler's model once more, in plain Python and without any cleverness: every sequence of states is summed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openr_data.labelers.adaptive import Seen, ValueModel
from openr_data.labelers.adaptive.model import LEVELS, REPEAT_LEVELS, even

Matrix = list[list[float]]
P = [float(level) for level in LEVELS]
R = [float(level) for level in REPEAT_LEVELS]
SHAPED = replace(
    ValueModel(),
    position=(0.05, 0.1, 0.2, 0.2, 0.2, 0.1, 0.1, 0.05),
    repeats=(even(0.2, 2.0), even(2.0, 0.2), even(1.0, 0.7)),
)
"""A model whose prior and repeats differ from place to place."""


def modelled(walk: Matrix, drop: Matrix, decay: Matrix, **options: Any) -> ValueModel:
    """A model with these matrices, whatever its parameters make of them."""
    model = replace(ValueModel(), **options)
    names = {"walks": walk, "drops": drop, "decays": decay}
    vars(model).update({name: partial(_always, np.array(matrix)) for name, matrix in names.items()})
    return model


def _always(matrix: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    return np.stack([matrix] * (length - 1))


def observed(hits: Sequence[int], decided: Sequence[int], repeated: Sequence[int] = (), tried: Sequence[int] = ()) -> Seen:
    """What was seen at prefixes 0 .. M-1, as plain lists."""
    nothing = [0] * len(hits)
    return Seen(*(np.array(each, float) for each in (hits, decided, repeated or nothing, tried or nothing)))


@dataclass(frozen=True, slots=True)
class Sums:
    """`first[i]`: probability of first wrong prefix i + 1; the others are of prefixes 0 .. M-1."""

    first: list[float]
    good: list[float]
    hit_good: list[float]
    hit_bad: list[float]
    likelihood: float


def by_enumeration(model: ValueModel, seen: Seen, known_good: int = 0) -> Sums:
    """Every first error and every sequence of levels, weighted and added up."""
    length = len(seen.hits)
    walks, drops, decays = (moves(length).tolist() for moves in (model.walks, model.drops, model.decays))
    prior = [weight if e > known_good else 0.0 for e, weight in enumerate(position_prior(model, length), 1)]
    first, hit_good, hit_bad = [0.0] * length, [0.0] * length, [0.0] * length
    for e in range(1, length + 1):
        told = prior[e - 1] / sum(prior) * prod(step_likelihood(model, seen, t, e) for t in range(length - 1))
        for levels in product(range(len(P)), repeat=length):
            weight = told / len(P)
            for t, level in enumerate(levels):
                weight *= binomial(P[level], seen.hits[t], seen.decided[t])
                if t + 1 < length:
                    move = walks[t] if t + 1 < e else drops[t] if t + 1 == e else decays[t]
                    weight *= move[level][levels[t + 1]]
            first[e - 1] += weight
            for t, level in enumerate(levels):
                (hit_good if t < e else hit_bad)[t] += weight * P[level]
    total = sum(first)
    return Sums(
        [each / total for each in first],
        [sum(first[t:]) / total for t in range(length)],
        [each / total for each in hit_good],
        [each / total for each in hit_bad],
        total,
    )


def position_prior(model: ValueModel, length: int) -> list[float]:
    """The weight of the position bins between whose middles the middle of each step lies."""
    bins = len(model.position)
    weights = []
    for step in range(1, length + 1):
        place = min(max((step - 0.5) / length * bins - 0.5, 0.0), bins - 1.0)
        low = min(int(place), bins - 2)
        weights.append(model.position[low] + (place - low) * (model.position[low + 1] - model.position[low]))
    return [weight / sum(weights) for weight in weights]


def step_likelihood(model: ValueModel, seen: Seen, t: int, e: int) -> float:
    """Of the repeats of the step that leads from prefix t to prefix t + 1, where e is the first wrong prefix."""
    row = model.repeats[0 if t + 1 < e else 1 if t + 1 == e else 2]
    return sum(share * binomial(p, seen.repeated[t], seen.tried[t]) for share, p in zip(row, R, strict=True))


def binomial(p: float, hits: float, trials: float) -> float:
    return float(p**hits * (1 - p) ** (trials - hits))


@dataclass(frozen=True, slots=True)
class Simulated:
    """Solutions drawn from the model: the first wrong prefix (1 ..) and the levels of prefixes 0 .. M-1 of each."""

    first: NDArray[np.int64]
    levels: NDArray[np.int64]
    seen: list[Seen]


def simulated(model: ValueModel, count: int, length: int, seed: int, most: int = 6) -> Simulated:
    """`count` solutions with 0 .. `most` rollouts of each prefix and 0 .. 4 looks at each step, but for the last."""
    random = np.random.default_rng(seed)
    first = random.choice(length, count, p=position_prior(model, length)) + 1
    walks, drops, decays = model.walks(length), model.drops(length), model.decays(length)
    levels = np.zeros((count, length), int)
    levels[:, 0] = random.integers(len(P), size=count)
    for t in range(1, length):
        for kind, matrix in ((first > t, walks[t - 1]), (first == t, drops[t - 1]), (first < t, decays[t - 1])):
            shares = matrix[levels[kind, t - 1]].cumsum(1)
            levels[kind, t] = np.minimum((random.random((kind.sum(), 1)) > shares).sum(1), len(P) - 1)
    decided = random.integers(most + 1, size=(count, length))
    hits = random.binomial(decided, np.array(P)[levels])
    tried = random.integers(5, size=(count, length))
    tried[:, -1] = 0
    step = np.arange(1, length + 1)
    kinds = (step >= first[:, None]).astype(int) + (step > first[:, None])
    rows = np.array(model.repeats).cumsum(1)[kinds]
    chances = np.array(R)[np.minimum((random.random((count, length, 1)) > rows).sum(2), len(R) - 1)]
    repeated = random.binomial(tried, chances)
    seen = [observed(*(each[i].tolist() for each in (hits, decided, repeated, tried))) for i in range(count)]
    return Simulated(first, levels, seen)


def expected_calibration_error(confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """The mean gap between confidence and share of right answers over equally wide bins, weighted by their sizes."""
    placed: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for sure, hit in zip(confidence, right, strict=True):
        placed[min(int(sure * bins), bins - 1)].append((sure, hit))
    gaps = [abs(sum(sure for sure, _ in each) - sum(hit for _, hit in each)) for each in placed]
    return sum(gaps) / len(confidence)
