"""The measuring half of `labelling.py`: problems, their wrong solutions and every method over the same rollouts.

A rollout of a problem is drawn once and answers every method that asks for the same sample, so all methods are paired; each is
charged for what it asked, as if it had been alone.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.chain import chain_problems, true_first_error
from openr_data.engines.open import open_engine
from openr_data.labelers import LabelConfig, adaptive_labeler, build_labeler, measurement
from openr_data.labelers.adaptive import Seen, fit
from openr_data.pipelines.recording import RecordingEngine
from openr_data.problems import ProblemSource, usable_problems
from openr_data.problems.oracle import judge
from openr_data.steps import StepFormat
from openr_data.store.journal import Journal, ReadOnlyJournal
from openr_data.tasks import concurrently
from openr_data.types import Completion, Engine, Problem, Rollout, Sampling, Solution, Steps, Verdict

GIVEN = 4
FILTER = 32
LINES = StepFormat("\n")
_ANSWER = re.compile(r"The answer is (-?\d+)")


@dataclass(frozen=True, slots=True)
class Domain:
    """Problems with a policy and the truth. `truth` gives the first wrong state (0-based) of a wrong solution."""

    name: str
    spec: EngineSpec
    problems: Callable[[], Iterator[Problem]]
    truth: Callable[[Problem, Steps], int]
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Method:
    """`pilot`: it works under a model that has to be fitted first."""

    name: str
    config: LabelConfig
    pilot: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One wrong solution under one method: `said` is the first error (0-based, `None`: undecided), `problem` a number."""

    method: str
    problem: int
    steps: int
    truth: int
    said: int | None
    confidence: float | None
    tokens: int
    rollouts: int


@dataclass(frozen=True, slots=True)
class Results:
    """`root`: tokens of a question's root beyond the given solutions, on average; `pilot`: what each model cost, by method."""

    domain: str
    rows: tuple[Row, ...]
    questions: int
    solutions: int
    root: float
    pilot: dict[str, int]


def chain(steps: int, recovery: float, phrasings: int, extra: str = "") -> Domain:
    """The synthetic chain: success of a question from Beta(1.2, 1.2), uneven steps, exact truth."""
    script = f"vary=1,uneven=1,recovery={recovery},phrasings={phrasings}" + (f",{extra}" if extra else "")
    name = f"chain M={steps} rho={recovery} phrasings={phrasings}" + (f" {extra}" if extra else "")
    problems = lambda: chain_problems(1_000_000, seed=3, steps=(steps, steps), starts=(10, 1_000_000))  # noqa: E731 - a stream that starts anew
    truth = lambda problem, lines: true_first_error(problem.question, lines)  # noqa: E731
    return Domain(name, EngineSpec("scripted", script=script), problems, truth, Sampling(1.0, 4096, 0))


def builtin(seed: int, count: int = 100_000) -> Domain:
    """The built-in policy on its task; the truth is the oracle's first wrong state, what rollouts can see."""
    source = ProblemSource("builtin", count=count, seed=seed)
    truth = lambda problem, lines: judge(problem.question, lines).first_wrong_state  # noqa: E731
    problems = lambda: usable_problems(source, lambda _: True)  # noqa: E731
    return Domain("built-in policy", EngineSpec("builtin"), problems, truth, Sampling(1.0, 256, seed))


