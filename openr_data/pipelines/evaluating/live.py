"""`solve`: one question, searched now and shown as it goes. Keeps nothing on disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from openr_data.engines import EngineLimits, EngineSpec, LoadedEngine
from openr_data.engines.open import open_engine
from openr_data.errors import EngineError
from openr_data.graders import MathGrader, extract, states_answer
from openr_data.pipelines.evaluating.memo import ScoreMemo
from openr_data.pipelines.second import open_prm
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.step_scorer import BatchingStepScorer
from openr_data.search.base import Found, Path
from openr_data.search.config import SearchConfig
from openr_data.search.explorer import Resources
from openr_data.search.grouping import group_answers
from openr_data.search.nested import chosen, winners
from openr_data.search.run import search
from openr_data.search.select import Ballot, votes
from openr_data.steps import StepFormat
from openr_data.types import Sampling

Watch = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the answers: equal ones are one. `weight` is what the selector gives it, and `best` the first to show for it."""

    text: str
    votes: int
    weight: float | None
    best: int


@dataclass(frozen=True, slots=True)
class Solved:
    """What is shown at the end. `texts` are the answers of the candidates and `groups` their places in `answers`; `choice` is the
    candidate that was chosen; `None`: none of them has an answer.
    """

    question: str
    found: Found
    texts: tuple[str | None, ...]
    groups: tuple[int | None, ...]
    answers: tuple[Answer, ...]
    choice: int | None
    selector: str

    @property
    def winner(self) -> Answer | None:
        """The answer that was chosen."""
        return None if self.choice is None else self.answers[self.groups[self.choice] or 0]


@dataclass(frozen=True, slots=True)
class Solver:
    """Everything that is opened once for any number of questions."""

    engine: LoadedEngine
    scorer: BatchingStepScorer | None
    grader: MathGrader
    sampling: Sampling
    config: SearchConfig
    selector: str

    async def solve(self, question: str, watch: Watch = lambda _: None) -> Solved:
        """Raises `EngineError` where nothing could be sampled."""
        steps = self.engine.template.steps
        scorer = ScoreMemo(self.scorer.scores) if self.scorer else None
        use = Resources(self.engine, steps, self.sampling, scorer, states_answer, watch)
        found = await search(question, use, self.config)
        if not found.candidates:
            raise EngineError("no solution came to a first step: the engine lost every sample, or the token cap is too small")
        return await self._judged(question, found, steps)

    async def _judged(self, question: str, found: Found, steps: StepFormat) -> Solved:
        texts = [extract(steps.join(path.steps)) if path.end == "finished" else None for path in found.candidates]

        async def equal(first: str, second: str) -> bool:
            return (await self.grader.grade_answer(first, second)).outcome == "right"

        groups = await group_answers(texts, equal)
        ballots = [Ballot(group, path.margins) for group, path in zip(groups, found.candidates, strict=True)]
        chains = [path.chain for path in found.candidates]
        choice = chosen(ballots, chains, self.selector)
        # With several chains those that their chains chose are voted on.
        voting = winners(ballots, chains, self.selector) if len(set(chains)) > 1 else range(len(ballots))
        weights = votes([ballots[place] for place in voting], self.selector)
        answers = [
            Answer(texts[groups.index(group)] or "", groups.count(group), weights.get(group), groups.index(group))
            for group in dict.fromkeys(each for each in groups if each is not None)
        ]
        return Solved(question, found, tuple(texts), tuple(groups), tuple(answers), choice, self.selector)


@asynccontextmanager
async def open_solver(
    engine: EngineSpec, limits: EngineLimits, scorer: ScorerSpec | None, sampling: Sampling, config: SearchConfig, selector: str
) -> AsyncIterator[Solver]:
    """Raises an `OpenRDataError` for whatever a user can act on."""
    async with open_engine(engine, limits) as opened, MathGrader() as grader:
        scores = BatchingStepScorer(open_prm(scorer)) if scorer else None
        yield Solver(opened, scores, grader, sampling, config, selector)
