"""What a run will cost: the formulas by hand, and against what real runs of the scripted engine paid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.labelers import LabelConfig
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions
from openr_data.pipelines.estimate import Pilot, estimate, expected, mixed_share, summarise
from openr_data.pipelines.generate import generate
from openr_data.pipelines.label import label
from openr_data.problems import ProblemSource
from openr_data.types import Outcome, Sampling, Solution, Verdict

PILOT = Pilot(2, 8, 0.5, 0.25, 0.1, ((2, 2),), 100.0, 10.0, 8.0, 6.0, 20.0, 1000.0)


def solution(outcome: Outcome, tokens: int) -> Solution:
    return Solution("s", "p", ("a", outcome, "end"), Verdict(outcome, "exact"), tokens)


def test_a_pilot_by_hand() -> None:
    groups = [[solution("right", 10), solution("wrong", 30)], [solution("unknown", 40), solution("unknown", 40)]]
    pilot = summarise(groups, 2.0)
    assert (pilot.right, pilot.wrong, pilot.outcomes) == (0.25, 0.25, ((1, 1), (0, 0)))
    # Over the two problems: wrong 1/2 and 0, tokens 20 and 40.
    assert pilot.wrong_error == pytest.approx(0.25)
    assert (pilot.tokens, pilot.tokens_per_second) == (30.0, 60.0)
    assert pilot.tokens_error == pytest.approx(10.0)


def test_prefixes_count_once_and_those_of_unknown_solutions_never() -> None:
    groups = [[solution("right", 1), solution("wrong", 1), solution("wrong", 1), solution("unknown", 1)]]
    pilot = summarise(groups, 1.0)
    assert (pilot.wrong_prefixes, pilot.prefixes) == (2, 3)
    assert expected(pilot, LabelConfig(rollouts=4), "math-shepherd", problems=10, solutions=4) == (80, 40)
    assert expected(pilot, LabelConfig(rollouts=4), "mips", problems=10, solutions=4)[0] == 120
    assert expected(pilot, LabelConfig(rollouts=4, estimates="soft"), "math-shepherd", problems=10, solutions=4)[0] == 120


def test_the_range_is_relative_to_what_grows() -> None:
    assert PILOT.spread(of_wrong=False) == pytest.approx(2 * 0.1)
    assert PILOT.spread(of_wrong=True) == pytest.approx(2 * (0.1**2 + 0.4**2) ** 0.5)
    assert replace(PILOT, tokens=0.0, wrong=0.0).spread(of_wrong=True) == 0.0


def test_a_rollout_limit_bounds_the_estimate() -> None:
    free = expected(PILOT, LabelConfig(), "omegaprm", problems=1, solutions=4)
    bounded = expected(PILOT, LabelConfig(rollout_limit=40), "omegaprm", problems=1, solutions=4)
    assert bounded[0] == 40 - 4 < free[0]


def test_more_filter_rollouts_find_more_mixed_problems() -> None:
    shares = [mixed_share([(4, 0), (1, 3)], n) for n in (1, 2, 8, 32)]
    assert shares[0] == pytest.approx(0.0)
    assert shares == sorted(shares)


def test_the_estimate_is_near_what_runs_pay(tmp_path: Path) -> None:
    engine = EngineSpec("scripted", script="error=0.1,recovery=0")
    sampling = Sampling(temperature=1.0, max_tokens=512, seed=0)
    config = GenerateConfig(ProblemSource("builtin", count=60), engine, sampling)
    said = estimate(config, LabelConfig(rollouts=4), EngineLimits(), pilot=60, methods=("math-shepherd", "mips"))
    solved = generate(config, RunOptions(tmp_path / "run"))
    assert said.generate.tokens == pytest.approx(solved.tokens)
    for method, amount in said.label.items():
        run = LabelRunConfig(ProblemSource(str(tmp_path / "run")), engine, sampling, LabelConfig(method, rollouts=4))
        paid = label(run, RunOptions(tmp_path / method))
        assert paid.tokens == pytest.approx(amount.tokens, rel=0.15)