class Memo:
    """Every sample of one problem, drawn once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[tuple[Steps, int], asyncio.Future[Completion]] = {}

    async def sample(self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0) -> list[Completion]:
        missing = [i for i in range(start, start + n) if (prefix, i) not in self._known]
        loop = asyncio.get_running_loop()
        for index in missing:
            self._known[prefix, index] = loop.create_future()
        if missing:
            for run in _runs(missing):
                drawn = await self._engine.sample(question, prefix, n=len(run), sampling=sampling, start=run[0])
                for completion in drawn:
                    self._known[prefix, completion.index].set_result(completion)
        return [await self._known[prefix, i] for i in range(start, start + n)]


async def grade(response: str, answer: str, /) -> Verdict:
    """Both tasks end in one fixed sentence with a whole number."""
    found = _ANSWER.findall(response)
    if not found:
        return Verdict("wrong", "no_answer")
    return Verdict("right" if found[-1] == answer else "wrong", "exact", found[-1])


async def measure(
    domain: Domain, methods: Sequence[Method], *, wanted: int, pilot: int, journal: Path | None, reuse: Sequence[Path]
) -> Results:
    """Run every method on questions that pass the filter until there are `wanted` wrong solutions."""
    async with _engine(domain, journal, reuse) as engine:
        questions = await _questions(domain, engine, wanted)
        models, costs = {}, {}
        for method in methods:
            if method.pilot:
                models[method.name], costs[method.name] = await _fitted(method, domain, questions, pilot)
        rows: list[Row] = []
        for number, question in enumerate(questions):
            for method in methods:
                config = replace(method.config, model=models.get(method.name, ""))
                labeler = build_labeler(config, question.engine, grade, domain.sampling, LINES)
                labeling = await labeler(question.problem, question.solutions)
                rows += [
                    Row(
                        method.name,
                        number,
                        len(one.solution.steps),
                        domain.truth(question.problem, one.solution.steps),
                        one.first_error,
                        one.confidence,
                        one.cost.tokens,
                        one.cost.rollouts,
                    )
                    for one in labeling.solutions
                    if one.origin == "given" and one.solution.verdict.outcome == "wrong"
                ]
            question.engine = Memo(engine)  # let go of its rollouts
        solutions = sum(row.method == methods[0].name for row in rows)
        root = sum(question.root for question in questions) / len(questions)
        return Results(domain.name, tuple(rows), len(questions), solutions, root, costs)


@dataclass(slots=True)
class Question:
    problem: Problem
    solutions: tuple[Solution, ...]
    engine: Memo
    root: int


async def _questions(domain: Domain, engine: Engine, wanted: int) -> list[Question]:
    """Questions with right and wrong answers among 32, each with its first four solutions; a window at a time."""
    questions: list[Question] = []
    wrong, problems = 0, domain.problems()
    while wrong < wanted:
        batch = [problem for problem, _ in zip(problems, range(64), strict=False)]
        if not batch:
            break
        for question in await concurrently(_question(domain, engine, problem) for problem in batch):
            if question is not None and wrong < wanted:
                questions.append(question)
                wrong += sum(solution.verdict.outcome == "wrong" for solution in question.solutions)
    return questions


async def _question(domain: Domain, engine: Engine, problem: Problem) -> Question | None:
    memo = Memo(engine)
    drawn = await memo.sample(problem.question, (), n=FILTER, sampling=domain.sampling)
    rollouts = [Rollout(completion, await grade(completion.text, problem.answer)) for completion in drawn]
    outcomes = {rollout.verdict.outcome for rollout in rollouts}
    if len(outcomes) < 2:
        return None
    solutions = tuple(
        Solution(
            f"{problem.id}/{r.completion.index}",
            problem.id,
            LINES.split(r.completion.text),
            r.verdict,
            r.completion.token_count,
            index=r.completion.index,
            seed=r.completion.seed,
        )
        for r in rollouts[:GIVEN]
    )
    return Question(problem, solutions, memo, sum(r.completion.token_count for r in rollouts[GIVEN:]))


async def _fitted(method: Method, domain: Domain, questions: Sequence[Question], pilot: int) -> tuple[str, int]:
    """The model of an adaptive method, fitted to the first questions, and the tokens that the pilot drew."""
    seen: list[Seen] = []
    tokens = 0
    for question in questions:
        labeler = adaptive_labeler(method.config, measurement(method.config, question.engine, grade, domain.sampling, LINES))
        new, labeling = await labeler.observe(question.problem, question.solutions)
        seen += new
        tokens += sum(one.cost.tokens for one in labeling.solutions)
        if len(seen) >= pilot:
            break
    return json.dumps(fit(seen).to_json()), tokens


def _runs(indices: Sequence[int]) -> Iterator[list[int]]:
    run: list[int] = []
    for index in indices:
        if run and index != run[-1] + 1:
            yield run
            run = []
        run.append(index)
    yield run


@asynccontextmanager
async def _engine(domain: Domain, journal: Path | None, reuse: Sequence[Path]) -> AsyncIterator[Engine]:
    """The policy; with a journal, what was drawn once is kept for the next time."""
    async with open_engine(domain.spec, EngineLimits()) as engine:
        if journal is None:
            yield engine
            return
        log, others = Journal(journal).open(), [ReadOnlyJournal(path) for path in reuse]
        try:
            yield RecordingEngine(engine, log, others)
        finally:
            for other in others:
                await other.close()
            await log.close()
