"""The loop of reinforcement learning: sample, reward, learn, hand the weights to the engine, measure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch

from openr_data.engines import EngineLimits
from openr_data.engines.local import open_local, render_only
from openr_data.engines.local_files import model_folder
from openr_data.errors import EngineError, Interrupted
from openr_data.graders import GRADERS, GradingPolicy
from openr_data.models.devices import choose_device, cpu_count
from openr_data.models.files import model_digest
from openr_data.pipelines.rl.config import Dpo, Grpo, Play, Rft, RLConfig, Sft
from openr_data.pipelines.rl.lesson import Lesson, Teacher
from openr_data.pipelines.rl.outcome import Result, ended
from openr_data.pipelines.rl.questions import Questions, read_questions
from openr_data.pipelines.rl.record import begin, finish, finished
from openr_data.pipelines.rl.rollouts import Rollouts
from openr_data.pipelines.rl.state import OPTIMIZER, Evaluation, State, Writer, checkpoint, load_state, newest, write_metrics
from openr_data.pipelines.rl.teaching.cloning import cloning_teacher
from openr_data.pipelines.rl.teaching.grpo import GroupTeacher, PlayTeacher
from openr_data.pipelines.rl.teaching.preferring import preference_teacher
from openr_data.pipelines.rl.teaching.rejection import RejectionTeacher
from openr_data.pipelines.runner import interruptible
from openr_data.pipelines.second import open_prm
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.scorer import ModelScorer
from openr_data.prm.score.step_scorer import BatchingStepScorer
from openr_data.problems import ProblemSource, input_hash
from openr_data.rl.guards import reason_to_stop, signs
from openr_data.rl.learner import Learner
from openr_data.rl.models import load_policy, save_policy
from openr_data.rl.pair_learner import PairLearner
from openr_data.rl.ppo import ActorCritic
from openr_data.store.lock import DirectoryLock
from openr_data.types import Sampling

STOPPING = "stopping: this update is finished first; press Ctrl-C again to stop at once"


@dataclass(frozen=True, slots=True)
class Listeners:
    """`on_update` hears of every update: its number, how many there will be, and what was logged."""

    on_update: Callable[[int, int, dict[str, Any]], None] = lambda *_: None
    on_evaluation: Callable[[Evaluation], None] = lambda _: None
    warn: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for. `threads` are those of the learner on a CPU (0: all)."""

    config: RLConfig
    sampling: Sampling
    out: Path
    limits: EngineLimits = field(default_factory=EngineLimits)
    prm: ScorerSpec | None = None
    threads: int = 0
    resume: bool = False


def train_policy(asked: Asked, listeners: Listeners = Listeners()) -> Result:
    """Trains a policy into `asked.out`. The model there is that of the best evaluation; the untrained one is among them.

    `asked.resume` goes on exactly from the last checkpoint, and tells a finished run again. Raises `UsageError`, `InputError`,
    `RunDirError`, `EngineError` and `StorageError`, one sentence each; the last good checkpoint stays.
    """
    config = asked.config.checked()
    questions = read_questions(config, listeners.warn)
    folder = model_folder(config.engine)
    teacher = _teacher(asked, questions)
    scorer = open_prm(asked.prm) if asked.prm and _scores(config) else None
    begin(asked.out, _record(asked, folder, scorer), resume=asked.resume)
    with DirectoryLock(asked.out):
        done = finished(asked.out)
        if done is not None:
            return Result.read(done)
        try:
            run = _Run(asked, questions, teacher, folder, scorer, listeners)
            asyncio.run(run.go())
        except asyncio.CancelledError:
            raise Interrupted("stopped at once; --resume goes on from the last checkpoint") from None
        except torch.OutOfMemoryError:
            raise EngineError(
                "there is too little memory: use fewer --batch-tokens or --slots; the last checkpoint is kept"
            ) from None
        return run.finish()


