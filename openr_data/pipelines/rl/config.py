"""What a run of reinforcement learning is: saved beside its checkpoints, and compared when it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from openr_data.engines import EngineSpec
from openr_data.errors import UsageError
from openr_data.problems import ProblemSource
from openr_data.rl.credit import Credit
from openr_data.rl.guards import Guards
from openr_data.rl.learner import LearnConfig
from openr_data.store.codecs import plain_config

POLICIES = ("builtin", "transformers")


@dataclass(frozen=True, slots=True)
class RLConfig:
    """One update samples `group` solutions of `questions` questions of `source`, and learns from them. `held_out` measures the
    policy, greedily, every `evaluate_every` updates; its questions are never learnt from, nor are those of the files `against`.

    `prm` names the process reward model; its identity stands in the record. `overlong`: a solution that is cut has the outcome 0
    (`wrong`), or nothing is learnt from it (`masked`, DAPO, arXiv 2503.14476). `save_every` is in updates.
    """

    source: ProblemSource
    held_out: ProblemSource
    engine: EngineSpec
    credit: Credit = field(default_factory=Credit)
    learn: LearnConfig = field(default_factory=LearnConfig)
    guards: Guards = field(default_factory=Guards)
    prm: str = ""
    grader: str = "math"
    updates: int = 100
    questions: int = 32
    group: int = 8
    evaluate_every: int = 20
    save_every: int = 10
    overlong: str = "wrong"
    against: tuple[str, ...] = ()
    ngram: int = 13
    overlap: float = 0.5
    seed: int = 0

    def checked(self) -> RLConfig:
        """Raises `UsageError`."""
        if self.engine.engine not in POLICIES:
            raise UsageError(f"a policy that learns is a model of transformers here: --engine {' or '.join(POLICIES)}")
        if self.credit.scores and not self.prm:
            raise UsageError(f"--credit {self.credit.kind} needs the scores of a process reward model: name one with --prm")
        if self.group < 2:
            raise UsageError("--group is at least 2: a solution is compared with the others of its question")
        if min(self.updates, self.questions, self.evaluate_every, self.save_every) < 1:
            raise UsageError("updates, questions, --evaluate-every and --save-every are at least 1")
        if self.overlong not in {"wrong", "masked"}:
            raise UsageError(f"--overlong is wrong or masked, not '{self.overlong}'")
        return self

    def plain(self) -> dict[str, Any]:
        return dict(plain_config(self))
