"""Step scores against labels: which steps count, which questions, and every number by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import pytest
from prm_evaluations import StandIn
from statistics_runs import write_labels

from openr_data.errors import InputError, UsageError
from openr_data.pipelines.prm.evaluation.config import EvaluationConfig
from openr_data.pipelines.prm.evaluation.held_out import training_splits
from openr_data.pipelines.prm.evaluation.scored import Scored
from openr_data.pipelines.prm.evaluation.steps import StepsReport, judged, read_steps
from openr_data.pipelines.prm.record import PRMRunRecord
from openr_data.pipelines.progress import Snapshot, silent
from openr_data.pipelines.splits import Splits
from openr_data.types import Cost, LabeledSolution, Labeling, Problem, Solution, StepLabel, Verdict

ALL = EvaluationConfig(split="all", draws=200)


def labelled(problem: str, index: int, steps: tuple[str, ...], first: int | None, counts: Any = None) -> LabeledSolution:
    verdict = Verdict("right" if first == -1 else "wrong", "code", "1")
    one = Solution(f"{problem}-s{index}", problem, steps, verdict)
    labels = tuple(counts) if counts else (None,) * len(steps)
    return LabeledSolution(one, labels, first, "omegaprm", Cost(), "binary_search")


def run(path: Path, questions: list[list[LabeledSolution]]) -> Path:
    items = []
    for place, rows in enumerate(questions):
        problem = Problem(f"p{place}", f"question {place}", "1")
        items.append((problem, Labeling(problem.id, tuple(rows), ())))
    return write_labels(path, items)


def evaluated(path: Path, config: EvaluationConfig = ALL) -> tuple[StepsReport, tuple[Scored, ...]]:
    config = replace(config, steps=str(path)).checked()
    return judged(StandIn(), read_steps(config), config, silent, "steps")


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Question 0: no error, and one at its second step (the third is masked). Question 1: an error at its first step."""
    return run(
        tmp_path / "run",
        [
            [labelled("p0", 0, ("2 a", "1 b"), -1), labelled("p0", 1, ("3 a", "-1 b", "-9 c"), 1)],
            [labelled("p1", 0, ("0.5 a", "9 b"), 0), labelled("p1", 1, ("?", "1 b"), 1), labelled("p1", 2, ("1 a",), None)],
        ],
    )


def test_steps_after_the_first_error_do_not_count(two: Path) -> None:
    report, scored = evaluated(two)
    assert [one.known.good for one in scored] == [(True, True), (True, False, None), (False, None)]
    steps = report.quality.steps
    # Good: 2, 1, 3; wrong: -1, .5. Every pair is in order.
    assert (steps.steps, steps.good, steps.problems, steps.mixed) == (5, 3, 2, 1)
    assert steps.pooled is not None
    assert (steps.pooled.auroc, steps.pooled.ap_bad) == (1.0, 1.0)
    assert report.left_out == {"undecided": 1}
    assert report.quality.unscored == {"it is too long": 1}
    assert report.elsewhere == 0
    # Kept, the steps -9 and 9 are wrong ones as well: 9 scores above all three good ones.
    kept, _ = evaluated(two, replace(ALL, after_error="keep"))
    assert kept.quality.steps.steps == 7
    assert kept.quality.auroc is not None
    assert kept.quality.auroc.value == pytest.approx(9 / 12)


def test_first_errors_by_hand(two: Path) -> None:
    found = evaluated(two)[0].quality
    # At margin 0: the error at step 1 is named, that at step 0 (margin .5) is called right; the right solution is, too.
    assert (found.found.errors.found, found.found.errors.cases, found.found.correct.found, found.found.correct.cases) == (
        1,
        2,
        1,
        1,
    )
    assert found.found.places == {"exact": 1, "missed": 1}
    assert found.found.f1 == pytest.approx(200 * 0.5 / 1.5)
    assert found.exact is not None
    assert found.exact.value == 0.5
    # Of the five steps one is called wrong, and it is; another wrong one is not.
    assert (found.detection.precision, found.detection.recall) == (1.0, 0.5)
    # p(+) < .7 is a margin below .847: now .5 is called wrong as well.
    higher = evaluated(two, replace(ALL, threshold=0.7))[0].quality
    assert higher.threshold == pytest.approx(log(0.7 / 0.3))
    assert (higher.found.f1, higher.detection.recall) == (100.0, 1.0)


def test_one_class_is_told_as_such(tmp_path: Path) -> None:
    report, _ = evaluated(run(tmp_path / "run", [[labelled("p0", 0, ("2 a", "1 b"), -1)]]))
    found = report.quality
    assert (found.auroc, found.exact, found.roc, found.detecting, found.soft) == (None, None, None, None, None)
    assert found.found.f1 is None


