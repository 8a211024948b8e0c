"""What a run is in which a policy learns: saved beside its checkpoints, and compared when it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from openr_data.engines import EngineSpec
from openr_data.errors import UsageError
from openr_data.pipelines.rl.scaled.config import Scale
from openr_data.problems import ProblemSource
from openr_data.rl.credit import Credit
from openr_data.rl.curriculum import Curriculum
from openr_data.rl.guards import Guards
from openr_data.rl.learner import LearnConfig
from openr_data.rl.ppo import Ppo
from openr_data.rl.preferences import PairLoss
from openr_data.rl.reasoning import Reasoning
from openr_data.store.codecs import plain_config

POLICIES = ("builtin", "transformers")


@dataclass(frozen=True, slots=True)
class Grpo:
    """Every update samples `group` solutions of `questions` questions, and learns from them by `credit`. With a `curriculum` the
    questions of an update are of one difficulty, which follows the share of right answers. Raises `UsageError`.
    """

    credit: Credit = field(default_factory=Credit)
    questions: int = 32
    group: int = 8
    curriculum: Curriculum | None = None

    def __post_init__(self) -> None:
        if self.group < 2:
            raise UsageError("--group is at least 2: a solution is compared with the others of its question")
        if self.questions < 1:
            raise UsageError("--questions is at least 1")


@dataclass(frozen=True, slots=True)
class Play:
    """Every update samples `group` solutions of `questions` questions, and a policy with a value head learns from them (`ppo`).
    `curriculum` as in `Grpo`. Raises `UsageError`.
    """

    ppo: Ppo = field(default_factory=Ppo)
    questions: int = 64
    group: int = 4
    curriculum: Curriculum | None = None

    def __post_init__(self) -> None:
        if min(self.questions, self.group) < 1:
            raise UsageError("--questions and --group are at least 1")


@dataclass(frozen=True, slots=True)
class Sft:
    """The right solutions of `data` (runs, published folders, files of a known layout) are imitated, `batch` an update. Without
    `updates` in the run, `epochs` times over. Raises `UsageError`.
    """

    data: tuple[str, ...]
    batch: int = 64
    epochs: float = 2.0

    def __post_init__(self) -> None:
        if self.batch < 1 or self.epochs <= 0 or not self.data:
            raise UsageError("--batch and --epochs are above 0, and some data is named")


@dataclass(frozen=True, slots=True)
class Rft:
    """`rounds` times, `group` solutions of `questions` questions are sampled; of each question at most `keep` right ones that
    differ are imitated (0: all of them), those with the best worst step first where a model scores steps, and none whose worst
    step is below `least`. The run's updates are shared out among the rounds. Raises `UsageError`.
    """

    rounds: int = 2
    questions: int = 500
    group: int = 8
    keep: int = 4
    least: float = 0.0
    batch: int = 64

    def __post_init__(self) -> None:
        if min(self.rounds, self.questions, self.group, self.batch) < 1 or self.keep < 0:
            raise UsageError("--rounds, --questions, --group and --batch are at least 1, and --keep is not below 0")


@dataclass(frozen=True, slots=True)
class Dpo:
    """Pairs of a right and a wrong step after the same right ones, of the labelled data sets `data`, `batch` an update; `whole`
    compares everything from there to the end. `per_question` bounds the pairs of a question (0: all). Without `updates` in the
    run, `epochs` times over. Raises `UsageError`.
    """

    data: tuple[str, ...]
    whole: bool = False
    per_question: int = 8
    batch: int = 64
    epochs: float = 1.0
    loss: PairLoss = field(default_factory=PairLoss)

    def __post_init__(self) -> None:
        if self.batch < 1 or self.epochs <= 0 or self.per_question < 0 or not self.data:
            raise UsageError("--batch and --epochs are above 0, --per-question is not below it, and some data is named")


@dataclass(frozen=True, slots=True)
class RLConfig:
    """`teaching` says what the policy learns from; `source` are the questions that it is asked (none: it is asked nothing).
    `held_out` measures it, greedily, every `evaluate_every` updates; its questions are never learnt from, nor are those of the
    files `against`.

    `prm` names the process reward model; its identity stands in the record. `overlong`: a solution that is cut has the outcome 0
    (`wrong`), or nothing is learnt from it (`masked`, DAPO, arXiv 2503.14476). `reasoning` is learnt, and shown to neither
    graders nor the process reward model. `updates` 0 is as many as `teaching` says. `save_every` is in updates. `easiest`: of the
    built-in task, questions from this difficulty on up to the source's (0: that one
    alone), for a curriculum. With `scale`, TRL is the trainer.
    """

    source: ProblemSource | None
    held_out: ProblemSource
    engine: EngineSpec
    teaching: Grpo | Play | Sft | Rft | Dpo = field(default_factory=Grpo)
    learn: LearnConfig = field(default_factory=LearnConfig)
    guards: Guards = field(default_factory=Guards)
    prm: str = ""
    grader: str = "math"
    updates: int = 100
    evaluate_every: int = 20
    save_every: int = 10
    overlong: str = "wrong"
    reasoning: Reasoning | None = None
    against: tuple[str, ...] = ()
    ngram: int = 13
    overlap: float = 0.5
    easiest: int = 0
    scale: Scale | None = None
    seed: int = 0

    def checked(self) -> RLConfig:
        """Raises `UsageError`."""
        if self.engine.engine not in POLICIES:
            raise UsageError(f"a policy that learns is a model of transformers here: --engine {' or '.join(POLICIES)}")
        if self.needs_scores and not self.prm:
            raise UsageError("these rewards need the scores of a process reward model: name one with --prm")
        if isinstance(self.teaching, Rft) and self.updates < self.teaching.rounds:
            raise UsageError("each of the --rounds has an update at least: raise --updates")
        if self.updates < (0 if isinstance(self.teaching, Sft | Dpo) else 1) or min(self.evaluate_every, self.save_every) < 1:
            raise UsageError("--updates, --evaluate-every and --save-every are at least 1")
        if self.easiest and (self.source is None or self.source.location != "builtin" or self.easiest > self.source.difficulty):
            raise UsageError("--easiest is a difficulty of the built-in task up to --difficulty")
        if self.overlong not in {"wrong", "masked"}:
            raise UsageError(f"--overlong is wrong or masked, not '{self.overlong}'")
        if self.scale and (
            not isinstance(self.teaching, Grpo) or self.learn.loss.ratio == "step" or self.learn.optimizer != "adamw"
        ):
            raise UsageError("--trainer trl learns by GRPO, with a --ratio of tokens or sequences and --optimizer adamw")
        return self

    @property
    def sources(self) -> tuple[ProblemSource, ...]:
        """One for each difficulty of the built-in task, or the source itself, or none."""
        if self.source is None:
            return ()
        if not self.easiest:
            return (self.source,)
        return tuple(replace(self.source, difficulty=each) for each in range(self.easiest, self.source.difficulty + 1))

    @property
    def needs_scores(self) -> bool:
        """Whether nothing could be learnt without a process reward model."""
        if isinstance(self.teaching, Grpo):
            return self.teaching.credit.scores
        return isinstance(self.teaching, Play) and self.teaching.ppo.rewards.scores

    def plain(self) -> dict[str, Any]:
        return dict(plain_config(self))
