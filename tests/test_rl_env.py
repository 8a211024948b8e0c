"""The step environment: rewards by hand, ends, bounds, and what is not known."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.scripted import open_scripted
from openr_data.errors import EngineError, UsageError
from openr_data.graders import ExactGrader, states_answer
from openr_data.rl.env import EnvConfig, State, StepEnv, Transition
from openr_data.rl.gym import GymEnv
from openr_data.steps import StepFormat
from openr_data.types import Completion, FinishReason, Problem, Sampling, Steps, Verdict

LINES = StepFormat("\n")
SUM = Problem("sum", "2 + 3 + 4?", "9")
OTHER = Problem("other", "1 + 1?", "2")


async def by_length(question: str, solutions: Sequence[Steps], /) -> list[list[float]]:
    """p(+) of a step is 1 / its place."""
    return [[1 / (place + 1) for place in range(len(steps))] for steps in solutions]


async def broken(question: str, solutions: Sequence[Steps], /) -> list[list[float]]:
    raise EngineError("too long for the model")


async def confused(question: str, solutions: Sequence[Steps], /) -> list[list[float]]:
    return [[0.5]]


async def undecided(response: str, answer: str, /) -> Verdict:
    return Verdict("unknown", "timeout")


def env(rewards: str = "mixed", **options: Any) -> StepEnv:
    settings = {name: options.pop(name) for name in ("weight", "max_steps", "max_tokens") if name in options}
    config = EnvConfig(rewards, **settings)  # type: ignore[arg-type]
    parts: dict[str, Any] = {"scorer": by_length, "grader": ExactGrader(), "finds_answer": states_answer} | options
    return StepEnv(LINES, config, **parts)


def play(environment: StepEnv, *actions: str | Completion, problem: Problem = SUM) -> list[Transition]:
    async def run() -> list[Transition]:
        await environment.reset(problem)
        return [await environment.step(action) for action in actions]

    return asyncio.run(run())


def test_rewards_by_hand() -> None:
    """Steps are scored 1 and 1/2; the answer is right. Mixed with weight 0.5: .5, then .25 + 1."""
    actions = ("2 + 3 = 5", "The answer is 9")
    assert [each.reward for each in play(env("prm"), *actions)] == [1.0, 0.5]
    assert [each.reward for each in play(env("outcome"), *actions)] == [0.0, 1.0]
    assert [each.reward for each in play(env("mixed", weight=0.5), *actions)] == [0.5, 1.25]


def test_a_wrong_answer_ends_with_nothing() -> None:
    last = play(env("outcome"), "The answer is 8")[-1]
    assert (last.reward, last.terminated, last.info["verdict"].outcome, last.info["missing"]) == (0.0, True, "wrong", "")


def test_states_grow_and_hide_the_answer() -> None:
    first, last = play(env("prm"), "2 + 3 = 5", "The answer is 9")
    assert first.state == State(SUM.question, ("2 + 3 = 5",))
    assert (last.state.steps, last.state.done) == (("2 + 3 = 5", "The answer is 9"), True)
    assert not hasattr(first.state, "answer")


def test_an_action_of_several_steps_is_cut() -> None:
    (found,) = play(env("prm"), "2 + 3 = 5\n5 + 4 = 9")
    assert found.state.steps == ("2 + 3 = 5",)
    assert found.info["cut"] == "\n5 + 4 = 9"


def test_a_completion_says_whether_it_ended() -> None:
    going = Completion("The answer is near", 5, "stop", 0, 0, ended=False)
    done = Completion("so it is 9", 4, "stop", 0, 0, ended=True)
    first, last = play(env("prm"), going, done)
    assert (first.terminated, last.terminated) == (False, True)
    assert (first.info["tokens"], last.info["tokens"], last.state.tokens) == (5, 9, 9)


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_a_completion_that_was_cut_goes_on_however_it_ended(reason: FinishReason) -> None:
    """The model was done, or out of tokens, after later steps that are not in the state."""
    whole = Completion("2 + 3 = 5\n5 + 4 = 9\nThe answer is 9", 15, reason, 0, 0, ended=True if reason == "stop" else None)
    first, last = play(env("outcome"), whole, "The answer is 9")
    assert (first.terminated, first.truncated, first.info["tokens"]) == (False, False, 15)
    assert first.info["cut"] == "\n5 + 4 = 9\nThe answer is 9"
    assert (last.terminated, last.reward) == (True, 1.0)


def test_a_sample_that_the_engine_gave_up_is_no_step() -> None:
    first, last = play(env("mixed"), "2 + 3 = 5", Completion("", 0, "error", 0, 0))
    assert (last.reward, last.terminated, last.truncated) == (0.0, False, True)
    assert (last.state.steps, last.state.done) == (first.state.steps, True)
    assert last.info["missing"].startswith("no step")


@pytest.mark.parametrize(
    ("bounds", "action"),
    [
        ({"max_steps": 1}, "2 + 3 = 5"),
        ({"max_tokens": 3}, Completion("2 + 3 = 5", 5, "stop", 0, 0, ended=False)),
        ({}, Completion("2 + 3 =", 4, "length", 0, 0)),
    ],
)
def test_a_bound_truncates_and_does_not_terminate(bounds: dict[str, Any], action: str | Completion) -> None:
    (found,) = play(env("mixed", **bounds), action)
    assert (found.terminated, found.truncated, found.state.done) == (False, True, True)
    assert "verdict" not in found.info


def test_what_is_not_known_is_said_and_is_no_bad_reward() -> None:
    unscored = play(env("prm", scorer=broken), "2 + 3 = 5")[0]
    assert (unscored.reward, unscored.info["score"], unscored.info["missing"]) == (0.0, None, "no score: too long for the model")
    ungraded = play(env("outcome", grader=undecided), "The answer is 9")[0]
    assert (ungraded.reward, ungraded.info["missing"]) == (0.0, "no verdict: timeout")


def test_scores_that_are_not_of_the_steps_are_an_error() -> None:
    with pytest.raises(EngineError, match="1 scores for 2 steps"):
        play(env("prm", scorer=confused), "2 + 3 = 5", "5 + 4 = 9")


def test_a_solution_that_is_over_takes_no_step() -> None:
    with pytest.raises(UsageError, match="reset the environment first"):
        play(env("prm"), "The answer is 9", "more")
    with pytest.raises(UsageError, match="reset the environment first"):
        asyncio.run(env("prm").step("2 + 3 = 5"))


def test_a_reset_in_the_middle_forgets_the_solution() -> None:
    async def run() -> State:
        environment = env("prm")
        await environment.reset(SUM)
        await environment.step("2 + 3 = 5")
        return await environment.reset(OTHER)

    assert asyncio.run(run()) == State(OTHER.question)


@pytest.mark.parametrize(("rewards", "told"), [("prm", "need a process reward model"), ("outcome", "need a grader")])
def test_rewards_need_their_source(rewards: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        StepEnv(LINES, EnvConfig(rewards))  # type: ignore[arg-type]


def test_plain_calls_do_the_same() -> None:
    with GymEnv(env("mixed"), [SUM, OTHER]) as plain:
        state, info = plain.reset(seed=None, options={"problem": 0})
        assert (state, info) == (State(SUM.question), {"problem": "sum"})
        mine = [plain.step("2 + 3 = 5"), plain.step("The answer is 9")]
        assert [plain.reset()[1]["problem"] for _ in range(3)] == ["other", "sum", "other"]
        assert plain.reset(seed=4)[1] == plain.reset(seed=4)[1]
    core = play(env("mixed"), "2 + 3 = 5", "The answer is 9")
    assert [each[1:4] for each in mine] == [(each.reward, each.terminated, each.truncated) for each in core]
    with pytest.raises(UsageError, match="at least one problem"):
        GymEnv(env("prm"), [])


def test_an_episode_of_the_scripted_engine_is_the_same_each_time() -> None:
    """The policy writes one step at a time, until it ends by itself."""

    async def episode() -> list[tuple[str, float]]:
        environment = env("mixed", finds_answer=lambda _: False)
        sampling = Sampling(1.0, 100, 3, stop=("\n",))
        async with open_scripted(EngineSpec("scripted", script="steps=4,phrasings=4"), EngineLimits()) as engine:
            state, told, ended = await environment.reset(SUM), [], False
            while not state.done:
                (drawn,) = await engine.sample(state.question, state.steps, n=1, sampling=sampling)
                found = await environment.step(drawn)
                state, ended = found.state, found.terminated
                told.append((state.steps[-1], found.reward))
            assert ended
            return told

    first, second = asyncio.run(episode()), asyncio.run(episode())
    assert first == second
    assert len(first) > 1
