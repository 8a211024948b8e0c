"""What a run is asked for, and what it begins with: its questions, its teacher, the folder of its policy, its scorer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from openr_data.engines import EngineLimits
from openr_data.engines.local import open_local, render_only
from openr_data.engines.local_files import model_folder
from openr_data.errors import Interrupted
from openr_data.graders import GRADERS, GradingPolicy
from openr_data.models.files import model_digest
from openr_data.pipelines.rl.config import Grpo, Play, Rft, RLConfig, Sft
from openr_data.pipelines.rl.lesson import Teacher
from openr_data.pipelines.rl.questions import Questions, read_questions
from openr_data.pipelines.rl.rollouts import Rollouts
from openr_data.pipelines.rl.state import Evaluation
from openr_data.pipelines.rl.teaching.cloning import cloning_teacher
from openr_data.pipelines.rl.teaching.grpo import GroupTeacher, PlayTeacher
from openr_data.pipelines.rl.teaching.preferring import preference_teacher
from openr_data.pipelines.rl.teaching.rejection import RejectionTeacher
from openr_data.pipelines.second import open_prm
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.scorer import ModelScorer
from openr_data.prm.score.step_scorer import BatchingStepScorer
from openr_data.problems import ProblemSource, input_hash
from openr_data.types import Sampling

STOPPING = "stopping: this update is finished first; press Ctrl-C again to stop at once"


def stopped_after(done: int, updates: int) -> Interrupted:
    """What a run raises that was asked to stop, once its checkpoint is written."""
    return Interrupted(f"stopped after {done} of {updates} updates; --resume continues")


@dataclass(frozen=True, slots=True)
class Listeners:
    """`on_update` hears of every update: its number, how many there will be, and what was logged."""

    on_update: Callable[[int, int, dict[str, Any]], None] = lambda *_: None
    on_evaluation: Callable[[Evaluation], None] = lambda _: None
    warn: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for. `threads` are those of the learner on a CPU (0: all), `trackers` who else hears of the numbers."""

    config: RLConfig
    sampling: Sampling
    out: Path
    limits: EngineLimits = field(default_factory=EngineLimits)
    prm: ScorerSpec | None = None
    threads: int = 0
    resume: bool = False
    trackers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """`share` is (which, of how many): the part of this process, where several learn together."""

    asked: Asked
    questions: Questions
    teacher: Teacher
    folder: Path
    scorer: ModelScorer | None
    share: tuple[int, int] = (0, 1)

    @property
    def config(self) -> RLConfig:
        return self.asked.config

    @property
    def record(self) -> dict[str, Any]:
        """What has to be the same when the run goes on."""
        alike = {"processes": self.share[1]} if self.config.scale else {}  # TRL keeps a part of its state for each
        return alike | {
            "config": self.config.plain(),
            "sampling": asdict(self.asked.sampling) | {"stop": list(self.asked.sampling.stop)},
            "policy": model_digest(self.folder),
            "prm": self.scorer.identity if self.scorer else "",
            "context": self.asked.limits.max_model_len,
            "taught": self.teacher.content,
            "inputs": {each.location: input_hash(each) for each in _inputs(self.config)},
        }

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Rollouts]:
        """The engine with the policy that came in, the grader and the scorer, until the end of the block."""
        async with (
            open_local(self.config.engine, self.asked.limits) as engine,
            GRADERS[self.config.grader](GradingPolicy()) as grader,
        ):
            scores = BatchingStepScorer(self.scorer) if self.scorer else None
            yield Rollouts(engine, grader, scores, self.asked.sampling, self.config.overlong, self.config.reasoning)


def prepare(asked: Asked, warn: Callable[[str], None], share: tuple[int, int] = (0, 1)) -> Prepared:
    """`share`: see `Prepared`. Raises `UsageError` and `InputError`."""
    config = asked.config.checked()
    if config.scale and isinstance(config.teaching, Grpo):  # before anything is written
        config.scale.passes(config.teaching.questions, config.teaching.group, config.learn.minibatches, share[1])
    questions = read_questions(config, warn)
    folder = model_folder(config.engine)
    teacher = _teacher(asked, questions, share)
    scorer = open_prm(asked.prm) if asked.prm and _scores(config) else None
    return Prepared(asked, questions, teacher, folder, scorer, share)


def _teacher(asked: Asked, questions: Questions, share: tuple[int, int]) -> Teacher:
    config = asked.config
    if isinstance(config.teaching, Grpo):
        return GroupTeacher(config.teaching, questions, config.updates, config.seed, share)
    if isinstance(config.teaching, Play):
        return PlayTeacher(config.teaching, questions, config.updates, config.seed)
    if isinstance(config.teaching, Rft):
        return RejectionTeacher(config.teaching, questions, config.updates, config.seed, asked.out)
    if isinstance(config.teaching, Sft):
        return cloning_teacher(config.teaching, questions.ban, config.updates, config.seed)
    return preference_teacher(config.teaching, render_only(config.engine), questions.ban, config.updates, config.seed)


def _scores(config: RLConfig) -> bool:
    return config.needs_scores or isinstance(config.teaching, Rft)


def _inputs(config: RLConfig) -> list[ProblemSource]:
    """Whose content the run depends on, beside what the teacher says of its own."""
    named = [each for each in (*config.sources, config.held_out) if each.location != "builtin"]
    return [*named, *map(ProblemSource, config.against)]
