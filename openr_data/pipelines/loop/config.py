"""What a loop is: saved in its directory, and compared when it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from openr_data.engines import EngineSpec
from openr_data.errors import UsageError
from openr_data.labelers import LabelConfig
from openr_data.pipelines.rl.config import POLICIES, Grpo
from openr_data.prm.train_config import TrainConfig
from openr_data.problems import ProblemSource
from openr_data.rl.guards import Guards
from openr_data.rl.learner import LearnConfig
from openr_data.store.codecs import plain_config
from openr_data.types import Sampling


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """`rounds` times: `solutions` solutions of `questions` questions of `source` are sampled and labelled (`label`), a process
    reward model is trained on the labels (`prm`), and the policy learns from it (`teaching`, `learn`, `updates`). The built-in
    task has other questions in every round. `held_out` chooses the best policy of a round, and `confirming` says what the round
    brought, greedily and by `samples` at temperature 1: nothing is learnt from either, and nothing chosen by the latter. A round
    without a gain (whose interval is not above 0, in neither) is the last one, unless `go_on`.
    """

    source: ProblemSource
    held_out: ProblemSource
    confirming: ProblemSource
    engine: EngineSpec
    sampling: Sampling
    rounds: int = 2
    questions: int = 300
    solutions: int = 8
    label: LabelConfig = field(default_factory=LabelConfig)
    prm: TrainConfig = field(default_factory=TrainConfig)
    teaching: Grpo = field(default_factory=Grpo)
    learn: LearnConfig = field(default_factory=LearnConfig)
    guards: Guards = field(default_factory=Guards)
    updates: int = 60
    samples: int = 4
    grader: str = "math"
    against: tuple[str, ...] = ()
    go_on: bool = False
    seed: int = 0

    def checked(self) -> LoopConfig:
        """Raises `UsageError`."""
        if self.engine.engine not in POLICIES:
            raise UsageError(f"a policy that learns is a model of transformers here: --engine {' or '.join(POLICIES)}")
        if min(self.rounds, self.questions, self.solutions, self.updates, self.samples) < 1:
            raise UsageError("--rounds, --label-questions, --solutions, --updates and --samples are at least 1")
        return self

    @property
    def banned(self) -> tuple[str, ...]:
        """The evaluation sets, and what measures: nobody learns from them. (The built-in task has a half of its own for that.)"""
        measuring = (each.location for each in (self.held_out, self.confirming) if each.location != "builtin")
        return tuple(dict.fromkeys((*self.against, *measuring)))

    def plain(self) -> dict[str, Any]:
        return dict(plain_config(self))
