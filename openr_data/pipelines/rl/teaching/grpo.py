"""Groups of the policy's own solutions: each compared with the others of its question, or played to a value head."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from openr_data.errors import EngineError
from openr_data.pipelines.rl.config import Grpo, Play
from openr_data.pipelines.rl.lesson import Lesson, Past
from openr_data.pipelines.rl.questions import ALL, Questions
from openr_data.pipelines.rl.rollouts import Rollouts
from openr_data.rl.batches import Sample
from openr_data.rl.credit import Credit, token_advantages
from openr_data.rl.curriculum import next_level
from openr_data.rl.trajectory import Group, Trajectory


@dataclass(frozen=True, slots=True)
class GroupTeacher:
    """`share` is (which, of how many): the part of every update's questions that this process asks, where several learn."""

    config: Grpo
    questions: Questions
    updates: int
    seed: int
    share: tuple[int, int] = (0, 1)

    @property
    def content(self) -> str:
        return ""

    async def lesson(self, past: Past, rollouts: Rollouts, /) -> Lesson:
        groups, level = await _sampled(self, past, rollouts, self.share)
        samples = [each for group in groups for each in _samples(group, self.config.credit)]
        if not samples:
            raise EngineError("no sample of an update could be had and rewarded, so there is nothing to learn from")
        tokens = sum(len(each.tokens) for group in groups for each in group.trajectories)
        return Lesson(samples, groups, tokens, level=level)


@dataclass(frozen=True, slots=True)
class PlayTeacher:
    """The groups alone: whoever learns from them knows what each step is worth."""

    config: Play
    questions: Questions
    updates: int
    seed: int

    @property
    def content(self) -> str:
        return ""

    async def lesson(self, past: Past, rollouts: Rollouts, /) -> Lesson:
        groups, level = await _sampled(self, past, rollouts)
        tokens = sum(len(each.tokens) for group in groups for each in group.trajectories)
        if not tokens:
            raise EngineError("the engine lost every sample of an update, so there is nothing to learn from")
        return Lesson((), groups, tokens, level=level)


async def _sampled(
    teacher: GroupTeacher | PlayTeacher, past: Past, rollouts: Rollouts, share: tuple[int, int] = (0, 1)
) -> tuple[list[Group], int]:
    """Solutions of the update's questions, and the level that these are of."""
    config, questions = teacher.config, teacher.questions
    levels = [(each["level"], each["right"]) for each in past if each["right"] is not None]  # unknown is not wrong
    level = next_level(levels, len(questions.levels), config.curriculum) if config.curriculum else ALL
    asked = sum(each["level"] == level for each in past)
    which, parts = share
    problems = questions.of_update(asked, config.questions, teacher.seed, level)[which::parts]
    return await rollouts.groups(problems, config.group, Random(f"{teacher.seed}/{len(past)}").getrandbits(31)), level


def _samples(group: Group, credit: Credit) -> list[Sample]:
    """Without solutions of which nothing is known: they are in no divisor, and no penalty is computed of them."""
    lines = zip(group.trajectories, token_advantages(group, credit), strict=True)
    return [Sample(each.prompt, each.tokens, line, each.lengths) for each, line in lines if _known(each)]


def _known(each: Trajectory) -> bool:
    return each.outcome is not None or any(score is not None for score in each.scores)
