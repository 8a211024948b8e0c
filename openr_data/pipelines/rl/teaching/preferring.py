"""Preference pairs of labelled data sets: single steps after the same right ones, or everything from there to the end.

Of a wrong solution its first wrong step is rejected; chosen is a right step at the same place, of another solution or of a
rollout that ended right. A step that is not the last one ends with its separator and not with an end token: a policy that learns
from steps must not learn to stop after one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from openr_data.engines.local_text import TextSide
from openr_data.errors import InputError
from openr_data.layouts.base import ExportSolution
from openr_data.layouts.pairs import Pair as Parting
from openr_data.layouts.pairs import pairs
from openr_data.pipelines.loading.load import load
from openr_data.pipelines.rl.config import Dpo
from openr_data.pipelines.rl.lesson import Lesson, Past
from openr_data.pipelines.rl.questions import Ban
from openr_data.pipelines.rl.rollouts import Rollouts
from openr_data.pipelines.rl.turns import digest_of, turns
from openr_data.rl.preferences import Pair
from openr_data.steps import StepFormat
from openr_data.store.read import ItemRecords
from openr_data.types import NO_ERROR, LabeledSolution, Node

_ENDED = "ended"
"""Note of a solution: whether it ended by itself."""


@dataclass(frozen=True, slots=True)
class PreferenceTeacher:
    config: Dpo
    pairs: Sequence[Pair]
    updates: int
    seed: int

    @property
    def content(self) -> str:
        return digest_of((each.prompt, each.chosen, each.rejected) for each in self.pairs)

    async def lesson(self, past: Past, rollouts: Rollouts, /) -> Lesson:
        places = turns(len(self.pairs), len(past) * self.config.batch, self.config.batch, self.seed)
        return Lesson((), pairs=[self.pairs[place] for place in places])


def preference_teacher(config: Dpo, text: TextSide, ban: Ban, updates: int, seed: int) -> PreferenceTeacher:
    """`text` is the policy's tokenizer with its template. Raises `InputError` for data without a pair, and what `load` raises."""
    found = [each for location in config.data for each in _pairs(location, config, text, ban)]
    if not found:
        raise InputError(f"{', '.join(config.data)} has no pair of a right and a wrong step after the same steps")
    return PreferenceTeacher(config, found, updates or max(1, round(config.epochs * len(found) / config.batch)), seed)


def _pairs(location: str, config: Dpo, text: TextSide, ban: Ban) -> Iterator[Pair]:
    for item in load(location).records():
        if not ban.why(item.problem.question):
            for each in pairs(_solutions(item, text.template.steps), config.per_question, whole=config.whole):
                yield _tokens(item.problem.question, each, config, text)


def _solutions(item: ItemRecords, steps: StepFormat) -> list[ExportSolution]:
    """The labelled ones, and rollouts that ended right: all of whose steps are taken to be right."""
    given = [_labelled(each) for each in item.labeled if each.solution.steps]
    return [*given, *(each for node in item.nodes for each in _rollouts(node, steps))]


def _labelled(each: LabeledSolution) -> ExportSolution:
    solution = each.solution
    nothing = (None,) * len(solution.steps)
    verdict, notes = solution.verdict.outcome, {_ENDED: str(solution.finish_reason == "stop")}
    return ExportSolution(solution.id, solution.steps, each.hard_labels, nothing, each.first_error, verdict, "", notes)


def _rollouts(node: Node, steps: StepFormat) -> Iterator[ExportSolution]:
    for number, rollout in enumerate(node.rollouts):
        written = steps.split(steps.open(node.prefix) + rollout.completion.text)
        if rollout.verdict.outcome == "right" and len(written) > len(node.prefix):
            known: tuple[bool | None, ...] = (True,) * len(written)
            notes = {_ENDED: str(rollout.completion.finish_reason == "stop")}
            yield ExportSolution(f"{node.id}/{number}", written, known, (None,) * len(written), NO_ERROR, "right", "", notes)


def _tokens(question: str, parting: Parting, config: Dpo, text: TextSide) -> Pair:
    prompt = tuple(text.encode_prompt(text.prompt(question, parting.prefix)))
    chosen, rejected = (_continuation(each, parting.place, config, text) for each in (parting.chosen, parting.rejected))
    return Pair(prompt, chosen, rejected)


def _continuation(solution: ExportSolution, place: int, config: Dpo, text: TextSide) -> tuple[int, ...]:
    steps, format_ = solution.steps, text.template.steps
    if config.whole or place == len(steps) - 1:
        end = text.end if solution.notes[_ENDED] == str(True) else ()  # what was cut did not choose to end there
        return (*text.encode(format_.join(steps[place:])), *end)
    return tuple(text.encode(steps[place] + format_.separator))
