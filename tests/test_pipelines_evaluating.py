"""`evaluate`: what a run of searches keeps, and the numbers that are made of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.feather as feather
import pytest

from openr_data.engines import EngineSpec
from openr_data.errors import EngineError, InputError, UsageError
from openr_data.pipelines.config import RunOptions, SecondEngine
from openr_data.pipelines.evaluating.config import SUMMARISER, EvaluateConfig, sweep
from openr_data.pipelines.evaluating.measured import Measured, Outcome, Way, measure
from openr_data.pipelines.evaluating.optimum import optima
from openr_data.pipelines.evaluating.outputs import write_outputs
from openr_data.pipelines.evaluating.points import comparisons, groups, points
from openr_data.pipelines.evaluating.report import ReportConfig, evaluation_report
from openr_data.pipelines.evaluating.stage import evaluate_stage
from openr_data.pipelines.stage import Summary, run_stage
from openr_data.prm.intervals import resampled
from openr_data.prm.score.base import ScorerSpec
from openr_data.problems import ProblemSource
from openr_data.search.config import SearchConfig
from openr_data.store.read import RunReader
from openr_data.types import Problem, Sampling, Verdict

PRM = ScorerSpec("builtin")
SEARCHES = sweep(["greedy", "beam", "dvts", "mcts", "revision", "forcing"], [2, 4], SearchConfig(width=2))


def config(searches: tuple[SearchConfig, ...] = SEARCHES, **changes: Any) -> EvaluateConfig:
    source = ProblemSource("builtin", count=4, difficulty=4, seed=5)
    base = EvaluateConfig(source, EngineSpec("builtin"), Sampling(1.0, 120, 0), searches, prm="builtin", shard_size=2)
    return replace(base, **changes).checked()


def run(out: Path, chosen: EvaluateConfig, scorer: ScorerSpec | None = PRM, **options: Any) -> Summary:
    return run_stage(evaluate_stage(chosen, scorer), RunOptions(out, **options))


def tables(out: Path) -> dict[str, list[dict[str, Any]]]:
    reader = RunReader.open(out)
    return {name: list(reader.rows(name)) for name in ("searches", "candidates", "branches", "problems")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluated") / "run"
    run(out, config())
    return out


def test_every_question_goes_through_every_search(whole: Path) -> None:
    found = tables(whole)
    assert len(found["problems"]) == 4
    assert [row["search"] for row in found["searches"] if row["item"] == 0] == [
        "best_of_n-4", "greedy", "beam-2", "beam-4", "dvts-2", "dvts-4", "mcts-2", "mcts-4", "revision-2", "revision-4",
        "forcing-4",
    ]  # fmt: skip
    assert all(len(row["margins"]) == len(row["steps"]) or row["unscored"] for row in found["candidates"])


@pytest.mark.parametrize("strategy", ["best_of_n", "beam", "dvts", "mcts", "revision", "forcing"])
def test_the_bills_are_what_the_engine_counts(tmp_path: Path, strategy: str) -> None:
    """One search in the run, so nothing is shared: the sum of its bills is every token that the engine generated."""
    summary = run(tmp_path / "run", config((SearchConfig(strategy, n=4, width=2, force=True),)))
    rows = tables(tmp_path / "run")["searches"]
    assert sum(row["generated"] for row in rows) == summary.tokens > 0
    assert all(0 <= row["discarded"] <= row["generated"] and row["forced"] <= row["generated"] for row in rows)
    branches = tables(tmp_path / "run")["branches"]
    assert sum(row["spent"] for row in branches) == summary.tokens


def test_a_sampled_solution_is_one_branch_and_a_guided_one_a_branch_per_step(whole: Path) -> None:
    found = tables(whole)
    trees = {
        search: {row["node"]: row for row in found["branches"] if row["search"] == search and row["item"] == 0}
        for search in ("best_of_n-4", "beam-4")
    }
    for row in found["candidates"]:
        if row["item"] or row["search"] not in trees:
            continue
        tree, node = trees[row["search"]], row["node"]
        steps: list[str] = []
        while node != 0:
            steps = [*tree[node]["steps"], *steps]
            node = tree[node]["parent"]
        assert steps == row["steps"]


def test_equal_answers_have_one_number_in_every_search(whole: Path) -> None:
    for item in range(4):
        rows = [row for row in tables(whole)["candidates"] if row["item"] == item and row["answer"] is not None]
        by_text = {row["extracted"]: row["answer"] for row in rows}
        assert all(by_text[row["extracted"]] == row["answer"] for row in rows)
        rights = {row["answer"] for row in rows if row["verdict"] == "right"}
        assert len(rights) <= 1


def test_an_engine_that_dies_loses_nothing(tmp_path: Path) -> None:
    """A run that goes on from there has the records of an uninterrupted one, and pays only what was missing."""
    searches = sweep(["beam"], [2, 4], SearchConfig(width=2))
    common = {"source": ProblemSource("builtin", count=6, difficulty=4, seed=1), "prm": "builtin"}
    good = config(searches, engine=EngineSpec("scripted", script="steps=4,phrasings=3,slots=4"), **common)
    mortal = config(searches, engine=EngineSpec("scripted", script="steps=4,phrasings=3,slots=4,crash_after=60"), **common)
    straight = run(tmp_path / "straight", good)
    with pytest.raises(EngineError, match="dead"):
        run(tmp_path / "run", mortal)
    resumed = run(tmp_path / "again", good, mode="fork", fork_of=tmp_path / "run")
    assert tables(tmp_path / "again") == tables(tmp_path / "straight")
    assert resumed.tokens < straight.tokens


def test_rollouts_of_a_generated_run_are_not_paid_again(tmp_path: Path) -> None:
    """Whole solutions are the same requests as those of `generate`."""
    from openr_data.pipelines.config import GenerateConfig
    from openr_data.pipelines.generate import generate

    chosen = config((SearchConfig("best_of_n", n=4),))
    generate(GenerateConfig(chosen.source, chosen.engine, chosen.sampling, 4), RunOptions(tmp_path / "solutions"))
    summary = run(tmp_path / "run", chosen, reuse=(tmp_path / "solutions",))
    assert (summary.tokens, summary.reused) == (0, 16)


def test_a_question_is_rejected_that_has_no_answer(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    rows = [{"problem": "What is 1 + 1?", "answer": "2"}, {"problem": "What is 1 + 2?", "answer": ""}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    chosen = config((SearchConfig("best_of_n", n=2),), source=ProblemSource(str(file)), engine=EngineSpec("scripted"), prm="")
    summary = run(tmp_path / "run", chosen, None)
    assert (summary.items, summary.rejected) == (1, 1)


def test_another_model_may_not_go_on_with_a_run(whole: Path) -> None:
    from openr_data.errors import RunDirError

    with pytest.raises(RunDirError, match="prm"):
        run(whole, config(prm="another"), mode="resume")


def test_what_cannot_be_searched_is_refused_in_a_sentence() -> None:
    with pytest.raises(UsageError, match="beam is guided by a process reward model: name one with --prm"):
        config((SearchConfig("beam", n=4),), prm="")
    with pytest.raises(UsageError, match="--max-question-tokens 20 is too small for one answer: give at least 33"):
        config((SearchConfig("best_of_n", n=4, cap=20, force=True),))
    with pytest.raises(UsageError, match="none of the budgets suits beam with --width 4"):
        sweep(["beam"], [1, 2], SearchConfig(width=4))
    with pytest.raises(UsageError, match="twice: beam-4"):
        config((SearchConfig("beam", n=4), SearchConfig("beam", n=4, width=2)))


# --- the numbers, of two questions that are worked by hand


def by_hand() -> Measured:
    """Two questions; majority at n = 1, 2, 4 with 10 tokens a sample, and a beam of 4 that spends 20 and 28."""
    ways = {
        Way("best_of_n", n, "majority_vote"): Outcome(np.array(right), np.array([10.0 * n, 10.0 * n]))
        for n, right in ((1, [0.5, 0.0]), (2, [0.5, 0.25]), (4, [1.0, 0.5]))
    }
    ways[Way("beam", 4, "majority_vote")] = Outcome(np.array([1.0, 1.0]), np.array([20.0, 28.0]))
    problems = (Problem("a", "A", "1", difficulty="1"), Problem("b", "B", "2", difficulty="10", metadata={"type": "Algebra"}))
    unknown = np.array([np.nan, np.nan])
    return Measured(problems, ways, {}, np.array([0.5, 0.0]), unknown, np.zeros(2), {}, {}, {})


def test_points_are_means_with_paired_lifts() -> None:
    found = {tuple(each.way): each for each in points(by_hand(), resampled(2, 200, 0))}
    beam = found["beam", 4, "majority_vote"]
    assert (beam.accuracy.value, beam.tokens.value) == (1.0, 24.0)
    assert beam.lift is not None
    assert beam.lift.value == pytest.approx(0.25)  # 1 - (1 + .5) / 2
    assert (beam.tokens.low, beam.tokens.high) == (20.0, 28.0)  # both draws of one question are among 200


def test_a_search_is_compared_at_its_tokens() -> None:
    """24 tokens lie log2(24 / 20) / log2(40 / 20) = .263 of the way from n = 2 (.375) to n = 4 (.75)."""
    (found,) = comparisons(by_hand(), resampled(2, 200, 0))
    expected = 0.375 + (0.75 - 0.375) * np.log2(1.2)
    assert found.way == Way("beam", 4, "majority_vote")
    assert found.difference.value == pytest.approx(1 - expected)


def test_beyond_the_curve_nothing_is_compared() -> None:
    measured = by_hand()
    dear = {Way("beam", 4, "majority_vote"): Outcome(np.array([1.0, 1.0]), np.array([90.0, 90.0]))}
    assert comparisons(replace(measured, ways={**measured.ways, **dear}), resampled(2, 200, 0)) == []


def test_levels_are_in_their_order_and_one_subject_is_no_table() -> None:
    assert list(groups(by_hand())["level"]) == ["1", "10"]
    assert list(groups(by_hand())["subject"]) == ["", "Algebra"]


def test_two_questions_are_too_few_for_an_optimum() -> None:
    assert optima(by_hand(), ("majority_vote",), resampled(2, 200, 0), 0) == []


def test_the_report_says_what_the_tables_hold(whole: Path) -> None:
    report = evaluation_report(RunReader.open(whole), ReportConfig(("prm_min_vote",), draws=200))
    rows = [row for row in tables(whole)["candidates"] if row["search"] == "best_of_n-4"]
    one = next(each for each in report.points if tuple(each.way) == ("best_of_n", 1, "majority_vote"))
    assert one.accuracy.value == pytest.approx(np.mean([row["verdict"] == "right" for row in rows]))
    costs = [row for row in tables(whole)["searches"] if row["search"] == "best_of_n-4"]
    assert one.tokens.value == pytest.approx(np.mean([row["generated"] / 4 for row in costs]))
    written = write_outputs(report, whole, title="test")
    plain = json.loads(written["summary"].read_text())
    assert plain["questions"] == 4
    assert len(plain["points"]) == len(report.points)
    table = feather.read_table(written["points"])
    assert table.num_rows == len(report.points)
    assert written["png"].stat().st_size > 10_000
    assert written["svg"].read_text().startswith("<?xml")


def test_a_report_needs_questions(tmp_path: Path) -> None:
    run(tmp_path / "run", config((SearchConfig("best_of_n", n=1),)))
    reader = RunReader.open(tmp_path / "run")
    assert measure(reader, subsets=10, seed=0).difficulty.shape == (4,)
    empty = replace(reader, manifest=replace(reader.manifest, shards={}))
    with pytest.raises(InputError, match="no question"):
        evaluation_report(empty, ReportConfig())


def test_rows_of_a_question_carry_exactly_the_declared_columns() -> None:
    from openr_data.pipelines.evaluating.judging import Judged
    from openr_data.pipelines.evaluating.rows import search_tables
    from openr_data.search.base import Found
    from openr_data.search.base import Path as Solved
    from openr_data.search.ledger import Bill
    from openr_data.search.tree import Node
    from openr_data.store.schemas import TABLES

    found = Found((), (Node(-1, ()),), Bill())
    judged = [Judged(Solved(("a",), end="finished"), Verdict("right", "exact", "1"), 0)]
    made = search_tables(Problem("p", "q", "a"), [(SearchConfig(), found, judged)])
    for name, rows in made.items():
        assert all({"item", *row} == set(TABLES[name].names) for row in rows)
    assert set(made) == {"searches", "candidates", "branches", "problems"}


def chains(folder: Path, count: int) -> ProblemSource:
    """Questions that the scripted engine knows how to answer."""
    rows = [{"question": f"Start with {n} and add 3, 4 times.", "answer": str(n + 12)} for n in range(count)]
    (folder / "chains.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ProblemSource(str(folder / "chains.jsonl"))


def scripted(out: Path, script: str, searches: tuple[SearchConfig, ...], **changes: Any) -> Measured:
    source = chains(out.parent, 6)
    run(out, config(searches, source=source, engine=EngineSpec("scripted", script=script), prm="", **changes), None)
    return measure(RunReader.open(out), subsets=20, seed=0)


def test_samples_that_the_engine_lost_are_no_wrong_answers(tmp_path: Path) -> None:
    """Without an error in it every answer that came is right."""
    found = scripted(tmp_path / "run", "error=0,lost=0.4", (SearchConfig("best_of_n", n=8),))
    for way, outcome in found.ways.items():
        assert outcome.right.tolist() == [1.0] * len(found.problems), way
    assert found.reasons["best_of_n-8: lost by the engine"] > 0


def test_a_question_of_which_everything_was_lost_is_set_aside(tmp_path: Path) -> None:
    """One sample each: some questions have none, and are in no number."""
    out = tmp_path / "run"
    engine = EngineSpec("scripted", script="error=0,lost=0.3")
    chosen = config((SearchConfig("greedy", n=1),), source=chains(tmp_path, 20), engine=engine, prm="")
    summary = run(out, chosen, None, max_failures=20)
    found = measure(RunReader.open(out), subsets=20, seed=0)
    assert 0 < summary.failed < 20
    assert len(found.problems) == 20 - summary.failed
    assert found.ways[Way("greedy", 1, "majority_vote")].right.tolist() == [1.0] * len(found.problems)


def test_a_cap_that_leaves_no_answer_is_told(tmp_path: Path) -> None:
    found = scripted(tmp_path / "run", "", (SearchConfig("best_of_n", n=4, cap=2),))
    assert found.starved == {"best_of_n-4": 6}


def test_forcing_has_a_point_for_every_smaller_budget(tmp_path: Path) -> None:
    found = scripted(tmp_path / "run", "", (SearchConfig("best_of_n", n=4), SearchConfig("forcing", n=4)))
    assert {way.n for way in found.ways if way.strategy == "forcing"} == {1, 2, 4}


def test_the_difficulty_of_a_question_is_not_told_by_the_samples_that_it_is_used_for() -> None:
    """Two ways that are equally good, chosen by difficulty: nothing is won. With the same samples it would be."""
    draw = np.random.default_rng(0)
    right = draw.random((400, 16)) < 0.5
    beam = (draw.random(400) < 0.5).astype(float)
    tokens = np.full(400, 10.0)
    one, other = Way("best_of_n", 1, "majority_vote"), Way("beam", 1, "majority_vote")
    ways = {one: Outcome(right.mean(1), tokens), other: Outcome(beam, tokens)}
    apart = {one: Outcome(right[:, 8:].mean(1), tokens)}
    problems = tuple(Problem(str(number), str(number), "1") for number in range(400))
    unknown = np.full(400, np.nan)
    measured = Measured(problems, ways, apart, right[:, :8].mean(1), unknown, np.zeros(400), {}, {}, {})
    (found,) = optima(measured, ("majority_vote",), resampled(400, 200, 0), 0)
    assert found.point.accuracy.value == pytest.approx(0.5, abs=0.05)


def test_one_question_has_no_interval() -> None:
    found = points(by_hand(), resampled(2, 200, 0), only=np.array([1.0, 0.0]))
    assert all(point.accuracy.low is None and point.tokens.low is None for point in found)


def test_a_summarisers_tokens_are_on_the_axis(tmp_path: Path) -> None:
    second = {SUMMARISER: SecondEngine(EngineSpec("scripted"), Sampling(0.0, 40, 0))}
    found = scripted(tmp_path / "run", "", (SearchConfig("best_of_n", n=4),), engines=second)
    spent = found.costs["best_of_n-4"]
    assert spent["summary_tokens"] > 0
    tokens = found.ways[Way("best_of_n", 4, "majority_vote")].tokens
    assert tokens.sum() == spent["generated"] + spent["summary_tokens"]
