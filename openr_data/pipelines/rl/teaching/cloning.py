"""Right solutions of data sets: behaviour cloning, and format training (steps are joined as the policy's template has them)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from openr_data.errors import InputError
from openr_data.layouts.sft import SFT
from openr_data.pipelines.loading.load import load
from openr_data.pipelines.rl.config import Sft
from openr_data.pipelines.rl.lesson import Lesson, Past
from openr_data.pipelines.rl.questions import Ban
from openr_data.pipelines.rl.rollouts import Rollouts
from openr_data.pipelines.rl.teaching.imitation import imitated
from openr_data.pipelines.rl.turns import digest_of, turns
from openr_data.store.read import ItemRecords
from openr_data.types import NO_ERROR, LabeledSolution, Solution, Steps

Shown = tuple[str, Steps]
"""A question with a right solution."""


@dataclass(frozen=True, slots=True)
class CloningTeacher:
    config: Sft
    shown: Sequence[Shown]
    updates: int
    seed: int

    @property
    def content(self) -> str:
        return digest_of(self.shown)

    async def lesson(self, past: Past, rollouts: Rollouts, /) -> Lesson:
        engine, batch = rollouts.engine, self.config.batch
        asked = [self.shown[place] for place in turns(len(self.shown), len(past) * batch, batch, self.seed)]
        text = engine.template.steps.join
        return Lesson([imitated(engine.prompt_ids(question, ()), engine.written(text(steps))) for question, steps in asked])


def cloning_teacher(config: Sft, ban: Ban, updates: int, seed: int) -> CloningTeacher:
    """Raises `InputError` for data without a right solution that may be learnt from, and what `openr_data.load` raises."""
    right = list(dict.fromkeys(each for location in config.data for each in _right(location)))
    shown = [each for each in right if not ban.why(each[0])]
    if not shown:
        left = f": all {len(right)} answer held-out questions, or those of an evaluation set" if right else ""
        raise InputError(f"{', '.join(config.data)} has no right solution to learn from{left}")
    return CloningTeacher(config, shown, updates or max(1, round(config.epochs * len(shown) / config.batch)), seed)


def _right(location: str) -> Iterator[Shown]:
    for item in load(location).records(rollouts=False):
        yield from ((item.problem.question, each.steps) for each in _sound(item))


def _sound(item: ItemRecords) -> Iterator[Solution]:
    """Those with a right answer, and where steps were labelled, without a wrong one; and published fine-tuning rows, which have
    no answer to compare with: they are there to be imitated.
    """
    labelled = {each.solution.id: each for each in item.labeled}
    for solution in (*item.solutions, *(each.solution for each in item.labeled)):
        wrong = solution.id in labelled and labelled[solution.id].first_error not in {NO_ERROR, None}
        known = solution.verdict.outcome == "right" or _meant(labelled.get(solution.id))
        if known and solution.steps and not wrong:
            yield solution


def _meant(labelled: LabeledSolution | None) -> bool:
    return labelled is not None and labelled.method == SFT.name
