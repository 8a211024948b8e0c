"""AdaOmega, the adaptive labeler: OmegaPRM's tree with the adaptive search, under a model of the policy. Knows no engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from openr_data.errors import UsageError
from openr_data.labelers.adaptive.model import POSITIONS, REPEAT_LEVELS, ValueModel
from openr_data.labelers.adaptive.posterior import Inference, Seen
from openr_data.labelers.adaptive.search import AdaptiveSearch, Found, certifying, seen
from openr_data.labelers.monte_carlo import MonteCarlo
from openr_data.labelers.path import Path
from openr_data.labelers.selection import Selection
from openr_data.labelers.tree_search import TreeSearch
from openr_data.types import Cost, LabeledSolution, Labeling, Problem, Solution

PILOT_FLOOR, PILOT_CAP = 2, 40
"""A pilot draws this often from every prefix of a solution, and then adaptively up to this many rollouts."""


@dataclass(frozen=True, slots=True)
class Adaptive:
    """See `TreeSearch` for the tree and `AdaptiveSearch` for the search of one solution. `rollouts` is k of the certificate.

    The labels depend on the model, so on the pilot that it was fitted to; a given model makes them a function of the rollouts.
    """

    measure: MonteCarlo
    search: AdaptiveSearch
    filter_rollouts: int = 32
    searches: int = 100
    rollout_limit: int = 0
    selection: Selection = field(default_factory=Selection)
    passing: bool = True

    async def __call__(self, problem: Problem, solutions: Sequence[Solution], /) -> Labeling:
        limits = (self.filter_rollouts, self.searches, self.rollout_limit)
        return await TreeSearch(self.measure, self.search, *limits, self.selection, self.passing)(problem, solutions)

    async def observe(self, problem: Problem, solutions: Sequence[Solution]) -> tuple[list[Seen], Labeling]:
        """What the pilot sees of the wrong solutions of a problem, in their order, and what it drew for that."""
        watching = Watching(replace(self.search, finish="posterior", floor=PILOT_FLOOR, cap=PILOT_CAP))
        limits = (self.filter_rollouts, 0, self.rollout_limit)
        labeling = await TreeSearch(self.measure, watching, *limits, self.selection, self.passing)(problem, solutions)
        return watching.seen, labeling


@dataclass(frozen=True, slots=True)
class Watching:
    """A search that keeps what it saw, in the order in which the labels are made."""

    how: AdaptiveSearch
    seen: list[Seen] = field(default_factory=list)

    @property
    def method(self) -> str:
        return self.how.method

    @property
    def exact(self) -> bool:
        return self.how.exact

    @property
    def rollouts(self) -> int:
        return self.how.rollouts

    async def search(self, path: Path, /, *, known_good: int = 0) -> Watched:
        return Watched(await self.how.search(path, known_good=known_good), self.seen)


@dataclass(frozen=True, slots=True)
class Watched:
    found: Found
    kept: list[Seen]

    @property
    def states(self) -> None:
        return None

    def labelled(self, solution: Solution, cost: Cost, /) -> LabeledSolution:
        self.kept.append(seen(self.found.path))
        return self.found.labelled(solution, cost)


@lru_cache(maxsize=4)
def inference(model: ValueModel, *, certified: bool) -> Inference:
    """One for all problems of a run: its transitions are the same for all of them."""
    return Inference(certifying(model) if certified else model)


@lru_cache(maxsize=4)
def read_model(text: str) -> ValueModel:
    """A model that a run has saved; the default one for an empty text. Raises `UsageError` for anything else."""
    if not text:
        return ValueModel()
    try:
        return _usable(ValueModel.from_json(json.loads(text)))
    except (ValueError, TypeError, KeyError, RecursionError) as fault:
        raise UsageError(f"this is not a value model that a run has saved ({fault})") from None


def _usable(model: ValueModel) -> ValueModel:
    """Itself; `ValueError` where its parameters make no probabilities."""
    with np.errstate(all="ignore"):
        parts = [model.prior(3), model.repeat_rows, *(moves(3) for moves in (model.walks, model.drops, model.decays))]
    if len(model.position) != POSITIONS or model.repeat_rows.shape != (3, len(REPEAT_LEVELS)):
        raise ValueError("its histograms have other bins")
    if not all(np.all(part >= 0) and np.allclose(part.sum(-1), 1.0) for part in parts):
        raise ValueError("its parameters make no probabilities")
    return model
