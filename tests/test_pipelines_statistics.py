"""The statistics of a run: a golden run counted by hand, and random runs against a plain count of their records."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statistics_runs import GENERATE, IMPORT, LABEL, node, plain_count, rollout, write_labels, write_solutions
from store_runs import write_run

from openr_data.data_cards.statistics import (
    CostPerStep,
    Duplicates,
    Histogram,
    OracleQuality,
    Spread,
    Statistics,
    StepBalance,
)
from openr_data.errors import RunDirError
from openr_data.pipelines.statistics import statistics
from openr_data.problems import ProblemSource, usable_problems
from openr_data.store.run_record import RunRecord
from openr_data.types import Cost, Estimate, LabeledSolution, Labeling, Outcome, Problem, Solution, StepLabel, Verdict

TENTHS = tuple(k / 10 for k in range(11))
RIGHT, WRONG, UNKNOWN = Verdict("right", "exact"), Verdict("wrong", "different"), Verdict("unknown", "truncated")


def labelled(solution: Solution, first_error: int | None, **fields: Any) -> LabeledSolution:
    labels = fields.pop("labels", (None,) * len(solution.steps))
    reason = fields.pop("reason", "search")
    return LabeledSolution(solution, labels, first_error, fields.pop("method", "mips"), Cost(), reason, **fields)


def about(value: float) -> Any:
    return pytest.approx(value)


def mean(hits: int, rollouts: int) -> Estimate:
    return Estimate(hits / rollouts, "mean")


def golden(path: Path) -> Path:
    """Three problems; the second asks the first one's question again, the third was left out."""
    a = Problem("a", "What is 1 + 1?", "2", "one")
    b = Problem("b", " What is\n1 +  1?", "2", "one")
    c = Problem("c", "Is it so?", "1")
    a1 = labelled(
        Solution("a1", "a", ("one", "two", "three", "four"), RIGHT, 10, index=0, seed=11),
        -1,
        labels=(None, None, None, StepLabel(1, 1)),
        estimates=(None, None, None, Estimate(1.0, "verdict")),
    )
    a2 = labelled(Solution("a2", "a", ("bad", "worse"), WRONG), 0, labels=(StepLabel(0, 4), None), estimates=(mean(0, 4), None))
    b1 = labelled(
        Solution("b1", "b", ("bad ", "\tworse"), WRONG, 20),
        1,
        labels=(StepLabel(1, 4), StepLabel(0, 4)),
        estimates=(mean(1, 4), mean(0, 4)),
    )
    b2 = labelled(
        Solution("b2", "b", ("x",), UNKNOWN, 30),
        None,
        labels=(StepLabel(2, 4),),
        estimates=(mean(2, 4),),
        reason="disagreement:judge=1,mc=2",
        origin="rollout",
        method="other",
    )
    # The first root rollout of `a` is the sample that a1 was made of.
    roots = (rollout("right", 0, 11, 10), rollout("wrong", 1, 12, 9), rollout("unknown", 2, 13, 9, "timeout"))
    nodes = (node("a", (), roots), node("a", ("bad",), [rollout("right", k) for k in range(4)]))
    others = (node("c", (), [rollout("right", 0), rollout("right", 1), rollout("wrong", 2)]),)
    return write_labels(
        path,
        [
            (a, Labeling("a", (a1, a2), nodes)),
            (b, Labeling("b", (b1, b2), ())),
            (c, Labeling("c", (), others, "too_easy")),
        ],
    )


