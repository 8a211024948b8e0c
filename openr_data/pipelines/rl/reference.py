"""The loop of reinforcement learning with the reference trainer: sample, reward, learn, hand over the weights, measure."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch

from openr_data.models.devices import choose_device
from openr_data.pipelines.rl.config import Dpo, Play, RLConfig
from openr_data.pipelines.rl.lesson import Lesson
from openr_data.pipelines.rl.measuring import held_out, measured
from openr_data.pipelines.rl.outcome import Result, concluded
from openr_data.pipelines.rl.prepared import STOPPING, Listeners, Prepared, stopped_after
from openr_data.pipelines.rl.rollouts import Rollouts
from openr_data.pipelines.rl.state import OPTIMIZER, State, Writer, load_state, newest, write_metrics
from openr_data.pipelines.rl.threads import threads
from openr_data.pipelines.runner import interruptible
from openr_data.rl.guards import reason_to_stop
from openr_data.rl.learner import Learner
from openr_data.rl.models import load_policy, save_policy
from openr_data.rl.pair_learner import PairLearner
from openr_data.rl.ppo import ActorCritic


class ReferenceRun:
    """One run of the reference trainer that is under way, from its beginning or from a checkpoint."""

    def __init__(self, prepared: Prepared, listeners: Listeners) -> None:
        asked, folder = prepared.asked, prepared.folder
        self.asked, self.config, self.listeners = asked, asked.config, listeners
        self._prepared, self._teacher, self._updates = prepared, prepared.teacher, prepared.teacher.updates
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
        self._prompt = ("", "")
        self._saved = -1

    def go(self) -> None:
        """Until the last update, a guard's word, or Ctrl-C (`Interrupted`, once a checkpoint is written)."""
        asyncio.run(self._go())

    async def _go(self) -> None:
        async with self._prepared.opened() as rollouts, interruptible(partial(self.listeners.warn, STOPPING)) as stop:
            self._prompt = (rollouts.engine.template.name, rollouts.engine.template.separator)
            rollouts.engine.load(self._model.state_dict(), str(self.state.updates))
            if not self.state.evaluations:
                await self._evaluate(rollouts)
                self._save()
            while self.state.updates < self._updates and not self.state.stopped:
                await self._update(rollouts)
                if stop.is_set() and self.state.updates < self._updates:
                    if self._saved != self.state.updates:
                        self._save()
                    raise stopped_after(self.state.updates, self._updates)

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
        with threads(self.asked.threads):
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
        noted = self.state.note(lesson.groups, lesson.tokens, lesson.level, told)
        if lesson.groups:  # solutions of other questions are longer or shorter by themselves
            self.state.stopped = reason_to_stop(self.state.signs(lesson.level), self.config.guards)
        self.listeners.on_update(self.state.updates, self._updates, noted)

    async def _after(self, rollouts: Rollouts) -> None:
        """Measure and save, where that is due, or where the run ends."""
        last = self.state.updates >= self._updates or bool(self.state.stopped)
        if last or self.state.updates % self.config.evaluate_every == 0:
            await self._evaluate(rollouts)
            self._save()
        elif self.state.updates % self.config.save_every == 0:
            self._save()

    async def _evaluate(self, rollouts: Rollouts) -> None:
        found = measured(self.state.updates, await held_out(rollouts, self._prepared.questions.held_out))
        self.state.evaluations.append(found)
        self.listeners.on_evaluation(found)

    def _save(self) -> None:
        with Writer(self.asked.out, self.state) as folder:
            save_policy(self._model, self._prepared.folder, folder, self._prompt)
            critic = self._actor.state() if self._actor else {}
            torch.save({"policy": self._learner.optimizer.state_dict(), **critic}, folder / OPTIMIZER)
        write_metrics(self.asked.out, self.state)
        self._saved = self.state.updates

    def finish(self) -> Result:
        """The best model into the directory, and what became of it beside it."""
        return concluded(self.asked.out, self.state, self.config.seed)


def _learner(config: RLConfig, model: Any, folder: Path) -> Learner:
    """With the policy that came in as the reference, where one is needed."""
    device = next(model.parameters()).device
    if isinstance(config.teaching, Dpo):
        return PairLearner(model, config.learn, load_policy(folder, device).eval(), config.teaching.loss)
    return Learner(model, config.learn, load_policy(folder, device).eval() if config.learn.loss.beta else None)
