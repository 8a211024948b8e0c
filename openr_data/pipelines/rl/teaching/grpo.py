"""Groups of the policy's own solutions: each compared with the others of its question, or played to a value head."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from openr_data.errors import EngineError
from openr_data.pipelines.rl.config import Grpo, Play
from openr_data.pipelines.rl.lesson import Lesson
from openr_data.pipelines.rl.questions import Questions
from openr_data.pipelines.rl.rollouts import Rollouts
from openr_data.rl.batches import Sample
from openr_data.rl.credit import Credit, token_advantages
from openr_data.rl.trajectory import Group


@dataclass(frozen=True, slots=True)
class GroupTeacher:
    config: Grpo
    questions: Questions
    updates: int
    seed: int

    async def lesson(self, update: int, rollouts: Rollouts, /) -> Lesson:
        problems = self.questions.of_update(update, self.config.questions, self.seed)
        groups = await rollouts.groups(problems, self.config.group, Random(f"{self.seed}/{update}").getrandbits(31))
        samples = [each for group in groups for each in _samples(group, self.config.credit)]
        if not samples:
            raise EngineError("the engine lost every sample of an update, so there is nothing to learn from")
        return Lesson(samples, groups, sum(len(each.tokens) for each in samples))


@dataclass(frozen=True, slots=True)
class PlayTeacher:
    """The groups alone: whoever learns from them knows what each step is worth."""

    config: Play
    questions: Questions
    updates: int
    seed: int

    async def lesson(self, update: int, rollouts: Rollouts, /) -> Lesson:
        problems = self.questions.of_update(update, self.config.questions, self.seed)
        groups = await rollouts.groups(problems, self.config.group, Random(f"{self.seed}/{update}").getrandbits(31))
        tokens = sum(len(each.tokens) for group in groups for each in group.trajectories)
        if not tokens:
            raise EngineError("the engine lost every sample of an update, so there is nothing to learn from")
        return Lesson((), groups, tokens)


def _samples(group: Group, credit: Credit) -> list[Sample]:
    lines = token_advantages(group, credit)
    return [Sample(each.prompt, each.tokens, line, each.lengths) for each, line in zip(group.trajectories, lines, strict=True)]