def test_every_number_of_a_run_counted_by_hand(tmp_path: Path) -> None:
    run = golden(tmp_path / "run")
    record = RunRecord.load(run)
    record.totals = {"completions": 12, "paid_completions": 16, "tokens": 800, "paid_tokens": 400, "seconds": 7200.0}
    record.save(run)
    assert statistics(run) == Statistics(
        problems=3,
        skipped={"too_easy": 1},
        solutions=4,
        steps=9,
        rollouts=10,
        sources={"one": 2, "": 1},
        methods={"mips": 3, "other": 1},
        verdicts={"wrong": 2, "right": 1, "unknown": 1},
        unknown={"timeout": 1},
        balance=StepBalance(right=5, wrong=3, unlabelled=1),
        first_errors={0: 1, 1: 1},
        without_error=1,
        undecided=1,
        undecided_reasons={"disagreement": 1},
        first_error_place=Histogram(TENTHS, (0, 0, 0, 0, 0, 1, 0, 0, 0, 1)),  # 1/2 and 2/2
        values={
            "mean": Histogram(TENTHS, (2, 0, 1, 0, 0, 1, 0, 0, 0, 0)),
            "verdict": Histogram(TENTHS, (0, 0, 0, 0, 0, 0, 0, 0, 0, 1)),
        },
        value_by_place=(None, None, None, None, None, 0.125, None, None, None, 0.5),  # 0, 1/4; and 1, 0, 1/2
        steps_per_solution=Spread(4, 2.25, 1, 2, about(3.4), about(3.94), 4),
        step_counts=Histogram((1, 2, 3, 4, 5), (1, 2, 0, 1)),
        tokens_per_solution=Spread(3, 20, 10, 20, about(28), about(29.8), 30),
        characters_per_solution=Spread(4, 8.5, 1, 9, about(13.5), about(14.85), 15),  # 15, 8, 10, 1
        character_counts=Histogram(
            tuple(map(float, range(1, 17))), tuple(int(length in {1, 8, 10, 15}) for length in range(1, 16))
        ),
        rollouts_per_step=Spread(5, about(3.4), 1, 4, 4, 4, 4),
        pass_rates=Histogram(TENTHS, (1, 0, 0, 1, 0, 0, 1, 0, 0, 0)),  # b 0/1, a 1/3, c 2/3
        duplicates=Duplicates(problems=1, solutions=1),
        cost=CostPerStep(rollouts=16, tokens=800, hours=2.0, labelled_steps=8),
    )


def test_a_run_of_solutions_has_no_labels(tmp_path: Path) -> None:
    p = Problem("p", "1?", "1", "s")
    drawn = [Solution("1", "p", ("a", "b"), RIGHT, 4), Solution("2", "p", ("c",), UNKNOWN), Solution("3", "p", ("c",), WRONG)]
    found = statistics(write_solutions(tmp_path / "run", [(p, drawn), (Problem("q", "2?", "2", "s"), [])]))
    assert (found.problems, found.solutions, found.steps, found.rollouts) == (2, 3, 4, 0)
    assert (found.balance, found.methods, found.values, found.oracle) == (StepBalance(unlabelled=4), {}, {}, None)
    assert found.unknown == {"truncated": 1}
    assert found.duplicates == Duplicates(0, 1)
    assert found.pass_rates == Histogram(TENTHS, (0, 0, 0, 0, 0, 1, 0, 0, 0, 0))
    assert found.cost.per_step(found.cost.tokens) is None


def test_published_labels_need_not_be_monotone(tmp_path: Path) -> None:
    """Ratings have bins of their own, and a value beyond the usual range widens the last bin."""
    p = Problem("p", "1?", "1", "s")
    rated = labelled(
        Solution("1", "p", ("a", "b", "c", "d"), UNKNOWN),
        1,
        estimates=tuple(Estimate(value, "rating") for value in (1.0, -1.0, 0.0, 1.0)),
        hard=(True, False, None, True),
        method="prm800k",
        reason="published",
    )
    valued = labelled(
        Solution("2", "p", ("a", "b"), RIGHT), -1, estimates=(Estimate(1.25, "value"), Estimate(0.95, "value")), hard=(True, None)
    )
    found = statistics(write_labels(tmp_path / "run", [(p, Labeling("p", (rated, valued), ()))], IMPORT))
    assert found.balance == StepBalance(right=3, wrong=1, unlabelled=2)
    assert found.values["rating"] == Histogram((-1.5, -0.5, 0.5, 1.5), (1, 1, 2))
    assert found.values["value"] == Histogram((*TENTHS, 1.25), (0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1))
    assert (found.rollouts_per_step, found.rollouts) == (Spread(), 0)
    assert found.first_errors == {1: 1}


