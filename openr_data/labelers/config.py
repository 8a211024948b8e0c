"""The one configuration of a labelling: saved with the run, checked here, and turned into a labeler by `build_labeler`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, NamedTuple

from openr_data.errors import UsageError
from openr_data.labelers.math_shepherd import Estimates
from openr_data.labelers.repairs import EXPLICIT_REVISION, checked_pattern
from openr_data.labelers.verdicts import Truncated, Ungradable
from openr_data.types import Engine, Sampling

HARD_METHODS = frozenset({"math-shepherd", "omegaprm", "scan", "epicprm", "genprm", "adaptive"})
"""Methods whose first error is decided before all rollouts are drawn: one hit, or a threshold that is out of reach."""

SHARE_METHODS = frozenset({"er-prm", "pav"})
"""Methods whose label is a reading of shares: nothing is left of it without all rollouts of a prefix."""


class Second(NamedTuple):
    """An engine beside the one that solves, and how it is sampled: the judge or the prover of a method."""

    engine: Engine
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """The defaults are OmegaPRM's (arXiv 2406.06592). Everything the labels depend on besides engine, grader and sampling.

    `rollouts` is k (N in Math-Shepherd) per measured prefix. `filter_rollouts` 0 switches the question filter off;
    `rollout_limit` 0 sets no limit; `spans` 0 keeps semantic steps, and 16 cuts a solution of average length into the paper's 16
    token spans. `estimates` is read by math-shepherd only; searches, limit and selection by omegaprm only. `filter_rollouts` are
    the root's for scan, epicprm and genprm, which always sample it (0: `rollouts` of them).

    Each of one method: `confidence_floor` (scan), `root_share` and `perplexity` (epicprm), `progress` (genprm), `eta` (er-prm),
    `best_of` and `drop` (pav). `ignore_repairs`: a right rollout that takes back a step of its prefix is a failure there, for any
    method; `repair_pattern` is how such text is known (see `RevisionPattern`).

    `exact_counts`: a fixed number of rollouts per prefix, so that hits / rollouts is unbiased; otherwise a prefix is left at its
    first hit, which changes no hard label. `None`: exact where the method's label is a share (mips, soft estimates, readings over
    counts), and not where it is hard. `reuse_passing`: rollouts that pass through a prefix count there too (see `Path`).

    adaptive: `finish`, `confidence` and `cap` as in `AdaptiveSearch`. `pilot` wrong solutions fit the model of a posterior finish
    (0: the default model); `model` is one that an earlier run has saved, as JSON, and then there is no pilot.

    consensus: `agree_with` is the Monte Carlo method that the judge has to agree with, which reads its settings as when it works
    alone, and `votes` are drawn of the judge for each solution.
    """

    method: str = "omegaprm"
    rollouts: int = 8
    filter_rollouts: int = 32
    searches: int = 100
    rollout_limit: int = 0
    alpha: float = 0.5
    beta: float = 0.9
    length: float = 500.0
    c_puct: float = 0.125
    estimates: Estimates = "hard"
    truncated: Truncated = "unknown"
    spans: int = 0
    ungradable: Ungradable = "unknown"
    exact_counts: bool | None = None
    reuse_passing: bool = True
    agree_with: str = "omegaprm"
    votes: int = 5
    confidence_floor: float = 0.0
    root_share: float = 0.5
    perplexity: bool = True
    progress: float = 0.8
    eta: float = 1.0
    best_of: int = 4
    drop: float = 0.0
    ignore_repairs: bool = False
    repair_pattern: str = EXPLICIT_REVISION
    finish: Literal["certified", "posterior"] = "posterior"
    confidence: float = 0.9
    cap: int = 0
    pilot: int = 160
    model: str = ""

    @property
    def exact(self) -> bool:
        """Whether every probed prefix gets its full number of rollouts."""
        hard = self.method in HARD_METHODS and self.estimates == "hard"
        return not hard if self.exact_counts is None else self.exact_counts

    def checked(self, methods: Sequence[str]) -> LabelConfig:
        """Itself; raises `UsageError` naming the first value that cannot be used."""
        if self.method not in methods:
            raise UsageError(f"there is no labelling method '{self.method}'; choose one of: {', '.join(methods)}")
        if self.rollouts < 1:
            raise UsageError(f"rollouts must be at least 1, not {self.rollouts}")
        if self.votes < 1:
            raise UsageError(f"votes must be at least 1, not {self.votes}")
        for name in ("filter_rollouts", "searches", "rollout_limit", "spans"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must not be negative, not {getattr(self, name)}")
        if not (0 < self.alpha <= 1 and 0 < self.beta <= 1 and self.length > 0 and self.c_puct >= 0):
            raise UsageError("alpha and beta must lie in (0, 1], length must be positive and c_puct not negative")
        if self.estimates not in {"hard", "soft"} or self.truncated not in {"unknown", "wrong", "graded"}:
            raise UsageError("estimates is one of hard, soft, and truncated one of unknown, wrong, graded")
        if self.ungradable not in {"unknown", "wrong"}:
            raise UsageError(f"ungradable is unknown or wrong, not '{self.ungradable}'")
        if 0 < self.rollout_limit < self.filter_rollouts:
            raise UsageError(f"rollout_limit {self.rollout_limit} does not even pay the {self.filter_rollouts} filter rollouts")
        self._check_readings()
        self._check_adaptive()
        return self

    def check_best_of(self) -> None:
        """For pav without a prover, which is then best-of-k of the method's own engine; raises `UsageError`."""
        if self.best_of > self.rollouts:
            told = f"best_of {self.best_of} cannot be read off {self.rollouts} rollouts of a prefix"
            raise UsageError(f"{told}: take more rollouts, a smaller best_of, or a prover")

    def _check_adaptive(self) -> None:
        if self.finish not in {"certified", "posterior"}:
            raise UsageError(f"finish is certified or posterior, not '{self.finish}'")
        if not 0 < self.confidence < 1:
            raise UsageError(f"confidence is a probability between 0 and 1, not {self.confidence}")
        if self.cap < 0 or self.pilot < 0:
            raise UsageError(f"cap and pilot must not be negative, not {self.cap} and {self.pilot}")
        if self.method == "adaptive" and self.exact_counts:
            raise UsageError("adaptive draws one rollout at a time: exact counts are what it does without; use mips for them")

    def _check_readings(self) -> None:
        if not 0 <= self.confidence_floor <= 1:
            raise UsageError(f"confidence_floor is a share from 0 to 1, not {self.confidence_floor}")
        for name in ("root_share", "progress"):
            if not 0 < getattr(self, name) <= 1:
                raise UsageError(f"{name} must lie in (0, 1], not {getattr(self, name)}")
        if not 0 < self.eta < inf:
            raise UsageError(f"eta must be a positive number, not {self.eta}")
        if not 0 <= self.drop <= 1:
            raise UsageError(f"drop is an advantage from 0 (no rule) to 1, not {self.drop}")
        if self.best_of < 1:
            raise UsageError(f"best_of must be at least 1, not {self.best_of}")
        if self.method in SHARE_METHODS and self.exact_counts is False:
            raise UsageError(f"{self.method} reads shares of hits, which stopping early would bias: leave exact_counts on")
        checked_pattern(self.repair_pattern)
