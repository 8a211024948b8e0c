"""The scores of one question: searches that meet the same prefix have it scored once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from openr_data.prm.scores import StepScores
from openr_data.types import Steps

Ask = Callable[[str, Sequence[Steps]], Awaitable[list[StepScores]]]


class ScoreMemo:
    """Around a scorer, for the life of one item. A search pays for what it is told from memory as if it had asked: what it costs
    does not depend on what else was searched.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._known: dict[tuple[str, Steps], StepScores] = {}

    async def __call__(self, question: str, prefixes: Sequence[Steps], /) -> list[StepScores]:
        missing = list(dict.fromkeys(steps for steps in prefixes if (question, steps) not in self._known))
        if missing:
            found = await self._ask(question, missing)
            self._known |= {(question, steps): scores for steps, scores in zip(missing, found, strict=True)}
        return [self._known[question, steps] for steps in prefixes]