@pytest.mark.parametrize("tables", [LABEL, IMPORT, GENERATE])
def test_nothing_counts_as_nothing(tmp_path: Path, tables: tuple[str, ...]) -> None:
    """A run of no problems, of problems without solutions, and one that has not sealed anything yet."""
    nothing = Statistics()
    for name, count, finish in (("empty", 0, True), ("bare", 3, True), ("young", 1, False)):
        path = tmp_path / name
        problems = [Problem(str(k), f"{k}?", "1", "s") for k in range(count)]
        if tables == GENERATE:
            write_solutions(path, [(each, []) for each in problems])
        else:
            write_labels(path, [(each, Labeling(each.id, (), ())) for each in problems], tables, finish=finish)
        found = statistics(path)
        assert found.problems == (count if finish or tables == GENERATE else 0)
        assert (found.solutions, found.steps, found.balance, found.pass_rates) == (0, 0, StepBalance(), None)
        assert (found.steps_per_solution, found.step_counts, found.values) == (Spread(), None, nothing.values)
        assert (found.first_error_place, found.value_by_place, found.duplicates) == (None, (), Duplicates())


def test_an_unfinished_run_shows_what_is_sealed(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [0, 1, 2, 3, 5])  # shards of four items
    assert (statistics(tmp_path / "run").problems, statistics(tmp_path / "run").sources) == (4, {"test": 4})


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    run = golden(tmp_path / "run")
    shard = next((run / "data" / "labeled").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-200])
    with pytest.raises(RunDirError, match=r"damaged or missing shard; run `openr-data verify"):
        statistics(run)
    with pytest.raises(RunDirError, match="not a run directory"):
        statistics(tmp_path)


def test_the_oracle_judges_runs_of_the_builtin_task(tmp_path: Path) -> None:
    """Of three steps and an answer: found exactly, one step early, and undecided."""
    (problem,) = usable_problems(ProblemSource("builtin", count=1, difficulty=2))
    start, first, second = 10, 15, 30
    question = f"Start with {start}. Step 1: add 5. Step 2: multiply by 2. What is the result?"
    problem = Problem("p", question, "30", problem.source)
    steps = (f"Step 1: {start} + 5 = {first}", f"Step 2: {first} * 2 = {second + 1}", f"The answer is {second + 1}")
    wrong = Solution("1", "p", steps, WRONG)
    labels = (
        labelled(wrong, 1),
        labelled(wrong, 0),
        labelled(wrong, None),
        labelled(Solution("2", "p", steps, RIGHT), 0),
        labelled(wrong, 2, origin="rollout"),
    )
    found = statistics(write_labels(tmp_path / "run", [(problem, Labeling("p", labels, ()))]))
    assert found.oracle == OracleQuality(solutions=3, decided=2, exact=0.5, early=0.5, late=0.0, precision=0.8, recall=1.0)
    other = write_labels(tmp_path / "other", [(Problem("p", "Other?", "30", problem.source), Labeling("p", labels, ()))])
    assert statistics(other).oracle is None


texts = st.sampled_from(["", "a", " a", "b\n", "ö ∑", "a\x1eb"])
outcomes: st.SearchStrategy[Outcome] = st.sampled_from(["right", "wrong", "unknown"])
verdicts = st.builds(Verdict, outcomes, st.sampled_from(["exact", "timeout"]))
estimates = st.one_of(
    st.none(),
    st.builds(Estimate, st.floats(0, 1), st.sampled_from(["mean", "posterior"])),
    st.builds(Estimate, st.floats(-3, 3), st.sampled_from(["advantage", "progress", "rating"])),
)
counts = st.one_of(st.none(), st.tuples(st.integers(0, 3), st.integers(3, 40)).map(lambda pair: StepLabel(*pair)))


