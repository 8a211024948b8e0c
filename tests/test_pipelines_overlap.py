"""Runs against benchmarks and against each other: contamination, and agreement on the same solutions."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from statistics_runs import IMPORT, write_labels, write_solutions

from openr_data.data_cards.statistics import MethodAgreement, Overlap
from openr_data.errors import InputError, UsageError
from openr_data.pipelines.statistics import statistics
from openr_data.pipelines.statistics.contamination import overlaps
from openr_data.problems import ProblemSource
from openr_data.problems.questions import read_questions
from openr_data.store.read import RunReader
from openr_data.types import Cost, LabeledSolution, Labeling, Problem, Solution, Verdict

DATA = Path(os.environ.get("OPENR_SHARED_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
APPLES = "If Ann has 12 apples and gives 5 of them to Bob, how many apples does she have left?"


def write_questions(path: Path, questions: Sequence[str]) -> Path:
    path.write_text("".join(json.dumps({"unique_id": f"b{k}", "problem": q}) + "\n" for k, q in enumerate(questions)))
    return path


def run_of(path: Path, questions: Sequence[str]) -> Path:
    return write_solutions(path, [(Problem(f"p{k}", q, "1", "s"), []) for k, q in enumerate(questions)], shard_items=5000)


def test_a_run_against_two_benchmarks_by_hand(tmp_path: Path) -> None:
    """7/12 of the 8-grams are left when one word of the apples changes, and none when the numbers do."""
    run = run_of(
        tmp_path / "run", ["1 + 1 =", APPLES.replace("Bob, how", "Bob,  how"), APPLES.replace("12 apples", "12 pears"), "Else"]
    )
    first = write_questions(tmp_path / "first.jsonl", ["1 + 1 = ?", APPLES, APPLES])
    second = write_questions(tmp_path / "second.jsonl", ["Nothing of the kind"])
    found = statistics(run, benchmarks=[first, second]).overlaps
    assert found == (
        Overlap(
            benchmark="first.jsonl",
            questions=2,
            exact=1,
            overlapping=3,
            ngram=8,
            threshold=0.5,
            examples=(("p0", "b0", 1.0), ("p2", "b1", 7 / 12), ("p1", "b1", 1.0)),
        ),
        Overlap("second.jsonl", 1, 0, 0, 8, 0.5),
    )
    strict = statistics(run, benchmarks=[first], threshold=0.6).overlaps[0]
    assert (strict.exact, strict.overlapping, strict.threshold) == (1, 2, 0.6)
    longer = statistics(run, benchmarks=[first], ngram=20).overlaps[0]
    assert (longer.exact, longer.overlapping, longer.ngram) == (1, 2, 20)  # short questions are compared whole


def test_a_benchmark_without_questions_would_never_overlap_and_is_refused(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", ["1?"])
    with pytest.raises(InputError, match="holds no question that can be read"):
        statistics(run, benchmarks=[write_questions(tmp_path / "blank.jsonl", [" ", ""])])
    with pytest.raises(InputError, match="no file or directory"):
        statistics(run, benchmarks=[tmp_path / "none.jsonl"])
    for n, threshold in ((0, 0.5), (101, 0.5), (8, 0.0), (8, 1.5)):
        with pytest.raises(UsageError):
            statistics(run, ngram=n, threshold=threshold)
    young = write_solutions(tmp_path / "young", [], finish=False)
    assert statistics(young, benchmarks=[run]).overlaps == (Overlap("run", 1, 0, 0, 8, 0.5),)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ours", "measured"),
    [
        (
            "math_train_7500.jsonl",
            [
                ("math500.jsonl", 8, 0.5, (500, 0, 57)),
                ("math500.jsonl", 8, 0.7, (500, 0, 27)),
                ("math500.jsonl", 13, 0.5, (500, 0, 34)),
                ("processbench_math.json", 8, 0.5, (955, 1, 91)),
            ],
        ),
        ("gsm8k_train.jsonl", [("gsm8k_test.jsonl", 8, 0.5, (1319, 0, 2))]),
        ("gsm8k_test.jsonl", [("processbench_gsm8k.json", 8, 0.6, (375, 375, 375))]),
    ],
)
def test_the_public_data_sets(
    ours: str, measured: Sequence[tuple[str, int, float, tuple[int, int, int]]], tmp_path: Path
) -> None:
    """Questions of the benchmark, problems of ours with the same question, and those that overlap."""
    if not all((DATA / name).is_file() for name in (ours, *(benchmark for benchmark, *_ in measured))):
        pytest.skip(f"{ours} or a benchmark is not there")
    texts = [item[1] for item in read_questions(ProblemSource(str(DATA / ours))) if isinstance(item, tuple)]
    reader = RunReader.open(run_of(tmp_path / "run", texts))
    for benchmark, n, threshold, expected in measured:
        (found,) = overlaps(reader, [DATA / benchmark], n, threshold)
        assert (found.questions, found.exact, found.overlapping) == expected, (benchmark, n, threshold)


def about(value: float) -> Any:
    return pytest.approx(value)


def labelled(problem: str, steps: str, first_error: int | None, method: str, name: str = "") -> LabeledSolution:
    solution = Solution(name or steps, problem, tuple(steps.split()), Verdict("wrong", "different"))
    return LabeledSolution(solution, (None,) * len(solution.steps), first_error, method, Cost(), "search")


def one_problem(path: Path, question: str, labels: Sequence[LabeledSolution]) -> Path:
    return write_labels(path, [(Problem("p", question, "1", "s"), Labeling("p", tuple(labels), ()))], IMPORT)


def test_two_runs_agree_as_counted_by_hand(tmp_path: Path) -> None:
    """Matched by their texts: other ids, other white space, another order. Five are shared, four of them decided by both."""
    left = [
        labelled("p", "a b c d", 1, "mips"),
        labelled("p", "a b c", 2, "mips"),
        labelled("p", "a b", -1, "mips"),
        labelled("p", "a", -1, "mips"),
        labelled("p", "z z z", None, "mips"),
        labelled("p", "only left", 0, "mips"),
        labelled("p", "a b", 0, "mips", "again"),  # the first of the same text counts
    ]
    right = [
        labelled("p", "z z z", 0, "scan", "0"),
        labelled("p", "a", -1, "scan", "1"),
        labelled("p", "a b", 1, "scan", "2"),
        labelled("p", "a b c", 1, "scan", "3"),
        labelled("p", "a b c d", 1, "scan", "4"),
        labelled("p", "only right", 0, "scan", "5"),
    ]
    spaced = [
        replace(each, solution=replace(each.solution, steps=tuple(f" {s}\n" for s in each.solution.steps))) for each in right
    ]
    ours = one_problem(tmp_path / "ours", "How  many?", left)
    theirs = one_problem(tmp_path / "theirs", " How many?\n", spaced)
    (found,) = statistics(ours, others=[theirs]).agreements
    # Steps, ours against theirs: a b c d RWWW RWWW, a b c RRW RWW, a b RR RW, a R R: ten steps, RR 4, WW 4, RW 2, WR 0.
    observed, chance = 8 / 10, (6 * 4 + 4 * 6) / 100
    assert found == MethodAgreement(
        left="mips",
        right="scan",
        shared=5,
        both=4,
        same=2,
        near=3,  # a b: no error against one in the last step is not near
        steps=10,
        steps_same=8,
        kappa=about((observed - chance) / (1 - chance)),
    )
    other = one_problem(tmp_path / "other", "How few?", right)
    (apart,) = statistics(ours, others=[other]).agreements
    assert (apart.shared, apart.steps, apart.kappa) == (0, 0, None)


def test_kappa_reads_published_labels_that_are_not_monotone(tmp_path: Path) -> None:
    first = replace(labelled("p", "a b c d", 1, "prm800k"), hard=(True, False, True, None))
    second = replace(labelled("p", "a b c d", 1, "mips"), hard=(True, False, False, False))
    (found,) = statistics(
        one_problem(tmp_path / "one", "1?", [first]), others=[one_problem(tmp_path / "two", "1?", [second])]
    ).agreements
    assert (found.same, found.steps, found.steps_same) == (1, 3, 2)
    assert found.kappa == pytest.approx((2 / 3 - 4 / 9) / (1 - 4 / 9))


def test_methods_of_one_run_are_told_apart_and_names_stay_unique(tmp_path: Path) -> None:
    both = [labelled("p", "a b", 0, "mips", "0"), labelled("p", "a b", 1, "scan", "1")]
    one = one_problem(tmp_path / "x" / "run", "1?", both)
    two = one_problem(tmp_path / "y" / "run", "1?", both[:1])
    three = one_problem(tmp_path / "z", "1?", both[:1])
    found = statistics(one, others=[two, three]).agreements
    names = [f"mips ({one})", "scan", f"mips ({two})", "mips (z)"]
    assert [(each.left, each.right) for each in found] == [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
    assert [each.same for each in found] == [0, 1, 1, 0, 0, 1]
    assert all(each.kappa is None or each.kappa <= 1 for each in found)


def test_runs_without_labels_cannot_agree(tmp_path: Path) -> None:
    plain = run_of(tmp_path / "plain", ["1?"])
    labels = one_problem(tmp_path / "labels", "1?", [labelled("p", "a", 0, "mips")])
    young = write_labels(tmp_path / "young", [], finish=False)
    for run, other in ((plain, labels), (labels, plain)):
        with pytest.raises(UsageError, match="has no labels to compare"):
            statistics(run, others=[other])
    assert statistics(labels, others=[young]).agreements == ()