def _teacher(asked: Asked, questions: Questions) -> Teacher:
    config = asked.config
    if isinstance(config.teaching, Grpo):
        return GroupTeacher(config.teaching, questions, config.updates, config.seed)
    if isinstance(config.teaching, Play):
        return PlayTeacher(config.teaching, questions, config.updates, config.seed)
    if isinstance(config.teaching, Rft):
        return RejectionTeacher(config.teaching, questions, config.updates, config.seed, asked.out)
    if isinstance(config.teaching, Sft):
        return cloning_teacher(config.teaching, questions.ban, config.updates, config.seed)
    return preference_teacher(config.teaching, render_only(config.engine), questions.ban, config.updates, config.seed)


def _scores(config: RLConfig) -> bool:
    return config.needs_scores or isinstance(config.teaching, Rft)


def _record(asked: Asked, folder: Path, scorer: ModelScorer | None) -> dict[str, Any]:
    return {
        "config": asked.config.plain(),
        "sampling": asdict(asked.sampling) | {"stop": list(asked.sampling.stop)},
        "policy": model_digest(folder),
        "prm": scorer.identity if scorer else "",
        "context": asked.limits.max_model_len,
        "inputs": {each.location: input_hash(each) for each in _inputs(asked.config)},
    }


def _inputs(config: RLConfig) -> list[ProblemSource]:
    """Whose content the run depends on. (Data sets of solutions are read again in any case, and their pairs and turns follow.)"""
    named = [each for each in (*config.sources, config.held_out) if each.location != "builtin"]
    return [*named, *map(ProblemSource, config.against)]


