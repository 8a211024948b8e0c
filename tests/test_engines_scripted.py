"""The scripted engine against what it promises: known truth, determinism, and every fault of its script."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from math import sqrt

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.chain import (
    Chain,
    chain_of,
    chain_problems,
    error_rates,
    success_probability,
    true_first_error,
    values,
)
from openr_data.engines.preview import preview_prompt
from openr_data.engines.script import Script, parse_script
from openr_data.engines.scripted import open_scripted
from openr_data.errors import ContextOverflow, EngineError, UsageError
from openr_data.steps import token_spans
from openr_data.types import Completion, OpenStep, Sampling, Steps

QUESTION = Chain(17, 5, 6).question
SAMPLING = Sampling(temperature=1.0, max_tokens=1000, seed=3)


def draw(
    script: str,
    prefix: Steps = (),
    *,
    n: int = 4,
    start: int = 0,
    question: str = QUESTION,
    sampling: Sampling = SAMPLING,
    template: str = "auto",
) -> Sequence[Completion]:
    async def run() -> Sequence[Completion]:
        async with open_scripted(EngineSpec("scripted", script=script, template=template), EngineLimits()) as engine:
            return await engine.sample(question, prefix, n=n, sampling=sampling, start=start)

    return asyncio.run(run())


def is_right(completion: Completion) -> bool:
    return completion.text.endswith(f"The answer is {chain_of(QUESTION).answer}")


def test_a_writer_without_errors_is_right() -> None:
    (completion,) = draw("error=0", n=1)
    assert completion.text == (
        "Step 1: 17 + 5 = 22\nStep 2: 22 + 5 = 27\nStep 3: 27 + 5 = 32\nStep 4: 32 + 5 = 37\nStep 5: 37 + 5 = 42\n"
        "Step 6: 42 + 5 = 47. The answer is 47"
    )
    assert (completion.finish_reason, completion.token_count, completion.index) == ("stop", 46, 0)


def test_a_sample_depends_on_its_index_and_not_on_what_else_is_drawn() -> None:
    together = draw("error=0.3,recovery=0.2,phrasings=16,garbage=0.2,truncate=0.2,lost=0.1", n=12)
    alone = [draw("error=0.3,recovery=0.2,phrasings=16,garbage=0.2,truncate=0.2,lost=0.1", n=1, start=i)[0] for i in range(12)]
    assert list(together) == alone
    assert len({c.seed for c in together}) == 12
    other = draw("error=0.3,phrasings=16", n=12, sampling=Sampling(temperature=1.0, max_tokens=1000, seed=4))
    assert [c.seed for c in other] != [c.seed for c in together]


def test_faults_leave_the_other_samples_as_they_were() -> None:
    plain, faulty = draw("error=0.3", n=60), draw("error=0.3,lost=0.3", n=60)
    lost = [c.finish_reason == "error" for c in faulty]
    assert 5 < sum(lost) < 35
    assert all(b.text == "" if gone else a == b for a, b, gone in zip(plain, faulty, lost, strict=True))


def test_temperature_zero_draws_the_likelier_step_whatever_the_seed() -> None:
    cold = Sampling(temperature=0.0, max_tokens=1000, seed=1)
    assert len({c.text for c in draw("error=0.4,phrasings=16", n=6, sampling=cold)}) == 1
    assert is_right(draw("error=0.4", n=1, sampling=cold)[0])
    assert not is_right(draw("error=0.6", n=1, sampling=cold)[0])


def test_hand_worked_values() -> None:
    # u = 1/2, rho = 1/4. One step left: Vg = 1/2, Vb = 1/4. Two: Vg = 1/2*1/2 + 1/2*1/4 = 3/8, Vb = 1/4*1/2 + 3/4*1/4 = 5/16.
    assert values(Script(error=(0.5,), recovery=(0.25,)), Chain(1, 1, 2)) == ((0.375, 0.3125), (0.5, 0.25), (1.0, 0.0))


@pytest.mark.parametrize(
    ("script", "prefix"),
    [
        ("error=0.15,recovery=0.1", ()),
        ("error=0.15,recovery=0.1", ("Step 1: 17 + 5 = 22", "Step 2: 22 + 5 = 29")),
        ("error=0.5|0|0.3|0,recovery=0|0.4", ("Step 1: 17 + 5 = 22",)),
        ("success=0.6,recovery=0.05", ()),
    ],
)
def test_samples_succeed_as_often_as_the_recursion_says(script: str, prefix: Steps) -> None:
    value = success_probability(parse_script(script), QUESTION, prefix)
    hits = sum(is_right(c) for c in draw(script, prefix, n=4000))
    assert abs(hits / 4000 - value) < 4 * sqrt(value * (1 - value) / 4000)


@given(success=st.floats(0.2, 0.99), rho=st.floats(0, 0.1), steps=st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_the_error_rate_is_solved_for_the_success_asked_for(success: float, rho: float, steps: int) -> None:
    script = Script(success=success, recovery=(rho,))
    assert len(error_rates(script, Chain(1, 1, steps))) == steps
    assert values(script, Chain(1, 1, steps))[0][0] == pytest.approx(success, abs=1e-9)


def test_the_oracle_finds_where_the_state_first_turns() -> None:
    for completion in draw("error=0.3,recovery=0.3,phrasings=16", n=50):
        steps = completion.text.split("\n")
        shown = [int(line.split("= ")[1].split(".")[0]) for line in steps]
        wrong = [i for i, value in enumerate(shown) if value != 17 + 5 * (i + 1)]
        assert true_first_error(QUESTION, steps) == (wrong[0] if wrong else -1)
        assert is_right(completion) == (len(steps) - 1 not in wrong)


def test_a_repair_is_written_as_one() -> None:
    (repaired,) = draw("error=0,recovery=1", ("Step 1: 17 + 5 = 23",), n=1)
    assert repaired.text.startswith("Step 2: wait, 17 + 2 * 5 = 27\n")


def test_a_finished_solution_gets_nothing_more() -> None:
    steps = draw("error=0", n=1)[0].text.split("\n")
    (rest,) = draw("error=0", tuple(steps), n=1)
    assert (rest.text, rest.token_count, rest.finish_reason) == ("", 0, "stop")


@given(target=st.integers(1, 30), cut=st.integers(0, 30), seed=st.integers(0, 5))
@example(target=13, cut=12, seed=4)  # an unlikely last line, cut within the sentence that tells the answer
@settings(max_examples=40, deadline=None)
def test_a_prefix_that_ends_inside_a_line_is_continued_to_a_readable_solution(target: int, cut: int, seed: int) -> None:
    sampling = Sampling(temperature=1.0, max_tokens=1000, seed=seed)

    async def run() -> None:
        async with open_scripted(EngineSpec("scripted", script="error=0.1,phrasings=3"), EngineLimits()) as engine:
            object.__setattr__(engine, "template", type(engine.template)("spans", user="{question}\n", separator=""))
            whole = (await engine.sample(QUESTION, (), n=1, sampling=sampling))[0].text
            spans = token_spans(engine.pieces(whole), target)
            prefix = spans[: min(cut, len(spans))]
            (rest,) = await engine.sample(QUESTION, prefix, n=1, sampling=sampling)
            text = "".join(prefix) + rest.text
            assert [line[:6] for line in text.split("\n")] == [f"Step {i}" for i in range(1, 7)]
            assert "The answer is " in text

    asyncio.run(run())


@given(st.text(alphabet="ab \n\t.", max_size=30))
@settings(max_examples=60, deadline=None)
def test_pieces_join_to_the_text(text: str) -> None:
    async def run() -> None:
        async with open_scripted(EngineSpec("scripted"), EngineLimits()) as engine:
            assert "".join(engine.pieces(text)) == text

    asyncio.run(run())


def test_max_tokens_and_context_cut_a_completion() -> None:
    short = draw("error=0", n=1, sampling=Sampling(temperature=1.0, max_tokens=9, seed=0))[0]
    assert (short.text, short.token_count, short.finish_reason) == ("Step 1: 17 + 5 = 22\nStep 2: ", 9, "length")
    prompt_tokens = len(QUESTION.split())
    assert draw(f"error=0,context={prompt_tokens + 9}", n=1)[0].text == short.text
    with pytest.raises(ContextOverflow, match="context of the scripted engine"):
        draw(f"context={prompt_tokens}", n=1)


def test_stop_strings_end_a_completion_and_are_not_part_of_it() -> None:
    stop = Sampling(temperature=1.0, max_tokens=99, seed=0, stop=("\nStep 3", "never"))
    assert draw("error=0", n=1, sampling=stop)[0].text == "Step 1: 17 + 5 = 22\nStep 2: 22 + 5 = 27"


def test_a_cut_at_a_stop_string_is_no_end_of_its_own() -> None:
    stopped = Sampling(temperature=1.0, max_tokens=99, seed=0, stop=("\n",))
    assert draw("error=0", n=1, sampling=stopped)[0].ended is False
    assert draw("error=0", tuple(draw("error=0", n=1)[0].text.split("\n")[:5]), n=1, sampling=stopped)[0].ended is True
    assert draw("error=0", n=1, sampling=Sampling(temperature=1.0, max_tokens=3, seed=0))[0].ended is None


def test_an_open_step_is_finished_before_the_next_one_begins() -> None:
    prefix = ("Step 1: 17 + 5 = 22", OpenStep("Step 2: 22 +"))
    assert draw("error=0", prefix, n=1)[0].text.startswith(" 5 = 27\nStep 3: 27 + 5 = 32\n")


def test_templates_set_the_separator_and_tokens_per_step_the_length() -> None:
    (completion,) = draw("error=0,tokens_per_step=20", n=1, template="plain")
    steps = completion.text.split("\n\n")
    assert len(steps) == 6
    assert [len(step.split()) for step in steps[:5]] == [20] * 5
    assert true_first_error(QUESTION, steps) == -1


def test_truncated_and_garbage_samples_come_at_their_rates() -> None:
    truncated = [c.finish_reason for c in draw("truncate=0.25", n=400)].count("length")
    garbage = sum("The answer is" not in c.text for c in draw("garbage=0.25", n=400))
    assert 60 < truncated < 140
    assert 60 < garbage < 140


def test_a_passing_failure_passes_and_a_final_one_does_not() -> None:
    async def run() -> None:
        async with open_scripted(EngineSpec("scripted", script="fail=1,fail_times=2"), EngineLimits()) as engine:
            for _ in range(2):
                with pytest.raises(EngineError, match="fails for now") as caught:
                    await engine.sample(QUESTION, (), n=1, sampling=SAMPLING)
                assert caught.value.retryable
            assert len(await engine.sample(QUESTION, (), n=1, sampling=SAMPLING)) == 1
        async with open_scripted(EngineSpec("scripted", script="fatal=1"), EngineLimits()) as engine:
            with pytest.raises(EngineError, match="refuses") as caught:
                await engine.sample(QUESTION, (), n=1, sampling=SAMPLING)
            assert not caught.value.retryable

    asyncio.run(run())


def test_the_engine_dies_after_its_samples_and_stays_dead() -> None:
    async def run() -> None:
        async with open_scripted(EngineSpec("scripted", script="crash_after=5"), EngineLimits()) as engine:
            assert len(await engine.sample(QUESTION, (), n=5, sampling=SAMPLING)) == 5
            for _ in range(2):
                with pytest.raises(EngineError, match="is dead"):
                    await engine.sample(QUESTION, (), n=1, sampling=SAMPLING)

    asyncio.run(run())


def test_a_crash_can_kill_the_process() -> None:
    code = (
        "import asyncio\nfrom openr_data.engines import *\nfrom openr_data.engines.scripted import open_scripted\n"
        "from openr_data.types import Sampling\n"
        "async def main():\n"
        "    async with open_scripted(EngineSpec('scripted', script='crash_after=3,crash=kill'), EngineLimits()) as engine:\n"
        "        await engine.sample('q', (), n=3, sampling=Sampling(1.0, 9, 0))\n"
        "        print('alive', flush=True)\n"
        "        await engine.sample('q', (), n=1, sampling=Sampling(1.0, 9, 0))\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("alive\n", -9)


def test_time_is_spent_in_slots_and_a_cancelled_call_gives_its_places_back() -> None:
    async def run() -> None:
        spec, limits = EngineSpec("scripted", script="latency=0.01,slow=0.5,slow_seconds=0.01"), EngineLimits(slots=2)
        async with open_scripted(spec, limits) as engine:
            assert engine.slots == 2
            endless = asyncio.create_task(engine.sample(QUESTION, (), n=2000, sampling=SAMPLING))
            await asyncio.sleep(0.02)
            endless.cancel()
            with pytest.raises(asyncio.CancelledError):
                await endless
            done = await asyncio.wait_for(engine.sample(QUESTION, (), n=3, sampling=SAMPLING), 5)
            assert [c.index for c in done] == [0, 1, 2]

    asyncio.run(run())


def test_fixed_texts_are_found_by_prompt_prefix_question_or_star() -> None:
    script = (
        '{"completions": {"*": ["any"], "other": ["by question"], "a\\n": ["by prefix", {"text": "cut", "finish_reason":'
        ' "length", "token_count": 7}], "q\\na\\nb\\n": ["by prompt"]}}'
    )
    assert [c.text for c in draw(script, question="x", n=3)] == ["any"] * 3
    assert draw(script, question="other", n=1)[0].text == "by question"
    second = draw(script, ("a",), question="other", n=3)
    assert [(c.text, c.finish_reason, c.token_count) for c in second] == [
        ("by prefix", "stop", 2),
        ("cut", "length", 7),
        ("by prefix", "stop", 2),
    ]
    assert draw(script, ("a", "b"), question="q", n=1)[0].text == "by prompt"
    with pytest.raises(EngineError, match="no completion for the prompt 'z"):
        draw('{"completions": {"y": ["only"]}}', question="z")


def test_identity_follows_what_is_said_and_not_how_fast() -> None:
    def digest(script: str) -> str:
        return parse_script(script).digest

    assert digest("") == digest("latency=1,slots=3,crash_after=9") == digest('{"steps": 8}')
    assert len({digest(""), digest("error=0.5"), digest("garbage=0.1"), digest('{"completions": ["x"]}')}) == 4


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("eror=0.1", "did you mean 'error'"),
        ("zzzzzz=1", "known: steps"),
        ("error=high", "script's error cannot be 'high'"),
        ("error=1.5", "script's error cannot be '1.5'"),
        ("fail=2", "fail is a probability"),
        ("steps", "one key=value was expected"),
        ("steps=3,steps=4", "one key=value was expected"),
        ("steps=0", "at least 1"),
        ("success=0", "give error=1,recovery=0 instead"),
        ("phrasings=17", "phrasings from 1 to 16"),
        ("crash=burn", "crash cannot be 'burn'"),
        ("latency=nan", "latency cannot be 'nan'"),
        ('{"steps": true}', "steps cannot be True"),
        ('{"steps": ', "not valid JSON"),
        ('{"completions": {"a": []}}', "completions cannot be"),
        ('{"completions": [{"text": "a", "finish_reason": "bored"}]}', "completions cannot be"),
        ('{"completions": [{"words": "a"}]}', "completions cannot be"),
        ('{"completions": [{"text": "a", "token_count": -1}]}', "completions cannot be"),
    ],
)
def test_a_script_that_cannot_be_read_is_told_in_one_sentence(script: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_script(script)
    assert "\n" not in str(caught.value)


def test_problems_of_the_domain_are_repeatable_and_carry_their_answer() -> None:
    problems = list(chain_problems(200, seed=7, steps=(5, 12)))
    assert problems == list(chain_problems(200, seed=7, steps=(5, 12)))
    assert len({p.id for p in problems}) == 200
    assert {chain_of(p.question).steps for p in problems} == set(range(5, 13))
    assert all(chain_of(p.question).answer == p.answer for p in problems)


def test_any_question_stands_for_a_chain() -> None:
    assert chain_of("What is love?", 4) == chain_of("What is love?", 4)
    assert draw("error=0,steps=4", question="What is love?", n=1)[0].text.count("\n") == 3


def test_a_dry_run_shows_the_prompt_that_is_continued() -> None:
    async def prompt(spec: EngineSpec) -> str:
        async with open_scripted(spec, EngineLimits()) as engine:
            return engine.prompt("Q?", ())

    for template in ("auto", "plain", "boxed"):
        spec = EngineSpec("scripted", template=template)
        assert preview_prompt(spec, "Q?") == asyncio.run(prompt(spec))
