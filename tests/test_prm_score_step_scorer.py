"""Many coroutines, one model: batches of a turn, duplicates once, and cancelling harms nobody else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from openr_data.errors import EngineError
from openr_data.prm.config import PRMConfig
from openr_data.prm.score.base import ScoreRequest
from openr_data.prm.score.scorer import quiet
from openr_data.prm.score.step_scorer import BatchingStepScorer
from openr_data.prm.scores import StepScores
from openr_data.types import StepScorer


@dataclass
class Lengths:
    """The margin of a step is the number of its letters. While `gate` is closed it waits in its thread."""

    batches: list[list[ScoreRequest]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    threads: set[int] = field(default_factory=set)
    fault: Exception | None = None

    @property
    def config(self) -> PRMConfig:
        return cast("PRMConfig", None)  # nobody asks here

    @property
    def identity(self) -> str:
        return "lengths"

    def score(self, requests: Sequence[ScoreRequest], /, on_done: Callable[[int], None] = quiet) -> list[StepScores]:
        self.batches.append(list(requests))
        self.threads.add(threading.get_ident())
        self.started.set()
        assert self.gate.wait(30)
        if self.fault:
            raise self.fault
        return [
            StepScores(tuple(float(len(step)) for step in steps), "" if steps else "it has no steps") for _, steps in requests
        ]


@pytest.fixture
def model() -> Lengths:
    found = Lengths()
    found.gate.set()
    return found


def test_what_is_asked_in_one_turn_is_one_batch_in_a_thread(model: Lengths) -> None:
    async def ask() -> list[list[StepScores]]:
        scorer = BatchingStepScorer(model)
        return list(await asyncio.gather(*(scorer.scores(f"q{number}", [("a",), ("a", "bb")]) for number in range(5))))

    found = asyncio.run(ask())
    assert [[each.margins for each in one] for one in found] == [[(1.0,), (1.0, 2.0)]] * 5
    assert [len(batch) for batch in model.batches] == [10]
    assert threading.get_ident() not in model.threads


def test_it_is_a_step_scorer_of_probabilities_and_duplicates_are_scored_once(model: Lengths) -> None:
    async def ask() -> list[Sequence[Sequence[float]]]:
        scorer: StepScorer = BatchingStepScorer(model)
        return list(await asyncio.gather(*(scorer("q", [("",), ("",)]) for _ in range(3))))

    assert asyncio.run(ask()) == [[(0.5,), (0.5,)]] * 3
    assert model.batches == [[("q", ("",))]]


def test_what_comes_while_a_batch_is_scored_is_the_next_batch() -> None:
    model = Lengths()

    async def ask() -> None:
        scorer = BatchingStepScorer(model)
        first = asyncio.create_task(scorer.scores("q", [("first",)]))
        await asyncio.to_thread(model.started.wait, 30)
        later = [asyncio.create_task(scorer.scores("q", [(f"later {number}",)])) for number in range(4)]
        await asyncio.sleep(0)
        model.gate.set()
        await asyncio.gather(first, *later)
        await scorer.scores("q", [("last",)])

    asyncio.run(ask())
    assert [len(batch) for batch in model.batches] == [1, 4, 1]


def test_cancelling_one_call_leaves_the_others_and_what_nobody_waits_for_is_not_scored() -> None:
    model = Lengths()

    async def ask() -> list[StepScores]:
        scorer = BatchingStepScorer(model)
        busy = asyncio.create_task(scorer.scores("q", [("busy",)]))
        await asyncio.to_thread(model.started.wait, 30)
        kept = asyncio.create_task(scorer.scores("q", [("both",), ("kept",)]))
        dropped = asyncio.create_task(scorer.scores("q", [("both",), ("dropped",)]))
        await asyncio.sleep(0)
        busy.cancel()
        dropped.cancel()
        await asyncio.gather(busy, dropped, return_exceptions=True)
        model.gate.set()
        return await kept

    found = asyncio.run(ask())
    assert [each.margins for each in found] == [(4.0,), (4.0,)]
    assert model.batches == [[("q", ("busy",))], [("q", ("both",)), ("q", ("kept",))]]


def test_a_fault_reaches_everyone_who_waits_and_the_next_call_is_served(model: Lengths) -> None:
    async def ask() -> list[object]:
        scorer = BatchingStepScorer(model)
        model.fault = EngineError("the model is gone")
        found: list[object] = list(
            await asyncio.gather(*(scorer.scores("q", [(name,)]) for name in ("a", "b")), return_exceptions=True)
        )
        model.fault = None
        return [*found, (await scorer.scores("q", [("c",)]))[0].margins]

    first, second, third = asyncio.run(ask())
    assert isinstance(first, EngineError)
    assert isinstance(second, EngineError)
    assert third == (1.0,)


def test_what_has_no_score_is_an_error_of_its_call_alone(model: Lengths) -> None:
    async def ask() -> list[object]:
        scorer = BatchingStepScorer(model)
        return list(await asyncio.gather(scorer("a question", [()]), scorer("q", [("",)]), return_exceptions=True))

    failed, scored = asyncio.run(ask())
    assert isinstance(failed, EngineError)
    assert str(failed) == "a solution of 'a question' cannot be scored: it has no steps"
    assert scored == [(0.5,)]


def test_nothing_is_asked_for_no_solutions(model: Lengths) -> None:
    async def ask() -> Sequence[Sequence[float]]:
        return await BatchingStepScorer(model)("q", [])

    assert asyncio.run(ask()) == []
    assert model.batches == []
