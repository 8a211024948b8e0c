"""What an evaluation of a process reward model is: which data, which questions of them, how scores are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log
from pathlib import Path
from typing import Literal

from openr_data.errors import UsageError
from openr_data.pipelines.splits import NAMES, Splits
from openr_data.prm.config import AfterError

EVERYTHING = "all"
VALIDATION = NAMES[1]
Threshold = float | Literal["fixed", "tuned"]


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """Each part is left out where its data are not named. `steps` is a labelled data set (see `openr_data.load`), `best_of_n` a
    run of `generate` or `label`, `oracle` one of the built-in task, and `one_rollout` one that labelled the oracle's solutions
    with one rollout per prefix or more (`label --method math-shepherd --exact-counts`).

    `split` names the questions that are looked at, by `splits`; `all` takes every one. `threshold` is the probability below
    which a step is called wrong: `fixed` is 0.5, `tuned` the one with the best F1 on the validation questions (for ProcessBench
    on gsm8k). `after_error` says whether steps after the first wrong one count. `limit` bounds the questions of each part (0:
    all). `subsets` are drawn for weighted votes, `draws` for intervals.
    """

    steps: str = ""
    processbench: tuple[str, ...] = ()
    best_of_n: Path | None = None
    oracle: Path | None = None
    one_rollout: Path | None = None
    split: str = "test"
    splits: Splits = field(default_factory=Splits)
    threshold: Threshold = "fixed"
    after_error: AfterError = "mask"
    limit: int = 0
    subsets: int = 256
    draws: int = 2000
    seed: int = 0

    def checked(self) -> EvaluationConfig:
        """Raises `UsageError` for what cannot be evaluated."""
        if not (self.steps or self.processbench or self.best_of_n or self.oracle):
            raise UsageError("say what to evaluate on: --steps, --processbench, --best-of-n or --oracle")
        if self.one_rollout and not self.oracle:
            raise UsageError("--one-rollout is a baseline of --oracle, and that is not given")
        if self.split not in (*NAMES, EVERYTHING):
            raise UsageError(f"--split is one of {', '.join(NAMES)} and {EVERYTHING}, not '{self.split}'")
        if self.threshold == "tuned" and self.split in {VALIDATION, EVERYTHING} and (self.steps or self.oracle):
            raise UsageError(
                f"a threshold tuned on the {VALIDATION} questions cannot be judged on --split {self.split}, which has them"
            )
        if isinstance(self.threshold, float) and not 0 < self.threshold < 1:
            raise UsageError(f"a threshold is a probability between 0 and 1, not {self.threshold}")
        return self

    def takes(self, question: str) -> bool:
        return self.split == EVERYTHING or self.splits.of(question) == self.split

    @property
    def margin(self) -> float:
        """The threshold as a logit difference, where it is not tuned."""
        return log(self.threshold / (1 - self.threshold)) if isinstance(self.threshold, float) else 0.0

    @property
    def told(self) -> str:
        """Which questions are looked at.

        >>> EvaluationConfig().told
        'the questions of the test split (train/validation/test 90/5/5 by a hash of the question)'
        """
        if self.split == EVERYTHING:
            return "all questions, whether the model was trained on them or not"
        shares = "/".join(f"{100 * share:g}" for share in self.splits.shares)
        return f"the questions of the {self.split} split ({'/'.join(NAMES)} {shares} by a hash of the question)"
