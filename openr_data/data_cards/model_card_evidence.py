"""What was measured of a process reward model, as plain values: what its card and its weaknesses are read off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from openr_data.data_cards.markup import number
from openr_data.data_cards.model_card_data import TrainingData

BOUNDS = frozenset({"majority", "pass@n"})


@dataclass(frozen=True, slots=True)
class Hits:
    """`found` of `cases`."""

    found: int = 0
    cases: int = 0

    @property
    def share(self) -> float:
        return self.found / self.cases if self.cases else 0.0

    @property
    def told(self) -> str:
        return f"{number(self.found)} of {number(self.cases)} ({100 * self.share:.1f} %)"

    def __add__(self, other: Hits) -> Hits:
        return Hits(self.found + other.found, self.cases + other.cases)


@dataclass(frozen=True, slots=True)
class SubsetEvidence:
    """One subset of ProcessBench: F1 in percent with its 95 % interval, that of the threshold which suits it best (`best_f1`, an
    upper bound), cases with an error and without, those without a score (`silent`); and of the cases with an error: where the
    first one was seen (`places`: exact, early, late, missed, none), how many are found by its index, and those whose answer is
    right all the same (`hidden`).
    """

    name: str
    f1: float | None
    low: float | None = None
    high: float | None = None
    best_f1: float | None = None
    errors: Hits = Hits()
    correct: Hits = Hits()
    silent: int = 0
    places: Mapping[str, int] = field(default_factory=dict)
    positions: Mapping[int, Hits] = field(default_factory=dict)
    hidden: Hits = Hits()


@dataclass(frozen=True, slots=True)
class Rival:
    """Another way to name first errors, and how far the model is ahead of it on the same solutions, as a share."""

    name: str
    ahead: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class StepEvidence:
    """Scores against the labels of `source`: probabilities are `score` on average where `good` of `steps` steps are good.

    `ap_wrong` is the average precision of wrong steps. `exact` is the share of first errors named exactly; `unscored` are
    solutions without a score. `told` says which questions were looked at, and `everything` that none were held out.
    """

    source: str
    steps: int
    good: int
    auroc: float | None = None
    low: float | None = None
    high: float | None = None
    ece: float | None = None
    score: float | None = None
    ap_good: float | None = None
    ap_wrong: float | None = None
    brier: float | None = None
    exact: float | None = None
    unscored: int = 0
    rivals: Sequence[Rival] = ()
    told: str = ""
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Lift:
    """Accuracy of choosing among `n` in the way `name`, and how much that is above the majority's; shares with intervals."""

    name: str
    n: int
    accuracy: float
    lift: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class BestOfN:
    """`lifts` may hold the majority itself and `pass@n`, which choose without the model. `last_step` of `several` candidates with
    more than one step have their lowest score at the last one. `told` and `everything` as in `StepEvidence`.
    """

    source: str
    lifts: Sequence[Lift]
    last_step: int = 0
    several: int = 0
    told: str = ""
    everything: bool = False

    @property
    def ways(self) -> list[Lift]:
        """Those that choose by the model."""
        return [each for each in self.lifts if each.name not in BOUNDS]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that weaknesses are read off. `unproven`: the evaluation does not say of which weights it is. `masked`: steps
    after the first error carried no loss; `chosen_auroc` is of the rows that chose the checkpoint.
    """

    subsets: Sequence[SubsetEvidence] = ()
    steps: Sequence[StepEvidence] = ()
    best_of_n: BestOfN | None = None
    data: TrainingData | None = None
    unproven: bool = False
    masked: bool = False
    chosen_auroc: float | None = None