class _Run:
    """One run that is under way, from its beginning or from a checkpoint."""

    def __init__(
        self,
        asked: Asked,
        questions: Questions,
        teacher: Teacher,
        folder: Path,
        scorer: ModelScorer | None,
        listeners: Listeners,
    ) -> None:
        self.asked, self.config, self.listeners = asked, asked.config, listeners
        self._questions, self._teacher, self._updates = questions, teacher, teacher.updates
        self._folder, self._scorer = folder, scorer
        self._last = newest(asked.out)
        self.state = load_state(self._last) if self._last else State()
        device = choose_device(asked.limits.device)
        self._model = load_policy(self._last or folder, device)
        self._learner = _learner(self.config, self._model, folder)
        torch.manual_seed(self.config.seed)  # of a new value head
        self._actor = ActorCritic(self._learner, self.config.teaching.ppo) if isinstance(self.config.teaching, Play) else None
        if self._last:
            stored = torch.load(self._last / OPTIMIZER, map_location=device, weights_only=True)
            self._learner.optimizer.load_state_dict(stored["policy"])
            if self._actor:
                self._actor.restore(stored)
        self._template = ""
        self._saved = -1

    async def go(self) -> None:
        """Until the last update, a guard's word, or Ctrl-C (`Interrupted`, once a checkpoint is written)."""
        async with self._opened() as rollouts, interruptible(partial(self.listeners.warn, STOPPING)) as stop:
            rollouts.engine.load(self._model.state_dict(), str(self.state.updates))
            if not self.state.evaluations:
                await self._evaluate(rollouts)
                self._save()
            while self.state.updates < self._updates and not self.state.stopped:
                await self._update(rollouts)
                if stop.is_set() and self.state.updates < self._updates:
                    if self._saved != self.state.updates:
                        self._save()
                    raise Interrupted(f"stopped after {self.state.updates} of {self._updates} updates; --resume continues")

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Rollouts]:
        async with (
            open_local(self.config.engine, self.asked.limits) as engine,
            GRADERS[self.config.grader](GradingPolicy()) as grader,
        ):
            self._template = engine.template.name
            scores = BatchingStepScorer(self._scorer) if self._scorer else None
            yield Rollouts(engine, grader, scores, self.asked.sampling, self.config.overlong)

    async def _update(self, rollouts: Rollouts) -> None:
        began, number = time.monotonic(), self.state.updates
        lesson = await self._teacher.lesson(self.state.metrics, rollouts)
        sampled = time.monotonic()
        told = self._learn(lesson, number)
        rollouts.engine.load(self._model.state_dict(), str(number + 1))
        self._note(lesson, told | {"seconds_sampling": sampled - began, "seconds_learning": time.monotonic() - sampled})
        self.state.seconds += time.monotonic() - began
        await self._after(rollouts)

    def _learn(self, lesson: Lesson, number: int) -> dict[str, float]:
        torch.manual_seed(Random(f"{self.config.seed}/{number}/learn").getrandbits(31))  # of dropout, where a model has any
        rate = self.config.learn.rate_at(number, self._updates)
        with _threads(self.asked.threads):
            if self._actor:
                every = [each for group in lesson.groups for each in group.trajectories]
                return {
                    **self._actor.play(every, rate, Random(f"{self.config.seed}/{number}/order")),
                    "rate": rate,
                    "learnt": 1.0,
                }
            if isinstance(self._learner, PairLearner):
                return {**self._learner.prefer(lesson.pairs, rate), "rate": rate}
            told = self._learner.update(lesson.samples, rate, Random(f"{self.config.seed}/{number}/order"))
        learnt = sum(any(each.advantages) for each in lesson.samples)
        return {**told, "rate": rate, "learnt": learnt / len(lesson.samples)}

    def _note(self, lesson: Lesson, told: dict[str, float]) -> None:
        state = self.state
        noted: dict[str, Any] = {"update": state.updates + 1, "level": lesson.level, **told, "sampled_tokens": lesson.tokens}
        if lesson.groups:
            noted |= asdict(signs(lesson.groups, told["kl"], told["learnt"]))
        state.metrics.append(noted)
        if lesson.groups:  # solutions of other questions are longer or shorter by themselves
            state.stopped = reason_to_stop(state.signs(lesson.level), self.config.guards)
        self.listeners.on_update(state.updates, self._updates, noted)

    async def _after(self, rollouts: Rollouts) -> None:
        """Measure and save, where that is due, or where the run ends."""
        last = self.state.updates >= self._updates or bool(self.state.stopped)
        if last or self.state.updates % self.config.evaluate_every == 0:
            await self._evaluate(rollouts)
            self._save()
        elif self.state.updates % self.config.save_every == 0:
            self._save()

    async def _evaluate(self, rollouts: Rollouts) -> None:
        greedy = Sampling(0.0, self.asked.sampling.max_tokens, 0)
        measured = Rollouts(rollouts.engine, rollouts.grader, None, greedy)
        groups = await measured.groups(self._questions.held_out, 1, 0)
        every = [each for group in groups for each in (group.trajectories or (None,))]
        tokens = sum(len(each.tokens) for each in every if each)
        found = Evaluation(self.state.updates, tuple(each.outcome if each else None for each in every), tokens)
        if not any(each is not None for each in found.right):
            raise EngineError("no held-out question could be answered and graded, so nothing can be measured")
        self.state.evaluations.append(found)
        self.listeners.on_evaluation(found)

    def _save(self) -> None:
        with Writer(self.asked.out, self.state) as folder:
            save_policy(self._model, self._folder, folder, self._template)
            critic = self._actor.state() if self._actor else {}
            torch.save({"policy": self._learner.optimizer.state_dict(), **critic}, folder / OPTIMIZER)
        write_metrics(self.asked.out, self.state)
        self._saved = self.state.updates

    def finish(self) -> Result:
        """The best model into the directory, and what became of it beside it."""
        write_metrics(self.asked.out, self.state)  # a kill may have come between them and their checkpoint
        result = ended(self.state, self.config.seed)
        best = checkpoint(self.asked.out, result.best_update)
        for path in best.iterdir():
            if path.is_file() and path.name not in {OPTIMIZER, "state.json"}:
                (self.asked.out / path.name).write_bytes(path.read_bytes())
        finish(self.asked.out, result.plain())
        return result


def _learner(config: RLConfig, model: Any, folder: Path) -> Learner:
    """With the policy that came in as the reference, where one is needed."""
    device = next(model.parameters()).device
    if isinstance(config.teaching, Dpo):
        return PairLearner(model, config.learn, load_policy(folder, device).eval(), config.teaching.loss)
    return Learner(model, config.learn, load_policy(folder, device).eval() if config.learn.loss.beta else None)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """The engine of a small model runs on one thread; learning takes them all."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or cpu_count())
    try:
        yield
    finally:
        torch.set_num_threads(before)
