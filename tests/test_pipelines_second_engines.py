"""Runs with a second engine: part of what the run is, paid and counted apart, resumed like the rest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from openr_data.engines import EngineLimits, EngineSpec
from openr_data.engines.chain import chain_problems, true_first_error
from openr_data.errors import EngineError, RunDirError, UsageError
from openr_data.labelers import LabelConfig
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions, SecondEngine
from openr_data.pipelines.generate import generate
from openr_data.pipelines.label import label
from openr_data.pipelines.merge import merge
from openr_data.pipelines.parts import Share
from openr_data.pipelines.second import Named, open_second
from openr_data.problems import ProblemSource
from openr_data.store.read import RunReader
from openr_data.types import LabeledSolution, Sampling

SAMPLING = Sampling(temperature=1.0, max_tokens=512, seed=0)
POLICY = "error=0.15,recovery=0"


def judge(*texts: str, **settings: Any) -> SecondEngine:
    """A judge that says these texts in turn, one per vote."""
    return SecondEngine(EngineSpec("scripted", script=json.dumps({"completions": list(texts), **settings})), SAMPLING)


def config(run: Path, second: SecondEngine, **changes: Any) -> LabelRunConfig:
    method = LabelConfig(**{"method": "consensus", "rollouts": 8, "filter_rollouts": 8, "searches": 1, "votes": 3, **changes})
    spec = EngineSpec("scripted", script=POLICY)
    return LabelRunConfig(ProblemSource(str(run)), spec, SAMPLING, method, shard_size=4, engines={"judge": second})


def labeled(run: Path) -> Sequence[LabeledSolution]:
    return [solution for item in RunReader.open(run).items() for solution in item.labeled]


def data(run: Path) -> dict[str, str]:
    files = [*run.glob("data/**/*.parquet"), run / "README.md"]
    return {str(path.relative_to(run)): sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def totals(run: Path) -> dict[str, float]:
    return dict(json.loads((run / "run.json").read_text())["totals"])


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("solved")
    rows = (json.dumps({"id": p.id, "question": p.question, "answer": p.answer}) for p in chain_problems(10))
    (base / "problems.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    source = ProblemSource(str(base / "problems.jsonl"))
    generate(GenerateConfig(source, EngineSpec("scripted", script=POLICY), SAMPLING, shard_size=4), RunOptions(base / "run"))
    return base / "run"


def test_only_what_both_say_is_a_label_and_the_judge_is_counted_apart(solved: Path, tmp_path: Path) -> None:
    summary = label(config(solved, judge(r"\boxed{1}", "well", r"so \boxed{1}")), RunOptions(tmp_path / "run"))
    known = labeled(tmp_path / "run")
    kept = [one for one in known if one.first_error is not None]
    apart = [one for one in known if one.reason.startswith("disagreement:judge=1,mc=")]
    assert kept
    assert {one.first_error for one in kept} == {1}
    assert len(apart) > len(kept)
    questions = {item.problem.id: item.problem.question for item in RunReader.open(tmp_path / "run").items()}
    truths = [true_first_error(questions[one.solution.problem_id], one.solution.steps) for one in kept]
    assert truths == [1] * len(kept)
    judged = [one for one in known if "judge_votes" in one.notes]
    assert {one.notes["judge_votes"] for one in judged} == {"1 ? 1"}
    assert sum(int(one.notes["judge_tokens"]) for one in judged) == 4 * len(judged)
    counts = totals(tmp_path / "run")
    # Solutions with the same steps are one prompt: their votes are asked for once.
    assert summary.engines["judge"]["completions"] == counts["judge_completions"] <= 3 * len(judged)
    assert summary.tokens == counts["tokens"]
    assert counts["judge_tokens"] == summary.engines["judge"]["tokens"]


def test_monte_carlo_beside_a_judge_is_what_it_is_alone(solved: Path, tmp_path: Path) -> None:
    both = config(solved, judge(r"\boxed{0}"))
    label(both, RunOptions(tmp_path / "both"))
    label(replace(both, label=replace(both.label, method="omegaprm"), engines={}), RunOptions(tmp_path / "alone"))
    for one, other in zip(labeled(tmp_path / "both"), labeled(tmp_path / "alone"), strict=True):
        assert (one.labels, one.cost, one.solution) == (other.labels, other.cost, other.solution)
        assert one.first_error in {None, other.first_error}
    rollouts = [(tmp_path / name / "data" / "rollouts").glob("*.parquet") for name in ("both", "alone")]
    assert [sha256(p.read_bytes()).digest() for p in sorted(rollouts[0])] == [
        sha256(p.read_bytes()).digest() for p in sorted(rollouts[1])
    ]


def test_a_judge_that_talks_nonsense_leaves_everything_undecided_with_its_reason(solved: Path, tmp_path: Path) -> None:
    label(config(solved, judge("42", r"\boxed{99}", "")), RunOptions(tmp_path / "run"))
    known = labeled(tmp_path / "run")
    assert [one.first_error for one in known] == [None] * len(known)
    judged = [one for one in known if one.notes]
    assert judged
    assert {one.reason for one in judged} == {"judge_undecided:unreadable:0/3"}
    assert {one.notes["judge_votes"] for one in judged} == {"? ? ?"}


def test_a_run_is_resumed_with_the_same_judge_only(solved: Path, tmp_path: Path) -> None:
    options = RunOptions(tmp_path / "run")
    label(config(solved, judge(r"\boxed{1}")), options)
    before = data(tmp_path / "run")
    again = replace(options, mode="resume")
    with pytest.raises(RunDirError, match=r"run\.engines\.judge\.spec\.script"):
        label(config(solved, judge(r"\boxed{2}")), again)
    with pytest.raises(RunDirError, match=r"run\.label\.votes \(3, now 5\)"):
        label(config(solved, judge(r"\boxed{1}"), votes=5), again)
    narrow = replace(again, second_limits={"judge": EngineLimits(slots=2)})
    summary = label(config(solved, judge(r"\boxed{1}")), narrow)
    assert (summary.tokens, summary.engines["judge"]["completions"]) == (0, 0)
    assert data(tmp_path / "run") == before


def test_a_judge_that_dies_loses_nothing_and_resume_pays_for_the_rest_only(solved: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    texts = (r"\boxed{0}", r"\boxed{1}", r"\boxed{1}")
    label(config(solved, judge(*texts)), RunOptions(whole))
    mortal = config(solved, judge(*texts, crash_after=40))
    with pytest.raises(EngineError, match="the judge: the scripted engine is dead"):
        label(mortal, RunOptions(broken))
    attempts = 1
    while attempts < 9:
        attempts += 1
        try:
            label(mortal, RunOptions(broken, mode="resume"))
        except EngineError:
            continue
        break
    shards = [{name: digest for name, digest in data(run).items() if name.startswith("data/")} for run in (whole, broken)]
    assert shards[0] == shards[1]
    assert 2 < attempts < 9
    for count in ("completions", "tokens", "judge_completions", "judge_tokens"):
        assert totals(broken)[count] == totals(whole)[count], "each sample is paid once"


def test_settings_of_second_engines_that_contradict_the_method_are_told(solved: Path) -> None:
    good = config(solved, judge("x"))
    with pytest.raises(UsageError, match="--method consensus needs a judge: say with --judge or --judge-model"):
        replace(good, engines={}).checked()
    with pytest.raises(UsageError, match="--judge says nothing to --method mips"):
        replace(good, label=LabelConfig("mips")).checked()
    with pytest.raises(UsageError, match="--prover says nothing to --method consensus"):
        replace(good, engines={**good.engines, "prover": judge("x")}).checked()
    greedy = SecondEngine(good.engines["judge"].spec, replace(SAMPLING, temperature=0.0))
    with pytest.raises(UsageError, match="votes the same each time"):
        replace(good, engines={"judge": greedy}).checked()
    replace(good, engines={"judge": greedy}, label=replace(good.label, votes=1)).checked()


def test_an_engine_that_cannot_be_opened_says_which_one_and_names_its_own_options() -> None:
    async def enter(spec: EngineSpec) -> None:
        async with open_second("judge", spec, EngineLimits()):
            raise AssertionError("it opened")

    with pytest.raises(UsageError, match=r"^the judge: .*--judge-url http://host:port/v1$"):
        asyncio.run(enter(EngineSpec("openai", model="m")))
    with pytest.raises(UsageError, match=r"^the judge: the script has no 'eror'"):
        asyncio.run(enter(EngineSpec("scripted", script="eror=1")))


def test_an_error_of_a_sample_is_named_once_and_keeps_its_kind() -> None:
    class Failing:
        identity, slots = "x", 1

        async def sample(self, *_: Any, **__: Any) -> Any:
            raise failure

    failure = EngineError("no answer; check --base-url", retryable=True)
    engine = Named("prover", Failing())  # type: ignore[arg-type]  # nothing else of it is used
    for _ in range(2):
        with pytest.raises(EngineError, match=r"^the prover: no answer; check --prover-url$") as caught:
            asyncio.run(engine.sample("q", (), n=1, sampling=SAMPLING))
        assert caught.value.retryable


def test_the_totals_of_a_judge_are_counted_once_in_a_merge(solved: Path, tmp_path: Path) -> None:
    second = judge(r"\boxed{1}", "well", r"so \boxed{1}")
    label(config(solved, second), RunOptions(tmp_path / "alone"))
    parts = [tmp_path / f"part-{index}" for index in (1, 2)]
    for index, part in enumerate(parts, 1):
        share = Share(index, 2)
        label(config(solved, second), RunOptions(part, part=str(share), share=share))
    for _ in range(2):
        merge(parts, tmp_path / "merged")
        assert data(tmp_path / "merged") == data(tmp_path / "alone")
        mine, whole = totals(tmp_path / "merged"), totals(tmp_path / "alone")
        assert {name for name in mine if mine[name] != whole[name]} <= {"seconds"}
        assert mine["judge_completions"] > 0
