"""The compute-optimal way to answer, by how hard a question is: found on one half of the questions, reported on the other.

Snell et al., arXiv 2408.03314, section 3: theta*(q, N) is the argmax over theta of the expected accuracy in q's difficulty bin at
budget N; bins are quantiles of pass@1 (oracle) or of a model's scores (predicted). Knows numbers only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FOLDS = 2


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for the questions of `bin` in `fold`, by those of the other fold. Difficulty bins go from hard to easy."""

    fold: int
    bin: int
    name: str


@dataclass(frozen=True, slots=True)
class Optimal:
    """Per question, as the way that was chosen for it did; the cost of predicting the difficulty is in `tokens`."""

    right: Floats
    tokens: Floats
    choices: tuple[Choice, ...]


def compute_optimal(
    right: Mapping[str, Floats],
    tokens: Mapping[str, Floats],
    difficulty: Floats,
    *,
    budget: float,
    bins: int = 5,
    probe: Floats | None = None,
    seed: int = 0,
) -> Optimal:
    """`right[name]`, `tokens[name]` and `difficulty` (larger: easier) per question.

    Of the ways whose mean tokens are at most `budget`, in a bin of one fold, the most accurate is applied to that bin of the
    other fold; ties go to fewer tokens, then to the name. Where none is affordable the cheapest is taken.
    """
    bin_of = quantile_bins(difficulty, bins)
    fold_of = _folds(bin_of, seed)
    found_right, found_tokens = np.zeros(len(difficulty)), np.zeros(len(difficulty))
    choices = []
    for fold in range(FOLDS):
        for each in range(bins):
            here = (fold_of == fold) & (bin_of == each)
            if not here.any():
                continue
            evidence = _evidence(fold_of, bin_of, fold, each)
            name = best_way(right, tokens, evidence, budget) if evidence.any() else _cheapest(tokens)
            found_right[here], found_tokens[here] = right[name][here], tokens[name][here]
            choices.append(Choice(fold, each, name))
    return Optimal(found_right, found_tokens if probe is None else found_tokens + probe, tuple(choices))


def best_way(right: Mapping[str, Floats], tokens: Mapping[str, Floats], among: NDArray[np.bool_], budget: float) -> str:
    """The most accurate affordable way among these questions."""
    costs = {name: float(each[among].mean()) for name, each in tokens.items()}
    affordable = [name for name, cost in costs.items() if cost <= budget]
    if not affordable:
        return min(costs, key=lambda name: (costs[name], name))
    return min(affordable, key=lambda name: (-float(right[name][among].mean()), costs[name], name))


def _cheapest(tokens: Mapping[str, Floats]) -> str:
    """For a lone question, of which no other can tell what is right."""
    return min(tokens, key=lambda name: (float(tokens[name].mean()), name))


def quantile_bins(values: Floats, bins: int) -> Ints:
    """Bins of equal size by rank, 0 the lowest; equal values are in the same bin.

    >>> quantile_bins(np.array([0.1, 0.5, 0.3, 0.3]), 2)
    array([0, 1, 0, 0])
    """
    order = np.sort(values)
    rank = np.searchsorted(order, values, side="left")
    return np.minimum(rank * bins // max(1, len(values)), bins - 1).astype(np.int64)


def _folds(bin_of: Ints, seed: int) -> Ints:
    """Halves of every bin, by a seeded permutation. Odd bins give their odd one to the folds in turn."""
    draw = np.random.default_rng(seed)
    members = [draw.permutation(np.flatnonzero(bin_of == each)) for each in np.unique(bin_of)]
    folds = np.zeros(len(bin_of), np.int64)
    folds[np.concatenate(members)] = np.arange(len(bin_of)) % FOLDS
    return folds


def _evidence(fold_of: Ints, bin_of: Ints, fold: int, each: int) -> NDArray[np.bool_]:
    """The same bin of the other fold; all of that fold where it has none there. Never a question of this fold."""
    other = fold_of != fold
    same: NDArray[np.bool_] = other & (bin_of == each)
    return same if same.any() else other
