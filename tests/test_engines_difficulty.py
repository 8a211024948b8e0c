"""Questions and steps of unequal difficulty: drawn from the question alone, and known exactly whatever the script says."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from math import sqrt
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.chain import (
    Chain,
    chain_of,
    chain_problems,
    error_rates,
    state_of,
    success_probability,
    true_first_error,
    values,
)
from openr_data.engines.difficulty import backward
from openr_data.engines.script import Script, parse_script
from openr_data.engines.scripted import open_scripted
from openr_data.errors import UsageError
from openr_data.types import Sampling, Steps

VARIANTS = [
    "vary=1",
    "vary=1,uneven=1,recovery=0",
    "vary=1,uneven=1,recovery=0.03,phrasings=4",
    "vary=1,uneven=5,recovery=0.01",
    "success=0.6,uneven=8,recovery=0",
    "vary=1,uneven=1,recovery=0|0|0|0|0|0.2|0.3|0.4",
    "vary=1,uneven=1,recovery=0.01,garbage=0.3",
]
SAMPLING = Sampling(temperature=1.0, max_tokens=1000, seed=11)


def ends_right(question: str, text: str) -> bool:
    return text.endswith(f"The answer is {chain_of(question).answer}")


@pytest.mark.parametrize("script", VARIANTS)
def test_samples_succeed_as_often_as_the_recursion_says_from_every_state(script: str) -> None:
    """For each question the values of the root, of a right and of a wrong prefix; z over all of them together and each alone."""
    script_value = parse_script(script)

    async def run() -> None:
        expected = variance = hits = 0.0
        async with open_scripted(EngineSpec("scripted", script=script), EngineLimits()) as engine:
            for problem in chain_problems(12, seed=2, steps=(5, 9)):
                chain = chain_of(problem.question)
                right = f"Step 1: {chain.start} + {chain.add} = {chain.value(1)}"
                wrong = f"Step 1: {chain.start} + {chain.add} = {chain.value(1) + 3}"
                prefixes: list[Steps] = [(), (right,), (wrong,)]
                for prefix in prefixes:
                    value = success_probability(script_value, problem.question, prefix, ungradable="wrong")
                    drawn = await engine.sample(problem.question, prefix, n=250, sampling=SAMPLING)
                    count = sum(ends_right(problem.question, c.text) for c in drawn)
                    spread = 250 * value * (1 - value)
                    assert abs(count - 250 * value) <= 4.5 * sqrt(spread) + 1e-9
                    expected, variance, hits = expected + 250 * value, variance + spread, hits + count
        assert abs(hits - expected) < 3.5 * sqrt(variance)

    asyncio.run(run())


@pytest.mark.parametrize("script", VARIANTS[:-1])
def test_the_true_first_error_is_the_first_state_off_the_chain(script: str) -> None:
    async def run() -> int:
        wrong = 0
        async with open_scripted(EngineSpec("scripted", script=script), EngineLimits()) as engine:
            for problem in chain_problems(20, seed=4, steps=(6, 6)):
                chain = chain_of(problem.question)
                for completion in await engine.sample(problem.question, (), n=10, sampling=SAMPLING):
                    steps = completion.text.split("\n")
                    off = [t for t in range(6) if state_of(chain, steps[t]).value != chain.value(t + 1)]
                    assert true_first_error(problem.question, steps) == (off[0] if off else -1)
                    wrong += bool(off)
        return wrong

    assert asyncio.run(run()) > 20


def test_where_garbage_is_left_out_the_value_is_that_of_the_answers() -> None:
    plain, garbage = parse_script("vary=1,uneven=1"), parse_script("vary=1,uneven=1,garbage=0.25")
    for problem in chain_problems(20):
        value = success_probability(plain, problem.question)
        assert success_probability(garbage, problem.question) == value
        assert success_probability(garbage, problem.question, ungradable="wrong") == pytest.approx(0.75 * value)


@given(
    success=st.floats(0.06, 0.94),
    rho=st.floats(0, 0.05),
    uneven=st.sampled_from([0.5, 1.0, 5.0, 20.0]),
    start=st.integers(1, 10**6),
    steps=st.integers(1, 32),
)
@settings(max_examples=60, deadline=None)
def test_the_errors_are_solved_for_the_success_asked_for(
    success: float, rho: float, uneven: float, start: int, steps: int
) -> None:
    script = Script(success=success, uneven=uneven, recovery=(rho,))
    chain = Chain(start, 3, steps)
    errors = error_rates(script, chain)
    assert len(errors) == steps
    assert all(0 <= u <= 1 - rho for u in errors)
    good = [g for g, _ in values(script, chain)]
    assert good[0] == pytest.approx(success, abs=1e-9)
    assert all(a <= b + 1e-12 for a, b in pairwise(good)), "along a right path the chance of success only grows"


def test_questions_differ_as_the_truncated_beta_distribution_says() -> None:
    script = parse_script("vary=1")
    drawn = sorted(success_probability(script, p.question) for p in chain_problems(2000, seed=1, starts=(10, 10**6)))
    assert 0.05 < drawn[0] < 0.06
    assert 0.94 < drawn[-1] < 0.95
    # Beta(1.2, 1.2) is symmetric: mean 1/2; its variance is 0.0735 uncut, and 0.0627 within (.05, .95).
    assert fmean(drawn) == pytest.approx(0.5, abs=0.02)
    assert fmean((p - 0.5) ** 2 for p in drawn) == pytest.approx(0.0627, abs=0.004)


def test_a_question_is_as_hard_in_every_run_and_on_every_machine() -> None:
    chain = Chain(17, 5, 4)
    assert [round(u, 6) for u in error_rates(parse_script("vary=1,uneven=1"), chain)] == GOLDEN
    assert error_rates(parse_script("vary=1,uneven=1,garbage=0.1"), chain) == error_rates(parse_script("vary=1,uneven=1"), chain)
    other = error_rates(parse_script("vary=1,uneven=1"), Chain(18, 5, 4))
    assert [round(u, 6) for u in other] != GOLDEN


GOLDEN = [0.338066, 0.008984, 0.022948, 0.028622]


def test_uneven_steps_gather_the_error_in_a_few_of_them() -> None:
    def largest_share(uneven: float) -> float:
        script = Script(success=0.5, uneven=uneven, recovery=(0.0,))
        shares = []
        for problem in chain_problems(200, seed=3, steps=(16, 16)):
            errors = error_rates(script, chain_of(problem.question))
            shares.append(max(errors) / sum(errors))
        return fmean(shares)

    assert largest_share(0.001) < 0.07
    assert 0.15 < largest_share(1) < 0.3
    assert 0.5 < largest_share(5) < 0.8
    assert largest_share(15) > 0.8


def test_a_success_below_the_last_recovery_takes_the_least_that_can_be_reached() -> None:
    script = Script(success=0.1, uneven=1.0, recovery=(0.3,))
    chain = Chain(10, 2, 6)
    assert values(script, chain)[0][0] == pytest.approx(0.3, abs=1e-6)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_the_recursion_sums_over_every_way_through_the_chain(pairs: list[tuple[float, float]]) -> None:
    ways = {True: 1.0, False: 0.0}
    for u, rho in pairs:
        ways = {True: ways[True] * (1 - u) + ways[False] * rho, False: ways[True] * u + ways[False] * (1 - rho)}
    assert backward(tuple(u for u, _ in pairs), tuple(r for _, r in pairs))[0][0] == pytest.approx(ways[True])


def test_texts_that_ask_for_no_chain_differ_too() -> None:
    script = parse_script("vary=1")
    assert len({success_probability(script, f"What is {word}?") for word in ("love", "truth", "beauty")}) == 3


def test_older_scripts_keep_the_digest_that_their_journals_are_known_by() -> None:
    digests = {text: parse_script(text).digest for text in ("", "success=0.5", "error=0.1|0.2,garbage=.1,phrasings=4")}
    assert digests == {
        "": "ba6c8fbe2bc3",
        "success=0.5": "90daec47826e",
        "error=0.1|0.2,garbage=.1,phrasings=4": "00621c2dffd0",
    }
    assert parse_script('{"completions":["a"]}').digest == "3dc148fb864b"
    assert len({parse_script(t).digest for t in ("", "vary=1", "vary=1,uneven=1", "success=0.5,uneven=1")}) == 4


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("vary=2", "vary is 0 or 1"),
        ("vary=1,success=0.5", "give one"),
        ("uneven=1", "give success or vary=1 too"),
        ("vary=1,uneven=21", "at most 20"),
        ("vary=1,uneven=-1", "uneven cannot be"),
    ],
)
def test_a_script_that_contradicts_itself_is_told_so(script: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_script(script)
