"""Tokens per second of searches against the raw engine, in one run: `python benchmarks/search_throughput.py --questions 256`.

Every schedule does the same questions on the same engine. `raw`: the engine samples whole solutions, 64 questions in flight. Each
strategy then runs with 64 questions in flight; the requests that it made are given to the engine all at once, without a search,
a score or a journal (`same requests`); and it runs with one question at a time (fewer questions, as it is slow). Repeats are
interleaved; the median is shown. `--prm` scores in the same process. A journal in a temporary folder records every sample, as in
a run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

from openr_data.engines import EngineLimits, EngineSpec, LoadedEngine
from openr_data.engines.base import Around
from openr_data.engines.open import open_engine
from openr_data.graders import states_answer
from openr_data.pipelines.evaluating.memo import ScoreMemo
from openr_data.pipelines.known_keys import Journals
from openr_data.pipelines.recording import RecordingEngine
from openr_data.pipelines.runner import run_each
from openr_data.pipelines.scheduler import Gate
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.open import open_growing
from openr_data.prm.score.step_scorer import BatchingStepScorer
from openr_data.problems import ProblemSource, Reject, read_problems
from openr_data.search.config import SearchConfig
from openr_data.search.explorer import Resources
from openr_data.search.run import search
from openr_data.store.journal import Journal
from openr_data.types import Completion, Problem, Sampling, Steps

STRATEGIES = ("best_of_n", "beam", "dvts", "mcts")
Job = Callable[[int, Problem], Awaitable[int]]


def main() -> None:
    options = _options()
    print(json.dumps(asyncio.run(_measure(options)), indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="builtin")
    parser.add_argument("--model", default="")
    parser.add_argument("--template", default="auto")
    parser.add_argument("--prm", default="builtin")
    parser.add_argument("--prm-backend", default="transformers")
    parser.add_argument("--prm-dtype", default="auto")
    parser.add_argument("--problems", default="builtin")
    parser.add_argument("--difficulty", type=int, default=12)
    parser.add_argument("--questions", type=int, default=256)
    parser.add_argument("--alone", type=int, default=16, help="questions of the one-at-a-time schedule")
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--slots", type=int, default=0)
    parser.add_argument("--n", type=int, default=16)
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--strategies", nargs="*", default=list(STRATEGIES))
    return parser.parse_args()


async def _measure(o: argparse.Namespace) -> dict[str, object]:
    source = ProblemSource(o.problems, count=o.questions, difficulty=o.difficulty, seed=77, limit=o.questions)
    problems = [each for each in read_problems(source, lambda _: True) if not isinstance(each, Reject)]
    sampling = Sampling(1.0, o.max_tokens, 0)
    rates: dict[str, list[float]] = {}
    async with open_engine(EngineSpec(o.engine, o.model, template=o.template), EngineLimits(slots=o.slots)) as engine:
        scorer = open_growing(ScorerSpec(o.prm, backend=o.prm_backend, dtype=o.prm_dtype))
        await _raw(engine, problems[: o.in_flight], sampling, o)  # warm up
        for repeat in range(o.repeats):
            rates.setdefault("raw", []).append(await _raw(engine, problems, sampling, o))
            for name in o.strategies:
                config = SearchConfig(name, n=o.n)
                seeded = Sampling(1.0, o.max_tokens, repeat + 1)
                noting = Noting(engine)
                rates.setdefault(name, []).append(await _searched(noting, scorer, problems, seeded, config, o.in_flight))
                rates.setdefault(f"{name} same requests", []).append(await _at_once(engine, noting.requests))
                rate = await _searched(engine, scorer, problems[: o.alone], seeded, config, 1)
                rates.setdefault(f"{name} alone", []).append(rate)
    return _report(rates, o)


def _report(rates: dict[str, list[float]], o: argparse.Namespace) -> dict[str, object]:
    middle = {name: median(each) for name, each in rates.items()}
    return {
        "engine": o.engine,
        "questions": o.questions,
        "in_flight": o.in_flight,
        "tokens_per_second": {name: [round(rate) for rate in each] for name, each in rates.items()},
        "of_raw": {name: round(middle[name] / middle["raw"], 3) for name in o.strategies},
        "of_same_requests": {name: round(middle[name] / middle[f"{name} same requests"], 3) for name in o.strategies},
        "times_one_at_a_time": {name: round(middle[name] / middle[f"{name} alone"], 2) for name in o.strategies},
    }


class Noting(Around):
    """An engine that notes what it was asked."""

    def __init__(self, engine: LoadedEngine) -> None:
        super().__init__(engine)
        self.requests: list[tuple[str, Steps, int, Sampling]] = []

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        self.requests += [(question, prefix, index, sampling) for index in range(start, start + n)]
        return await self._engine.sample(question, prefix, n=n, sampling=sampling, start=start)


async def _at_once(engine: LoadedEngine, requests: Sequence[tuple[str, Steps, int, Sampling]]) -> float:
    began = time.perf_counter()
    calls = [engine.sample(question, prefix, n=1, sampling=how, start=index) for question, prefix, index, how in requests]
    tokens = sum(each.token_count for drawn in await asyncio.gather(*calls) for each in drawn)
    return tokens / (time.perf_counter() - began)


async def _raw(engine: LoadedEngine, problems: Sequence[Problem], sampling: Sampling, o: argparse.Namespace) -> float:
    async def job(_: int, problem: Problem) -> int:
        drawn = await engine.sample(problem.question, (), n=o.n, sampling=sampling)
        return sum(each.token_count for each in drawn)

    return await _timed(problems, job, o.in_flight)


async def _searched(
    engine: LoadedEngine, scorer: object, problems: Sequence[Problem], sampling: Sampling, config: SearchConfig, most: int
) -> float:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        journal = Journal(Path(folder) / "journal.sqlite").open()
        stack.push_async_callback(journal.close)
        journals = Journals(journal)
        stack.push_async_callback(journals.close)
        recorder = RecordingEngine(engine, journals.log, journals.sources)
        scores = BatchingStepScorer(scorer)  # type: ignore[arg-type]  # a scorer

        async def job(number: int, problem: Problem) -> int:
            view = recorder.for_item(number)
            use = Resources(view, engine.template.steps, sampling, ScoreMemo(scores.scores), states_answer)
            return (await search(problem.question, use, config)).bill.generated

        return await _timed(problems, job, most, recorder)
    raise AssertionError


async def _timed(problems: Sequence[Problem], job: Job, most: int, recorder: RecordingEngine | None = None) -> float:
    """With at most that many questions open; a recorder opens as many as its engine needs, as a run does."""
    places, tokens = asyncio.Semaphore(most), []
    gate = Gate(recorder.scheduler, most=most) if recorder else None

    async def one(numbered: tuple[int, Problem]) -> None:
        async with places:
            tokens.append(await job(*numbered))
        if gate:
            gate.closed(numbered[0])

    async def room() -> None:
        await (gate.room() if gate else asyncio.sleep(0))

    def opened() -> object:
        for number, problem in enumerate(problems):
            if gate:
                gate.opened(number)
            yield number, problem

    began = time.perf_counter()
    await run_each(opened(), one, room=room, stop=asyncio.Event())  # type: ignore[arg-type]
    return sum(tokens) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
