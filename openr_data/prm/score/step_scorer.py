"""A scorer for many coroutines: what they ask at the same time is scored together, in a thread."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from openr_data.errors import EngineError
from openr_data.prm.score.base import Scorer, ScoreRequest
from openr_data.prm.scores import StepScores
from openr_data.types import Steps

_Asked = list[tuple[ScoreRequest, "asyncio.Future[StepScores]"]]


@dataclass(slots=True)
class BatchingStepScorer:
    """A `types.StepScorer`: p(+) of every step. Belongs to one event loop.

    Requests of one turn of the loop, and those that come while a batch is being scored, go through the model together; the same
    question and steps are scored once. Cancelling a call leaves the others as they are, and what nobody waits for is not scored.
    Raises `EngineError` where a solution cannot be scored: it has no score, which is not a low one.
    """

    scorer: Scorer
    _asked: _Asked = field(default_factory=list, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    async def __call__(self, question: str, solutions: Sequence[Steps], /) -> Sequence[Sequence[float]]:
        found = await self.scores(question, solutions)
        reason = next((one.reason for one in found if one.reason), "")
        if reason:
            raise EngineError(f"a solution of '{question[:60]}' cannot be scored: {reason}")
        return [one.probabilities for one in found]

    async def scores(self, question: str, solutions: Sequence[Steps], /) -> list[StepScores]:
        """With margins, which tell apart what is near 1; and with the reason of what has no score."""
        loop = asyncio.get_running_loop()
        asked: _Asked = [((question, tuple(steps)), loop.create_future()) for steps in solutions]
        self._asked += asked
        if self._task is None:
            self._task = loop.create_task(self._serve())
        return await asyncio.gather(*(answer for _, answer in asked))

    async def _serve(self) -> None:
        """Until nobody asks. The task begins when the coroutines that are ready now have run, and so have asked."""
        try:
            while self._asked:
                waiting: dict[ScoreRequest, list[asyncio.Future[StepScores]]] = defaultdict(list)
                for request, answer in self._asked:
                    if not answer.done():
                        waiting[request].append(answer)
                self._asked = []
                await self._answer(waiting)
        finally:
            self._task = None

    async def _answer(self, waiting: dict[ScoreRequest, list[asyncio.Future[StepScores]]]) -> None:
        try:
            found = await asyncio.to_thread(self.scorer.score, list(waiting)) if waiting else []
        except asyncio.CancelledError:
            for answer in _open(waiting):
                answer.cancel()
            raise
        except Exception as fault:  # whoever asked is told, whatever it is
            for answer in _open(waiting):
                answer.set_exception(fault)
            return
        for scores, answers in zip(found, waiting.values(), strict=True):
            for answer in answers:
                if not answer.done():
                    answer.set_result(scores)


def _open(waiting: dict[ScoreRequest, list[asyncio.Future[StepScores]]]) -> list[asyncio.Future[StepScores]]:
    return [answer for answers in waiting.values() for answer in answers if not answer.done()]