def test_soft_labels_and_raw_counts(tmp_path: Path) -> None:
    # Values 3/4 and 0/4 of a solution whose first error the method put at its second step; the last count is its verdict.
    counts = [StepLabel(3, 4), StepLabel(0, 4), StepLabel(0, 1)]
    other = [StepLabel(1, 4), StepLabel(2, 4), StepLabel(1, 1)]
    rows = [[labelled("p0", 0, ("2 a", "-1 b", "1 c"), 1, counts)], [labelled("p1", 0, ("1 a", "1 b", "2 c"), -1, other)]]
    found = evaluated(run(tmp_path / "run", rows))[0].quality
    assert found.soft is not None
    assert found.soft.steps == 5
    assert 0 < found.soft.floor < found.soft.cross_entropy
    # Raw counts above 0 name the same first error; above 1/2 as well (3/4 is above, 0 is not).
    assert [(each.name, each.errors, each.rival.value, each.model.value, each.ahead.value) for each in found.rivals] == [
        ("raw MC > 0", 1, 1.0, 1.0, 0.0),
        ("raw MC > 0.5", 1, 1.0, 1.0, 0.0),
    ]


def test_only_the_wanted_questions_are_looked_at(tmp_path: Path) -> None:
    splits = Splits(0.4, 0.3, 0.3)
    rows = [[labelled(f"p{n}", 0, ("2 a", "-1 b"), 1), labelled(f"p{n}", 1, ("2 a",), -1)] for n in range(30)]
    path = run(tmp_path / "run", rows)
    wanted = {n for n in range(30) if splits.of(f"question {n}") == "test"}
    report, scored = evaluated(path, EvaluationConfig(split="test", splits=splits, draws=50))
    assert {one.known.problem for one in scored} == {f"p{n}" for n in wanted}
    assert report.elsewhere == 30 - len(wanted)
    assert report.told == "the questions of the test split (train/validation/test 40/30/30 by a hash of the question)"
    few, _ = evaluated(path, EvaluationConfig(split="test", splits=splits, draws=50, limit=2))
    assert (few.quality.questions, few.quality.solutions) == (2, 4)


def test_the_threshold_is_tuned_on_validation_questions(tmp_path: Path) -> None:
    splits = Splits(0.0, 0.5, 0.5)
    # Validation: wrong steps have margins of 4, good ones of 6; test: 5 is a good step there and 4.5 a wrong one.
    good = {"validation": "6 a", "test": "5.5 a"}
    wrong = {"validation": "4 b", "test": "4.5 b"}
    rows = []
    for n in range(20):
        split = splits.of(f"question {n}")
        rows.append([labelled(f"p{n}", 0, (good[split], wrong[split]), 1), labelled(f"p{n}", 1, (good[split],), -1)])
    path = run(tmp_path / "run", rows)
    config = EvaluationConfig(split="test", splits=splits, threshold="tuned", draws=50)
    found = evaluated(path, config)[0].quality
    assert found.threshold == 5.0  # in the middle between 4 and 6
    chosen_on = 2 * sum(splits.of(f"question {n}") == "validation" for n in range(20))
    assert found.rule == f"the best F1 on {chosen_on} solutions of validation questions"
    assert found.found.f1 == 100.0
    fixed = evaluated(path, replace(config, threshold="fixed"))[0].quality
    assert fixed.found.f1 == 0.0


def test_progress_reaches_its_end(two: Path) -> None:
    told: list[Snapshot] = []
    config = replace(ALL, steps=str(two))
    judged(StandIn(), read_steps(config), config, told.append, "steps")
    assert (told[0].done, told[0].total) == (0, 4)
    assert (told[-1].stage, told[-1].done, told[-1].final) == ("steps", 4, True)


def test_what_cannot_be_judged_is_told_in_a_sentence(two: Path, tmp_path: Path) -> None:
    none = Splits(1.0, 0.0, 0.0)
    with pytest.raises(InputError, match=r"has no labelled solution among the questions of the test split .*--split all"):
        evaluated(two, EvaluationConfig(split="test", splits=none))
    with pytest.raises(InputError, match="hold no solutions with and without an error"):
        evaluated(two, EvaluationConfig(split="train", splits=none, threshold="tuned"))
    lost = run(tmp_path / "lost", [[labelled("p0", 0, ("?", "1 b"), 1)]])
    with pytest.raises(InputError, match=r"no solution of .* could be scored: it is too long"):
        evaluated(lost)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "say what to evaluate on"),
        ({"steps": "a", "split": "dev"}, "--split is one of train, validation, test and all, not 'dev'"),
        ({"steps": "a", "split": "all", "threshold": "tuned"}, "cannot be judged on --split all"),
        ({"steps": "a", "threshold": 1.5}, "between 0 and 1, not 1.5"),
        ({"steps": "a", "one_rollout": Path("b")}, "--one-rollout is a baseline of --oracle"),
    ],
)
def test_settings_that_say_nothing_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        EvaluationConfig(**changes).checked()


def test_the_splits_are_those_of_the_training(tmp_path: Path) -> None:
    for name, shares in (("a", (0.5, 0.2, 0.3)), ("b", (0.8, 0.1, 0.1))):
        (tmp_path / name).mkdir()
        splits = dict(zip(("train", "validation", "test"), shares, strict=True))
        PRMRunRecord(json.loads(json.dumps({"splits": splits})), {}).save(tmp_path / name)
    assert training_splits([str(tmp_path / "a")]) == Splits(0.5, 0.2, 0.3)
    assert training_splits(["owner/name", str(tmp_path / "a")]) == Splits(0.5, 0.2, 0.3)
    assert training_splits(["owner/name"]) == Splits()
    with pytest.raises(UsageError, match="different splits"):
        training_splits([str(tmp_path / "a"), str(tmp_path / "b")])
