"""What a run will cost: a pilot of everything says exactly what runs pay, a small one a range that holds it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from test_pipelines_stage import write_problems

from openr_data.cli.estimate import fitting
from openr_data.engines import EngineLimits, EngineSpec
from openr_data.errors import InputError, UsageError
from openr_data.labelers import LabelConfig
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions
from openr_data.pipelines.estimate import FREE, METHODS, NOTHING_PROBED, Estimate, Prices, estimate, extrapolated
from openr_data.pipelines.estimate_pilot import Observed, Trial, sampled
from openr_data.pipelines.generate import generate
from openr_data.pipelines.label import label
from openr_data.pipelines.metering import Bill
from openr_data.pipelines.pilot import AT_ONCE
from openr_data.pipelines.stage import Summary
from openr_data.problems import ProblemSource
from openr_data.types import Sampling, Solution, Verdict

SAMPLING = Sampling(temperature=1.0, max_tokens=512, seed=0)
SCRIPT = "vary=1,uneven=1"
SOME = ("math-shepherd", "mips", "omegaprm", "adaptive")


def config_of(source: ProblemSource, script: str = SCRIPT) -> GenerateConfig:
    return GenerateConfig(source, EngineSpec("scripted", script=script), SAMPLING)


def labels_of(methods: Sequence[str] = SOME, **changes: Any) -> dict[str, LabelConfig]:
    settings = {"rollouts": 4, "filter_rollouts": 8, "searches": 2, **changes}
    fit, _ = fitting({method: LabelConfig(method, **settings) for method in methods})
    return fit or {method: LabelConfig(method, **settings) for method in methods}


def said(source: ProblemSource, sample: int, script: str = SCRIPT, prices: Prices = FREE, **changes: Any) -> Estimate:
    return estimate(config_of(source, script), labels_of(**changes), EngineLimits(), pilot=sample, prices=prices)


def paid(source: ProblemSource, out: Path, script: str = SCRIPT, **changes: Any) -> dict[str, Summary]:
    """Really run: generate, and each method on it."""
    config = config_of(source, script)
    runs = {"generate": generate(config, RunOptions(out / "generate"))}
    for method, settings in labels_of(**changes).items():
        run = LabelRunConfig(ProblemSource(str(out / "generate")), config.engine, SAMPLING, settings)
        runs[method] = label(run, RunOptions(out / method))
    return runs


@pytest.mark.parametrize("changes", [{"methods": METHODS}, {"rollout_limit": 30}, {"exact_counts": True}, {"spans": 4}])
def test_a_pilot_of_all_problems_says_what_runs_pay(tmp_path: Path, changes: dict[str, Any]) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 8)
    result = said(source, 8, **changes)
    for stage, summary in paid(source, tmp_path, **changes).items():
        amount = result.generate if stage == "generate" else result.label[stage]
        assert amount.tokens.low == amount.tokens.expected == amount.tokens.high == summary.tokens, stage
        assert amount.calls.expected == summary.totals["completions"]


def test_a_small_pilot_gives_a_range_around_what_runs_pay(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 40)
    result = said(source, 15)
    assert (result.problems, result.pilot.problems, result.pilot.solutions) == (40, 15, 60)
    for stage, summary in paid(source, tmp_path).items():
        tokens = (result.generate if stage == "generate" else result.label[stage]).tokens
        assert tokens.high is not None
        assert tokens.low <= summary.tokens <= tokens.high, stage


def test_methods_share_the_pilots_rollouts(tmp_path: Path) -> None:
    result = said(write_problems(tmp_path / "problems.jsonl", 6), 6)
    alone = [result.generate, *result.label.values()]
    assert result.pilot.paid.tokens < sum(amount.tokens.expected for amount in alone)


def test_prices_of_tokens_and_of_gpu_hours(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 8)
    slow = SCRIPT + ",token_latency=0.0001"
    by_token = said(source, 4, slow, Prices(per_million_tokens=3.0)).generate
    assert by_token.price is not None
    assert by_token.price.expected == pytest.approx(3e-6 * by_token.tokens.expected)
    with_prompts = said(source, 4, slow, Prices(3.0, per_million_prompt_tokens=1.0)).generate
    assert with_prompts.price is not None
    sent = with_prompts.prompt_tokens.expected
    assert with_prompts.price.expected == pytest.approx(3e-6 * by_token.tokens.expected + 1e-6 * sent)
    questions = [json.loads(line)["question"] for line in source.path.read_text().splitlines()]
    assert sent > 4 * sum(len(question.split()) for question in questions) / 2
    by_hour = said(source, 4, slow, Prices(per_gpu_hour=2.0, gpus=4)).label["mips"]
    assert by_hour.price is not None
    assert by_hour.hours is not None
    assert by_hour.price.low == pytest.approx(8.0 * by_hour.hours.low)
    assert said(source, 4).generate.price is None


def test_a_pilot_that_searches_nothing_sets_no_upper_bound(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 8)
    always = said(source, 4, "error=0")
    never = said(source, 4, "success=0.000001,recovery=0")
    for result, methods in ((always, ("math-shepherd", "omegaprm")), (never, ("omegaprm",))):
        for method in methods:
            amount = result.label[method]
            assert (amount.tokens.high, amount.note) == (None, NOTHING_PROBED), method
    assert always.label["math-shepherd"].tokens.expected == 0
    assert always.label["mips"].tokens.high is not None
    assert never.label["math-shepherd"].tokens.expected > 0


def test_a_pilot_larger_than_the_source_is_the_source(tmp_path: Path) -> None:
    result = said(write_problems(tmp_path / "problems.jsonl", 3), 50, "error=0")
    assert (result.problems, result.pilot.problems) == (3, 3)
    assert (result.label["omegaprm"].note, result.label["math-shepherd"].tokens.high) == ("", 0)


def test_one_problem_sets_no_upper_bound(tmp_path: Path) -> None:
    result = said(write_problems(tmp_path / "problems.jsonl", 3), 1)
    assert result.generate.tokens.high is None


def test_problems_that_the_engine_refuses_cost_what_they_cost_in_a_run(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 5)
    with source.path.open("a") as file:
        file.write(json.dumps({"question": "why " * 300, "answer": "1"}) + "\n")
    script = SCRIPT + ",context=200"
    result = said(source, 6, script)
    assert result.pilot.failed == 1
    for stage, summary in paid(source, tmp_path, script).items():
        amount = result.generate if stage == "generate" else result.label[stage]
        assert amount.tokens.expected == summary.tokens, stage
    with pytest.raises(Exception, match="no problem of the pilot could be done"):
        said(source, 6, "context=3")


@pytest.mark.parametrize(("total", "tokens"), [(1000, 200 * 1000 + 20 * 2 * AT_ONCE), (40, 200 * 40 + 20 * 40)])
def test_what_is_paid_once_is_not_extrapolated(total: int, tokens: float) -> None:
    """The model wants 100 solutions, 2 of each question: 50 questions, in whole batches, at 20 tokens on top of a label."""
    solution = Solution("p/0", "p", ("a step",), Verdict("wrong", "exact"), tokens=5)
    observed = tuple(
        Observed(
            (solution,), Bill(1, 5, 2), {"adaptive": Bill(9, label, 1)}, frozenset({"adaptive"}), "", {"adaptive": fit}, seen
        )
        for label, fit, seen in ((100, Bill(1, 10, 3), {"adaptive": 2}), (300, Bill(3, 30, 3), {"adaptive": 2}))
    )
    result = extrapolated(Trial(observed, 0.0, Bill(), {"adaptive": 100}), total).label["adaptive"]
    assert result.tokens.expected == pytest.approx(tokens)
    assert result.tokens.high is not None
    assert result.hours is None


def test_the_adaptive_method_is_charged_for_its_model(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 4)
    fitted, default = (said(source, 4, methods=("adaptive",), pilot=n).label["adaptive"] for n in (160, 0))
    assert fitted.tokens.expected > default.tokens.expected > 0


def test_the_pilot_is_a_random_sample_of_the_whole_source(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 40)
    chosen, total = sampled(source, 10, seed=0)
    assert (total, len({problem.id for problem in chosen})) == (40, 10)
    assert chosen == sampled(source, 10, seed=0)[0] != sampled(source, 10, seed=1)[0]
    counts = [sum(p.id == chosen[0].id for p in sampled(source, 10, seed=seed)[0]) for seed in range(80)]
    assert 8 <= sum(counts) <= 34


def test_mistakes_are_told(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "problems.jsonl", 2)
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError):
        said(ProblemSource(str(tmp_path / "empty.jsonl")), 2)
    for prices, sentence in (
        (Prices(1.0, per_gpu_hour=1.0), "not both"),
        (Prices(-1.0), "negative"),
        (Prices(gpus=2), "--gpus needs --price-per-gpu-hour"),
    ):
        with pytest.raises(UsageError, match=sentence):
            said(source, 2, prices=prices)
    with pytest.raises(UsageError, match="rollout_limit"):
        said(source, 2, rollout_limit=3)
