"""What a data set holds, as numbers: frozen values that a card, a report, a page and a terminal show alike. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Histogram:
    """`counts[i]` values lie in `[edges[i], edges[i + 1])`; the last bin includes its upper edge. One more edge than counts."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution in a few numbers; all 0 without values."""

    count: int = 0
    mean: float = 0.0
    minimum: float = 0.0
    median: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    maximum: float = 0.0


@dataclass(frozen=True, slots=True)
class StepBalance:
    """Steps by their hard label: right, wrong, and without one."""

    right: int = 0
    wrong: int = 0
    unlabelled: int = 0


@dataclass(frozen=True, slots=True)
class CostPerStep:
    """What the whole run cost, and that per step with a hard label. `hours` is the wall-clock time of every attempt."""

    rollouts: int = 0
    tokens: int = 0
    hours: float = 0.0
    labelled_steps: int = 0

    def per_step(self, amount: float) -> float | None:
        return amount / self.labelled_steps if self.labelled_steps else None


@dataclass(frozen=True, slots=True)
class MethodAgreement:
    """Two runs (or methods) over the same solutions: `both` decided by both, `same` first error the same, `near` within one step
    (a solution with an error is never near one without).

    `kappa` is Cohen's kappa of the hard labels of the steps that both have (`None`: not defined).
    """

    left: str
    right: str
    shared: int
    both: int
    same: int
    near: int
    steps: int
    steps_same: int
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Overlap:
    """Contamination against one benchmark of `questions` questions: `exact` are problems of ours with the same question, whatever
    its white space; `overlapping` are ours that hold at least `threshold` of a benchmark question's n-grams, `exact` included.

    `examples` are (our problem id, the benchmark's id, the share of its n-grams found), at most a few.
    """

    benchmark: str
    questions: int
    exact: int
    overlapping: int
    ngram: int
    threshold: float
    examples: tuple[tuple[str, str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Problems that repeat an earlier question, and solutions that repeat an earlier one of the same question, word for word."""

    problems: int = 0
    solutions: int = 0


@dataclass(frozen=True, slots=True)
class OracleQuality:
    """Labels against an exact oracle, over decided solutions with a wrong answer (shares; `None`: nothing to divide by)."""

    solutions: int
    decided: int
    exact: float | None
    early: float | None
    late: float | None
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class Statistics:
    """Everything that is counted over one run. Mappings are sorted by how often a thing occurs, or by its number.

    `unknown`: rollouts (of a run without any: solutions) that are neither right nor wrong, by reason.
    `first_errors`: how many labelled solutions have their first error at this 0-based step. `without_error` and `undecided` count
    the others. `first_error_place`: its place as a share of the solution's length, (index + 1) / steps. `values`: histograms of
    the step values by estimator. `value_by_place`: mean by tenth of the solution; of values in 0 .. 1 alone, where others stand
    beside them. `pass_rates`: per problem, the share of right answers among its given solutions and root rollouts that were
    decided. `rollouts_per_step`: of measured steps.
    """

    problems: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    solutions: int = 0
    steps: int = 0
    rollouts: int = 0
    sources: Mapping[str, int] = field(default_factory=dict)
    methods: Mapping[str, int] = field(default_factory=dict)
    verdicts: Mapping[str, int] = field(default_factory=dict)
    unknown: Mapping[str, int] = field(default_factory=dict)
    balance: StepBalance = field(default_factory=StepBalance)
    first_errors: Mapping[int, int] = field(default_factory=dict)
    without_error: int = 0
    undecided: int = 0
    undecided_reasons: Mapping[str, int] = field(default_factory=dict)
    first_error_place: Histogram | None = None
    values: Mapping[str, Histogram] = field(default_factory=dict)
    value_by_place: tuple[float | None, ...] = ()
    steps_per_solution: Spread = field(default_factory=Spread)
    step_counts: Histogram | None = None
    tokens_per_solution: Spread = field(default_factory=Spread)
    characters_per_solution: Spread = field(default_factory=Spread)
    character_counts: Histogram | None = None
    rollouts_per_step: Spread = field(default_factory=Spread)
    pass_rates: Histogram | None = None
    duplicates: Duplicates = field(default_factory=Duplicates)
    overlaps: tuple[Overlap, ...] = ()
    agreements: tuple[MethodAgreement, ...] = ()
    cost: CostPerStep = field(default_factory=CostPerStep)
    oracle: OracleQuality | None = None
