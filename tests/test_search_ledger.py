"""Every token has its place on a bill, caps hold, and what runs beside a search does not change it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_cases import Scores

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.base import Around
from openr_data.engines.scripted import open_scripted
from openr_data.errors import EngineError
from openr_data.graders import states_answer
from openr_data.search.base import Found
from openr_data.search.config import SearchConfig
from openr_data.search.explorer import Resources
from openr_data.search.ledger import Bill, Ledger
from openr_data.search.run import RUNNERS, search
from openr_data.types import Completion, Sampling, Steps

STRATEGIES = sorted(RUNNERS)
SCRIPT = "steps=5,phrasings=4,error=0.2"
QUESTIONS = [f"Question {number}?" for number in range(12)]


async def by_hash(question: str, prefixes: Sequence[Steps], /) -> list[Scores]:
    """Some number for every step; one prefix in ten cannot be scored."""
    await asyncio.sleep(0)
    return [_scores(question, steps) for steps in prefixes]


def _scores(question: str, steps: Steps) -> Scores:
    drawn = [_hash(question, steps[: place + 1]) for place in range(len(steps))]
    return Scores((), "no luck") if drawn[-1] % 10 == 0 else Scores(tuple(each % 997 / 200 - 2.5 for each in drawn))


def _hash(question: str, steps: Steps) -> int:
    return int.from_bytes(blake2b("\0".join((question, *steps)).encode(), digest_size=4).digest())


class Counting(Around):
    """What the engine itself hands out."""

    tokens = requests = 0

    async def sample(
        self, question: str, prefix: Steps, /, *, n: int, sampling: Sampling, start: int = 0
    ) -> Sequence[Completion]:
        drawn = await self._engine.sample(question, prefix, n=n, sampling=sampling, start=start)
        self.tokens += sum(each.token_count for each in drawn)
        self.requests += n
        return drawn


async def searched(config: SearchConfig, script: str, questions: Sequence[str], *, at_once: bool) -> tuple[list[Found], int]:
    async with open_scripted(EngineSpec("scripted", script=script), EngineLimits()) as engine:
        counting = Counting(engine)
        use = Resources(counting, engine.template.steps, Sampling(1.0, 60, 1), by_hash, states_answer)
        jobs = [search(question, use, config) for question in questions]
        found = list(await asyncio.gather(*jobs)) if at_once else [await job for job in jobs]
        return found, counting.tokens


def settings_of(strategy: str, **more: object) -> SearchConfig:
    return SearchConfig(strategy, n=1 if strategy == "greedy" else 8, width=4, **more).checked()  # type: ignore[arg-type]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("fault", "told"), [("lost=1", "lost every sample"), ("context=2", "context")])
def test_an_engine_that_writes_nothing_is_no_wrong_answer(strategy: str, fault: str, told: str) -> None:
    with pytest.raises(EngineError, match=told):
        asyncio.run(searched(settings_of(strategy, force=True), f"{SCRIPT},{fault}", QUESTIONS[:1], at_once=True))


@pytest.mark.parametrize(
    ("strategy", "faults"),
    [
        (each, fault)
        for each in STRATEGIES
        for fault in ("", ",lost=0.3", ",truncate=0.3", ",garbage=0.5")
        if (each, fault) != ("greedy", ",lost=0.3")  # its one sample is lost now and then
    ],
)
def test_the_bill_is_what_the_engine_handed_out(strategy: str, faults: str) -> None:
    found, tokens = asyncio.run(searched(settings_of(strategy, force=True), SCRIPT + faults, QUESTIONS, at_once=True))
    assert sum(each.bill.generated for each in found) == tokens > 0
    for each in found:
        on_paths = {above for path in each.candidates for above in _ancestry(each, path.node)}
        assert each.bill.discarded == each.bill.generated - sum(each.tree[node].tokens for node in on_paths)
        assert sum(node.spent for node in each.tree) == each.bill.generated
        assert 0 <= each.bill.discarded <= each.bill.generated


def _ancestry(found: Found, node: int) -> list[int]:
    return [] if node < 0 else [node, *_ancestry(found, found.tree[node].parent)]


@settings(max_examples=40)
@given(cap=st.integers(1, 200), strategy=st.sampled_from(STRATEGIES), force=st.booleans())
def test_the_cap_holds(cap: int, strategy: str, force: bool) -> None:
    if cap <= 8 and (force or strategy == "forcing"):
        return
    config = settings_of(strategy, cap=cap, force=force, answer_tokens=8)
    found, _ = asyncio.run(searched(config, SCRIPT, QUESTIONS[:3], at_once=True))
    for each in found:
        assert each.bill.generated <= cap
        assert all(path.end in {"finished", "cut"} for path in each.candidates)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_searches_side_by_side_find_what_they_find_alone(strategy: str) -> None:
    """Trees, numbers of nodes, scores and bills are the same, though answers come in another order."""
    slow = f"{SCRIPT},latency=0.001,slow=0.3,slow_seconds=0.004,slots=5"
    config = settings_of(strategy, force=True)
    together, _ = asyncio.run(searched(config, slow, QUESTIONS, at_once=True))
    alone, _ = asyncio.run(searched(config, SCRIPT, QUESTIONS, at_once=False))
    assert together == alone


def test_shares_leave_the_reserve_for_the_answer() -> None:
    ledger = Ledger(100, reserve=20)
    assert [ledger.share(samples) for samples in (1, 4, 100)] == [80, 20, 0]
    assert ledger.share(1, forced=True) == 100
    ledger.charge(90)
    assert (ledger.share(1), ledger.share(1, forced=True), ledger.left) == (-10, 10, 10)


def test_without_a_cap_there_is_no_share() -> None:
    assert Ledger().share(3) is None


def test_parts_share_the_cap() -> None:
    assert [part.cap for part in Ledger(10).split(4)] == [3, 3, 2, 2]
    assert [part.cap for part in Ledger(10, reserve=4).split(4)] == [2, 2, 1, 1]
    assert [part.cap for part in Ledger().split(2)] == [None, None]


def test_bills_add_up() -> None:
    assert Bill(5, 1, 2, 3, 4, 6) + Bill(1, 1, 1, 1, 1, 1) == Bill(6, 2, 3, 4, 5, 7)
