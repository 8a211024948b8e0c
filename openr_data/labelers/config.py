"""The one configuration of a labelling: saved with the run, checked here, and turned into a labeler by `build_labeler`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openr_data.errors import UsageError
from openr_data.labelers.math_shepherd import Estimates
from openr_data.labelers.verdicts import Truncated, Ungradable

HARD_METHODS = frozenset({"math-shepherd", "omegaprm"})
"""Methods whose label is a yes or no: one hit decides it."""


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """The defaults are OmegaPRM's (arXiv 2406.06592). Everything the labels depend on besides engine, grader and sampling.

    `rollouts` is k (N in Math-Shepherd) per measured prefix. `filter_rollouts` 0 switches the question filter off;
    `rollout_limit` 0 sets no limit; `spans` 0 keeps semantic steps, and 16 cuts a solution of average length into the paper's 16
    token spans. `estimates` is read by math-shepherd only; filter, searches, limit and selection by omegaprm only.

    `exact_counts`: a fixed number of rollouts per prefix, so that hits / rollouts is unbiased; otherwise a prefix is left at its
    first hit, which changes no hard label. `None`: exact where the method's label is a share (mips, soft estimates, readings over
    counts), and not where it is hard. `reuse_passing`: rollouts that pass through a prefix count there too (see `Path`).
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
        return self
