"""Best of n over the candidates of a run: who is a candidate, which answers are one, and every way to choose by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prm_evaluations import StandIn, candidates, solution
from statistics_runs import write_labels

from openr_data.aggregate import AGGREGATES
from openr_data.errors import InputError
from openr_data.order_statistics import powers_of_two
from openr_data.pipelines.prm.evaluation.best_of_n import (
    MAJORITY,
    PASS,
    VOTES,
    BestOfNReport,
    Choice,
    accuracies,
    chosen_by,
    evaluate_best_of_n,
)
from openr_data.pipelines.prm.evaluation.candidates import Pool, read_pools, why_not
from openr_data.pipelines.prm.evaluation.config import EvaluationConfig
from openr_data.pipelines.progress import silent
from openr_data.types import Cost, LabeledSolution, Labeling, Problem

ALL = EvaluationConfig(split="all", draws=100, subsets=400)


def evaluated(path: Path, config: EvaluationConfig = ALL) -> tuple[BestOfNReport, dict[str, list[list[float]]]]:
    config = replace(config, best_of_n=path)
    report, _, table = evaluate_best_of_n(StandIn(), read_pools(path, config), config, silent)
    return report, {name: rows.tolist() for name, rows in table.items()}


def test_every_way_to_choose_by_hand(tmp_path: Path) -> None:
    # Answers 1/2, 0.5 (the same), 7 and 7. The right ones score 2 and -1 at the least, the wrong ones 1 and 0.
    run = candidates(
        tmp_path / "run",
        [
            [
                (("2 a", "3 b"), "right", "1/2"),
                (("5 a", "-1 b"), "right", "0.5"),
                (("1 a", "4 b"), "wrong", "7"),
                (("0 a", "9 b"), "wrong", "7"),
            ]
        ],
    )
    report, table = evaluated(run)
    assert report.sizes == (1, 2, 4)
    # One of four is right in 1/2, one of a pair in 1 - 1/6.
    assert table[PASS][0] == pytest.approx([1 / 2, 5 / 6, 1])
    # Two answers with two votes each: a tie in the whole, and in pairs: 1/6 right twice, 4/6 one of each.
    assert table[MAJORITY][0] == pytest.approx([1 / 2, 1 / 2, 1 / 2])
    # By the least: 2 wins every pair that it is in (3 of 6); of the others 1 wins over 0 and -1, 0 over -1.
    assert table["min"][0] == pytest.approx([1 / 2, 3 / 6, 1])
    # By the last: 9 (wrong) wins 3 pairs, 4 (wrong) two of the others, then 3 over -1.
    assert table["last"][0] == pytest.approx([1 / 2, 1 / 6, 0])
    # The last one's vote for 7 is sigmoid(4) + sigmoid(9) against sigmoid(3) + sigmoid(-1).
    assert table["last-vote"][0][-1] == 0.0
    assert table["min-vote"][0][-1] == 0.0  # .731 + .5 against .881 + .269
    assert (report.last_step, report.several) == (1, 4)  # only 5, -1 has its lowest at the end
    assert report.curves["min"][-1].lift.value == pytest.approx(1 / 2)


def test_neither_failures_nor_missing_scores_are_wrong(tmp_path: Path) -> None:
    rows = [
        (("1 a",), "right", "1"),
        (("2 a",), "unknown", "2"),
        (("3 a",), "wrong", None),
        (("?",), "wrong", "3"),
        (("0 a",), "wrong", "4"),
    ]
    lost = [(("?",), "wrong", "3")]
    nothing = [(("1 a",), "wrong", None)]
    report, table = evaluated(candidates(tmp_path / "run", [rows, lost, nothing]))  # type: ignore[list-item]
    assert report.excluded == {"no answer (code)": 2, "no verdict (code)": 1, "no score: it is too long": 2}
    assert (report.questions, report.without, report.smaller, report.candidates) == (1, 2, 1, 2)
    assert report.sizes == (1, 2, 4, 5)
    assert table["min"] == [[0.5, 1, 1, 1]]  # of two candidates; with n above two, both are taken
    assert why_not(solution("p", 0, (), "right")) == "no steps"


def test_lifts_are_paired_over_questions(tmp_path: Path) -> None:
    # Each question has one right answer that scores highest, against two equal wrong ones.
    row = [(("3 a",), "right", "1"), (("1 a",), "wrong", "2"), (("0 a",), "wrong", "2")]
    report, _ = evaluated(candidates(tmp_path / "run", [row] * 8))  # type: ignore[list-item]
    last = report.curves["min"][-1]
    assert (last.n, last.accuracy.value, last.lift.value, last.lift.low, last.lift.high) == (3, 1.0, 1.0, 1.0, 1.0)
    assert report.curves[MAJORITY][-1].lift.value == 0.0


def test_only_given_solutions_of_wanted_questions_are_candidates(tmp_path: Path) -> None:
    problem = Problem("p0", "question 0", "1")
    given_one = LabeledSolution(solution("p0", 0, ("1 a",), "right"), (None,), -1, "omegaprm", Cost(), "right_answer")
    drawn = replace(given_one, solution=solution("p0", 1, ("2 a",), "wrong"), origin="rollout", first_error=0)
    run = write_labels(tmp_path / "run", [(problem, Labeling("p0", (given_one, drawn), ()))])
    found = read_pools(run, ALL)
    assert [len(pool.candidates) for pool in found.pools] == [1]
    split = "test" if ALL.splits.of("question 0") != "test" else "train"
    with pytest.raises(InputError, match="no solution with an answer and a verdict among the questions"):
        read_pools(run, replace(ALL, split=split))


def test_sure_steps_do_not_tie_by_margin() -> None:
    sure = [(40.0, 60.0), (50.0, 70.0)]
    assert chosen_by("min", sure) == [40.0, 50.0]
    assert chosen_by("last", sure) == [60.0, 70.0]
    assert chosen_by("product", sure) == [1.0, 1.0]


def test_sizes_end_with_the_whole_pool() -> None:
    assert [powers_of_two(n) for n in (1, 2, 6, 8)] == [(1,), (1, 2), (1, 2, 4, 6), (1, 2, 4, 8)]


MADE = st.lists(st.tuples(st.lists(st.floats(-5, 5), min_size=1, max_size=3), st.integers(0, 2)), min_size=1, max_size=6)


@settings(max_examples=30)
@given(MADE)
def test_no_way_to_choose_beats_one_of_them_being_right(made: list[tuple[list[float], int]]) -> None:
    solutions = tuple(
        solution("p", at, ("a",) * len(m), "right" if answer == 0 else "wrong") for at, (m, answer) in enumerate(made)
    )
    pool = Pool("p", "q", solutions, len(made), tuple(answer for _, answer in made))
    sizes = powers_of_two(len(made))
    found = accuracies(Choice(pool, tuple(tuple(m) for m, _ in made)), sizes, replace(ALL, subsets=300))
    assert set(found) == {PASS, MAJORITY, *AGGREGATES, *(f"{name}-vote" for name in VOTES)}
    share = sum(answer == 0 for _, answer in made) / len(made)
    for name, values in found.items():
        exact = not name.endswith("-vote") or sizes == (1,)
        assert values[0] == pytest.approx(share, abs=1e-9 if exact else 0.15), name
        assert (np.array(values) <= np.array(found[PASS]) + (1e-9 if exact else 0.15)).all(), name
