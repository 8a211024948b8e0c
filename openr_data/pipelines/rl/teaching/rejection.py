"""The policy's own right solutions, imitated in rounds (RFT, arXiv 2308.01825; ReST-EM, arXiv 2312.06585)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from openr_data.errors import EngineError
from openr_data.pipelines.rl.config import Rft
from openr_data.pipelines.rl.lesson import Lesson, Past
from openr_data.pipelines.rl.questions import Questions
from openr_data.pipelines.rl.rollouts import Rollouts
from openr_data.pipelines.rl.state import WORK
from openr_data.pipelines.rl.teaching.imitation import imitated
from openr_data.pipelines.rl.turns import turns
from openr_data.rl.batches import Sample
from openr_data.rl.selection import kept
from openr_data.store.atomic import read_checked_json, write_checked_json


@dataclass(slots=True)
class RejectionTeacher:
    """What a round keeps is written down before it is learnt from: a run that goes on learns from the same solutions."""

    config: Rft
    questions: Questions
    updates: int
    seed: int
    out: Path
    _round: int = -1
    _kept: Sequence[Sample] = ()

    @property
    def content(self) -> str:
        return ""

    async def lesson(self, past: Past, rollouts: Rollouts, /) -> Lesson:
        update = len(past)
        number = update * self.config.rounds // self.updates
        first = -(-number * self.updates // self.config.rounds)
        if number != self._round:
            self._kept, tokens = await self._known_or_sampled(number, rollouts)
            self._round = number
        else:
            tokens = 0
        places = turns(len(self._kept), (update - first) * self.config.batch, self.config.batch, self.seed)
        return Lesson([self._kept[place] for place in places], tokens=tokens if update == first else 0)

    async def _known_or_sampled(self, number: int, rollouts: Rollouts) -> tuple[list[Sample], int]:
        file = self.out / WORK / f"round-{number:03d}.json"
        if not file.is_file():
            write_checked_json(file, await self._sampled(number, rollouts))
        body = read_checked_json(file, "begin again in another directory")
        return [imitated(prompt, tokens) for prompt, tokens in body["kept"]], body["tokens"]

    async def _sampled(self, number: int, rollouts: Rollouts) -> dict[str, object]:
        problems = self.questions.of_update(number, self.config.questions, self.seed)
        seed = Random(f"{self.seed}/round/{number}").getrandbits(31)
        groups = await rollouts.groups(problems, self.config.group, seed)
        found = [each for group in groups for each in kept(group, self.config.keep, self.config.least)]
        if not found:
            raise EngineError("no solution of the round is right, so there is nothing to imitate: ask easier questions")
        tokens = sum(len(each.tokens) for group in groups for each in group.trajectories)
        return dict(json.loads(json.dumps({"kept": [(each.prompt, each.tokens) for each in found], "tokens": tokens})))