@st.composite
def labelings(draw: st.DrawFn, name: str) -> LabeledSolution:
    steps = tuple(draw(st.lists(texts, max_size=12)))
    length = len(steps)
    first = draw(st.one_of(st.none(), st.integers(-1, length - 1)))
    same = st.integers(0, 3)
    solution = Solution(name, "p", steps, draw(verdicts), draw(same), index=draw(same), seed=draw(same))
    return labelled(
        solution,
        first,
        labels=tuple(draw(st.lists(counts, min_size=length, max_size=length))),
        estimates=tuple(draw(st.lists(estimates, min_size=length, max_size=length))),
        hard=draw(st.one_of(st.just(()), st.tuples(*[st.sampled_from([True, False, None])] * length))),
        method=draw(st.sampled_from(["mips", "omegaprm"])),
        reason=draw(st.sampled_from(["search", "too_hard"])),
        origin=draw(st.sampled_from(["given", "rollout"])),
    )


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[Problem, Labeling]]:
    items = []
    for place in range(draw(st.integers(0, 5))):
        question = draw(st.sampled_from(["a b", " a  b", "c", "d\n"]))
        problem = Problem(str(place), question, "1", draw(st.sampled_from(["", "s", "t"])))
        solutions = tuple(draw(labelings(str(k))) for k in range(draw(st.integers(0, 3))))
        small = st.integers(0, 3)
        rolled = [rollout(draw(outcomes), k, draw(small), draw(small)) for k in range(draw(st.integers(0, 4)))]
        nodes = (node(problem.id, (), rolled), node(problem.id, ("a",), rolled[:2])) if draw(st.booleans()) else ()
        items.append((problem, Labeling(problem.id, solutions, nodes, draw(st.sampled_from(["", "too_easy"])))))
    return items


@settings(max_examples=40, deadline=None)
@given(runs())
def test_random_runs_agree_with_a_plain_count(items: list[tuple[Problem, Labeling]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = write_labels(Path(folder) / "run", items)
        found, plain = statistics(run), plain_count(run)
    whole = {"problems", "skipped", "solutions", "steps", "rollouts", "sources", "methods", "verdicts", "unknown", "first_errors"}
    whole |= {"without_error", "undecided", "undecided_reasons"}
    assert {name: getattr(found, name) for name in whole} == {name: plain[name] for name in whole}
    for name in ("skipped", "sources", "methods", "verdicts", "undecided_reasons"):
        assert list(getattr(found, name).values()) == sorted(plain[name].values(), reverse=True)
    assert (found.balance.right, found.balance.wrong, found.balance.unlabelled) == plain["balance"]
    assert (found.duplicates.problems, found.duplicates.solutions) == plain["duplicates"]
    assert tenth_counts(found.first_error_place) == Counter(plain["first_error_place"])
    assert tenth_counts(found.pass_rates) == Counter(plain["pass_rates"])
    check_values(found, plain["values"], plain["value_by_place"])
    for spread, values in (
        (found.steps_per_solution, plain["lengths"]),
        (found.tokens_per_solution, plain["tokens"]),
        (found.characters_per_solution, plain["characters"]),
        (found.rollouts_per_step, plain["rollouts_per_step"]),
    ):
        assert spread == plain_spread(values)
    for histogram, values in ((found.step_counts, plain["lengths"]), (found.character_counts, plain["characters"])):
        check_bins(histogram, values)


def tenth_counts(histogram: Histogram | None) -> Counter[int]:
    return Counter({place: count for place, count in enumerate(histogram.counts) if count} if histogram else {})


def check_values(found: Statistics, values: Sequence[tuple[str, float]], by_place: Sequence[tuple[int, float]]) -> None:
    named: Mapping[str, list[float]] = {name: [value for each, value in values if each == name] for name, _ in values}
    assert found.values.keys() == named.keys()
    for name, histogram in found.values.items():
        check_bins(histogram, named[name])
    places = [[value for place, value in by_place if place == tenth] for tenth in range(10)]
    expected = [about(fmean(each)) if each else None for each in places]
    assert list(found.value_by_place) == (expected if values else [])


def check_bins(histogram: Histogram | None, values: Sequence[float]) -> None:
    """Every value stands in the bin whose edges hold it, and the last bin holds its upper edge."""
    if histogram is None:
        assert not values
        return
    bounds = list(pairwise(histogram.edges))
    last = len(bounds) - 1
    counted = [sum(low <= v < high or (place == last and v == high) for v in values) for place, (low, high) in enumerate(bounds)]
    assert list(histogram.counts) == counted
    assert histogram.total == len(values)


def plain_spread(values: Sequence[int]) -> Spread:
    if not values:
        return Spread()
    median, p90, p99 = (about(float(np.quantile(values, q))) for q in (0.5, 0.9, 0.99))
    return Spread(len(values), about(fmean(values)), min(values), median, p90, p99, max(values))
