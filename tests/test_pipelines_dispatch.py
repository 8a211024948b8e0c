"""Handing out items to workers that come and go, without Ray: fakes that die on cue, and real part workers in this process."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openr_data.engines import EngineSpec
from openr_data.errors import EngineError, RunDirError, StorageError, TooManyFailures
from openr_data.pipelines import part_worker
from openr_data.pipelines.config import GenerateConfig, RunOptions
from openr_data.pipelines.dispatch import Away, Dispatcher, Gone
from openr_data.pipelines.generate import generate_stage
from openr_data.pipelines.part_worker import BUG, Answer, Fault, Job, PartWorker, Unit
from openr_data.problems import ProblemSource
from openr_data.store.lock import DirectoryLock
from openr_data.types import Sampling


class Fake:
    """Finishes what it holds one turn later. `script[turn]` is an exception to raise or a fault to report in that turn."""

    def __init__(self, name: str, script: dict[int, Exception | Fault] | None = None, room: int = 3) -> None:
        self.name, self.part, self.room = name, Path(name), room
        self.script = script or {}
        self.turns = 0
        self.lives = 1
        self.born = 0
        self.holds: list[int] = []
        self.did: list[int] = []
        self.reuse: list[str] = []
        self.dismissed = False
        self.most = 0

    async def turn(self, units: Sequence[Unit], reuse: Sequence[str], /) -> Answer:
        await asyncio.sleep(0)
        self.turns += 1
        self.reuse += reuse
        event = self.script.get(self.turns)
        if isinstance(event, Exception):
            self.holds = []
            raise event
        done = [number for number in self.holds if number >= 0]
        self.did += done
        self.holds = [unit.number for unit in units]
        self.most = max(self.most, len(self.holds))
        return Answer(
            f"{self.name} {self.lives}", self.room, tuple(done), fault=event, counts={"tokens": len(self.did) - self.born}
        )

    async def revive(self) -> None:
        self.lives += 1
        self.born = len(self.did)
        self.holds = []

    async def dismiss(self) -> None:
        self.dismissed = True

    async def close(self, items: int | None, /) -> None:
        """Nothing to leave."""


def units(count: int) -> Iterator[Unit]:
    return (Unit(number, f"item {number}") for number in range(count))


def dispatch(
    count: int, *hands: Fake, max_failures: int = 0, patience: float = 0.0, first_alone: bool = False
) -> tuple[Dispatcher, list[str]]:
    warnings: list[str] = []

    async def go() -> Dispatcher:
        stop = asyncio.Event()
        limits = {"max_failures": max_failures, "patience": patience}
        others: Any = {"warn": warnings.append, "first_alone": first_alone}
        dispatcher = Dispatcher(units(count), hands, stop=stop, **limits, **others)  # type: ignore[arg-type]  # two numbers
        async with asyncio.timeout(60):
            await dispatcher.run()
        return dispatcher

    return asyncio.run(go()), warnings


def test_every_item_is_done_once_and_no_worker_holds_more_than_it_wants() -> None:
    one, two = Fake("one"), Fake("two", room=5)
    dispatcher, warnings = dispatch(100, one, two)
    assert sorted(one.did + two.did) == list(range(100))
    assert dispatcher.done == dispatcher.counts["tokens"] == 100
    assert (one.most, two.most, warnings) == (3, 5, [])


class Preparing(Fake):
    """Has room after some turns; `began` tells what the others had done when it was first asked."""

    def __init__(self, name: str, turns: int, others: Sequence[Fake] = (), script: dict[int, Exception | Fault] | None = None):
        super().__init__(name, script)
        self.preparing, self.others = turns, others
        self.began: list[int] | None = None

    async def turn(self, units: Sequence[Unit], reuse: Sequence[str], /) -> Answer:
        if self.began is None:
            self.began = [other.turns for other in self.others]
        answer = await super().turn(units, reuse)
        return replace(answer, room=answer.room if self.turns > self.preparing else 0)


def test_one_worker_prepares_the_run_and_the_others_begin_with_its_part() -> None:
    one = Preparing("one", 5)
    two, three = Preparing("two", 0, [one]), Preparing("three", 0, [one])
    dispatcher, warnings = dispatch(60, one, two, three, first_alone=True)
    assert sorted(one.did + two.did + three.did) == list(range(60))
    assert two.began == [6], "when the first one has room for items"
    assert three.began is not None
    assert three.began[0] >= 6
    assert (one.reuse, two.reuse, three.reuse) == ([], ["one"], ["one"])
    assert (dispatcher.done, warnings) == (60, [])


@pytest.mark.parametrize("fault", [Gone("killed"), Away(), Fault("EngineError", "no memory", local=True)])
def test_another_worker_prepares_the_run_where_the_first_one_is_lost(fault: Exception | Fault) -> None:
    one = Preparing("one", 5, script=dict.fromkeys(range(3, 10_000), fault))
    two = Preparing("two", 4, [one])
    three = Preparing("three", 0, [two])
    dispatcher, warnings = dispatch(30, one, two, three, first_alone=True)
    assert (dispatcher.done, sorted(two.did + three.did)) == (30, list(range(30)))
    assert (three.began, two.reuse, three.reuse) == ([5], ["one"], ["one", "two"])
    assert len(warnings) == 1


def test_a_run_that_nobody_can_prepare_ends_with_the_last_fault() -> None:
    lost = [Preparing(name, 9, script={2: Gone(name)}) for name in ("one", "two")]
    with pytest.raises(EngineError, match="two was lost and did not come back"):
        dispatch(5, *lost, first_alone=True)


def test_a_worker_that_comes_back_is_handed_again_what_it_had_not_finished() -> None:
    one = Fake("one", {4: Away(), 5: Away()})
    dispatcher, _ = dispatch(20, one, patience=60.0)
    assert sorted(one.did) == list(range(20))
    assert dispatcher.done == 20


def test_a_worker_that_died_after_useful_work_is_started_anew() -> None:
    one = Fake("one", {4: Gone("killed")})
    dispatcher, warnings = dispatch(20, one)
    assert (one.lives, dispatcher.done, warnings) == (2, 20, [])
    assert dispatcher.counts["tokens"] == 20


def test_a_worker_that_does_not_come_back_leaves_its_items_and_its_part_to_the_others() -> None:
    lost, other = Fake("lost", dict.fromkeys(range(3, 10_000), Away())), Fake("other")
    dispatcher, warnings = dispatch(30, lost, other)
    assert sorted({*lost.did, *other.did}) == list(range(30))
    assert dispatcher.done == 30
    assert lost.dismissed
    assert other.reuse == ["lost"]
    assert warnings[-1] == "lost did not come back, its problems go to the other workers"


def test_a_worker_whose_engine_never_works_is_given_up_and_the_last_one_says_why() -> None:
    broken = dict.fromkeys(range(1, 10), Fault("EngineError", "no such model", local=True))
    dispatcher, warnings = dispatch(10, Fake("one", dict(broken)), Fake("two"))
    assert dispatcher.done == 10
    assert warnings == ["one is given up, its problems go to the other workers: no such model"]
    with pytest.raises(EngineError, match="no such model"):
        dispatch(10, Fake("one", dict(broken)), Fake("two", dict(broken)))


def test_a_fault_that_all_would_meet_ends_the_run_as_itself() -> None:
    with pytest.raises(StorageError, match="disk full"):
        dispatch(10, Fake("one", {2: Fault("StorageError", "disk full")}), Fake("two"))
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        dispatch(10, Fake("one", {2: Fault(BUG, "ZeroDivisionError")}))


def test_failures_are_counted_over_all_workers() -> None:
    class Failing(Fake):
        async def turn(self, units: Sequence[Unit], reuse: Sequence[str], /) -> Answer:
            answer = await super().turn(units, reuse)
            return Answer(answer.life, answer.room, failed=tuple((number, "too long") for number in answer.done))

    dispatcher, _ = dispatch(6, Failing("one"), Failing("two"), max_failures=6)
    assert (dispatcher.done, dispatcher.failed) == (0, 6)
    with pytest.raises(TooManyFailures, match=r"[67] problems failed, the last one so: too long"):
        dispatch(20, Failing("one"), Failing("two"), max_failures=5)


def test_a_stop_before_any_worker_is_there_ends_at_once() -> None:
    class Pending(Fake):
        async def turn(self, units: Sequence[Unit], reuse: Sequence[str], /) -> Answer:
            await asyncio.Event().wait()
            raise AssertionError

    async def go() -> int:
        stop = asyncio.Event()
        dispatcher = Dispatcher(units(10), [Pending("one")], stop=stop, max_failures=0, patience=1.0)
        asyncio.get_running_loop().call_later(0.01, stop.set)
        async with asyncio.timeout(10):
            await dispatcher.run()
        return dispatcher.done

    assert asyncio.run(go()) == 0


def test_memory_does_not_grow_with_the_items() -> None:
    def peak(count: int) -> int:
        fakes = [Fake("one", room=50), Fake("two", room=50)]
        for fake in fakes:
            fake.did = _Uncounted()
        tracemalloc.start()
        assert dispatch(count, *fakes)[0].done == count
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(1000)
    assert peak(40_000) < peak(2000) + 100_000


class _Uncounted(list[int]):
    def __iadd__(self, other: Any) -> _Uncounted:  # type: ignore[override, misc]  # forgets
        return self


def job(out: Path, script: str = "steps=4", patience: float = 0.3, version: str = "") -> Job:
    config = GenerateConfig(
        ProblemSource("builtin", count=8), EngineSpec("scripted", script=script), Sampling(1.0, 200, 0), solutions=2
    )
    options = RunOptions(out, mode="resume", part="one")
    known = {"version": version} if version else {}
    return Job(generate_stage(config), options, str(Path.cwd()), lock_patience=patience, **known)


def problems(given: Job) -> list[Unit]:
    return [Unit(number, item) for number, item in enumerate(given.stage.items())]


async def done(worker: PartWorker, handed: list[Unit], count: int) -> list[Answer]:
    answers = [await worker.turn(handed)]
    while sum(len(answer.done) for answer in answers) < count and not (answers and answers[-1].fault):
        answers.append(await worker.turn([]))
    return answers


def test_a_part_worker_does_what_it_is_handed_and_answers_again_for_what_is_done(tmp_path: Path) -> None:
    given = job(tmp_path / "part")

    async def first() -> Answer:
        worker = PartWorker(given)
        assert (await worker.turn([])).room in {0, part_worker.AHEAD}
        answers = await done(worker, problems(given)[:5], 5)
        assert {number for answer in answers for number in answer.done} <= set(range(5))
        return await worker.close(None)

    async def second() -> tuple[list[Answer], Answer]:
        worker = PartWorker(given)
        return await done(worker, problems(given), 8), await worker.close(8)

    before = asyncio.run(first())
    answers, last = asyncio.run(second())
    assert (before.counts["completions"], last.counts["completions"]) == (10, 6)
    assert answers[0].life != before.life
    assert last.fault is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"version": "9.9"}, "the run was started with 9.9"),
        ({"script": "no such thing"}, "the script has"),
    ],
)
def test_a_part_worker_says_why_it_cannot_begin(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    async def fault() -> Fault | None:
        worker = PartWorker(job(tmp_path / "part", **change))
        answer = await worker.turn([])
        await worker.close(None)
        return answer.fault

    found = asyncio.run(fault())
    assert found is not None
    assert sentence in found.message
    assert not found.local


def test_a_part_that_is_held_or_cannot_be_seen_is_told_apart(tmp_path: Path) -> None:
    async def fault(out: Path) -> Fault | None:
        worker = PartWorker(job(out))
        answer = await worker.turn([])
        await worker.close(None)
        return answer.fault

    (tmp_path / "held").mkdir()
    with DirectoryLock(tmp_path / "held"):
        held = asyncio.run(fault(tmp_path / "held"))
    unseen = asyncio.run(fault(tmp_path / "elsewhere" / "part"))
    assert held is not None
    assert unseen is not None
    assert (held.kind, held.local, unseen.local) == ("RunDirError", True, False)
    assert isinstance(held.error(), RunDirError)
    assert "--out must lie on a file system that all nodes share" in unseen.message
