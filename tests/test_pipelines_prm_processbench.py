"""A process reward model on ProcessBench files: what is predicted, counted, written and refused. The scorer is a stand-in."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import datasets
import pytest

from openr_data.errors import InputError, StorageError, UsageError
from openr_data.pipelines.prm.evaluation.processbench import RESULT, alike, processbench, read_report
from openr_data.pipelines.prm.evaluation.processbench_files import digests, read_cases
from openr_data.pipelines.prm.evaluation.processbench_report import ProcessBenchReport, side_by_side
from openr_data.pipelines.progress import Snapshot
from openr_data.prm.config import PRMConfig
from openr_data.prm.processbench import SIZES, Hits
from openr_data.prm.score.base import ScoreRequest
from openr_data.prm.scores import StepScores
from openr_data.prm.templates import template_of
from openr_data.types import NO_ERROR

SHARED = Path(os.environ.get("OPENR_SHARED_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
REAL = [SHARED / f"processbench_{name}.json" for name in ("gsm8k", "math")]
real_data = pytest.mark.skipif(not all(path.is_file() for path in REAL), reason="needs the shared data")


@dataclass(frozen=True)
class StandIn:
    """Scores a step by the number that it holds; a step `?` is one that does not fit the model."""

    config: PRMConfig = field(default_factory=lambda: PRMConfig("causal", template_of("plain"), "<x>", 1, base_model="stand-in"))
    identity: str = "stand-in"
    judge: Callable[[str], float] = float

    def score(self, requests: Sequence[ScoreRequest], /, on_done: Callable[[int], None] = lambda _: None) -> list[StepScores]:
        on_done(len(requests))
        return [self._score(steps) for _, steps in requests]

    def _score(self, steps: Sequence[str]) -> StepScores:
        if "?" in steps:
            return StepScores((), f"it has {len(steps)} tokens, and the model's context is 1")
        return StepScores(tuple(self.judge(step) for step in steps))


def row(subset: str, number: int, steps: Sequence[str], label: int, *, right: bool = False) -> dict[str, Any]:
    texts = {"id": f"{subset}-{number}", "generator": "writer", "problem": f"What is {subset} {number}?"}
    return {**texts, "steps": list(steps), "final_answer_correct": right, "label": label}


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Margins as steps: at margin 0 both subsets are half right; on gsm8k the best threshold lies between 1 and 2."""
    gsm8k = [
        row("gsm8k", 0, ["3", "1", "-1"], 1),
        row("gsm8k", 1, ["-2"], 0),
        row("gsm8k", 2, ["2", "4"], NO_ERROR, right=True),
        row("gsm8k", 3, ["3", "?"], NO_ERROR, right=True),
    ]
    math = [
        row("math", 0, ["3", "-1"], 1, right=True),
        row("math", 1, ["1.4"], NO_ERROR, right=True),
        row("math", 2, ["?"], 0),
    ]
    return [write(tmp_path / "math.json", math), write(tmp_path / "processbench_gsm8k.json", gsm8k)]


def named(report: ProcessBenchReport) -> dict[str, Any]:
    return {each.name: each for each in report.subsets}


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_fixed_threshold_by_hand(files: list[Path]) -> None:
    """gsm8k: one of two errors, one of two right solutions (the other does not fit): F1 50. math: one of two and one: 66.7."""
    report = processbench(StandIn(), files)
    assert [each.name for each in report.subsets] == ["gsm8k", "math"]
    gsm8k, math = named(report)["gsm8k"], named(report)["math"]
    assert (gsm8k.score.errors, gsm8k.score.correct) == (Hits(1, 2), Hits(1, 2))
    assert (math.score.errors, math.score.correct, math.score.hidden) == (Hits(1, 2), Hits(1, 1), Hits(1, 1))
    assert report.average == pytest.approx((50 + 200 / 3) / 2)
    assert (report.rule, report.threshold, report.probability) == ("fixed", 0.0, 0.5)
    assert gsm8k.reasons == {"it has 2 tokens, and the model's context is 1": 1}
    assert gsm8k.score.f1_of_judged == pytest.approx(2 * 50 * 100 / 150)


def test_the_threshold_is_chosen_on_gsm8k_and_used_on_all(files: list[Path]) -> None:
    """Between 1 and 2 both errors of gsm8k are found (F1 66.7), and the right solution of math is lost."""
    report = processbench(StandIn(), files, threshold="gsm8k")
    assert (report.rule, report.threshold) == ("gsm8k", 1.5)
    gsm8k, math = named(report)["gsm8k"], named(report)["math"]
    assert gsm8k.score.f1 == pytest.approx(200 * 1 * 0.5 / 1.5)
    assert math.score.f1 == 0.0
    assert math.best.f1 == pytest.approx(200 * 0.5 / 1.5)  # an upper bound, and no more
    assert gsm8k.best.f1 == pytest.approx(gsm8k.score.f1)


def test_a_given_threshold_is_a_probability(files: list[Path]) -> None:
    report = processbench(StandIn(), files, threshold=0.9)
    assert report.rule == "given"
    assert report.threshold == pytest.approx(2.1972245773)
    assert named(report)["gsm8k"].score.correct == Hits(0, 2)


@pytest.mark.parametrize("threshold", ["best", "0.5", 0.0, 1.0, -1, float("nan")])
def test_other_thresholds_are_refused(files: list[Path], threshold: str | float) -> None:
    with pytest.raises(UsageError, match="threshold"):
        processbench(StandIn(), files, threshold=threshold)


def test_gsm8k_has_to_be_there_to_choose_on(files: list[Path]) -> None:
    with pytest.raises(UsageError, match="chosen on gsm8k"):
        processbench(StandIn(), files[:1], threshold="gsm8k")


def test_nothing_scored_chooses_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "gsm8k.json", [row("gsm8k", 0, ["?"], 0), row("gsm8k", 1, ["?"], NO_ERROR)])
    with pytest.raises(InputError, match="no solution of gsm8k could be scored"):
        processbench(StandIn(), [file], tmp_path / "out", threshold="gsm8k")
    assert list((tmp_path / "out").iterdir()) == []
    report = processbench(StandIn(), [file])
    assert (report.average, report.subsets[0].score.f1_of_judged, report.subsets[0].best) == (0.0, None, None)


def test_the_files_are_the_authors(files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    processbench(StandIn(), files, out)
    assert {path.name for path in out.iterdir()} == {
        *(f"{name}_{kind}.jsonl" for name in ("gsm8k", "math") for kind in ("error", "correct")),
        RESULT,
    }
    errors, correct = read_lines(out / "gsm8k_error.jsonl"), read_lines(out / "gsm8k_correct.jsonl")
    assert [(each["id"], each["prediction"], each["match"]) for each in errors] == [("gsm8k-0", 2, False), ("gsm8k-1", 0, True)]
    assert [(each["prediction"], each["match"]) for each in correct] == [(-1, True), (None, False)]
    assert list(errors[0]) == [*row("", 0, [], 0), "prediction", "match", "scores", "margins", "reason"]
    assert errors[0]["margins"] == [3.0, 1.0, -1.0]
    assert errors[0]["scores"][1] == pytest.approx(0.7310585786)
    assert (correct[1]["scores"], correct[1]["reason"]) == ([], "it has 2 tokens, and the model's context is 1")
    gsm8k = json.loads(files[1].read_text())
    assert [{name: each[name] for name in gsm8k[0]} for each in [*errors, *correct]] == gsm8k


def test_the_authors_script_reads_the_same_from_the_files(files: list[Path], tmp_path: Path) -> None:
    """Their F1 is made of the files' `match` alone."""
    report = processbench(StandIn(), files, tmp_path / "out")
    for name, found in named(report).items():
        accuracies = []
        for kind in ("error", "correct"):
            matches = [each["match"] for each in read_lines(tmp_path / "out" / f"{name}_{kind}.jsonl")]
            accuracies.append(100 * sum(matches) / len(matches))
        assert found.score.f1 == pytest.approx(2 * accuracies[0] * accuracies[1] / sum(accuracies))


def test_predictions_of_two_evaluations_are_not_mixed(files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    processbench(StandIn(), files[:1], out)
    with pytest.raises(UsageError, match=r"an earlier evaluation \(math_correct.jsonl\)"):
        processbench(StandIn(), files, out)


def test_a_folder_that_cannot_be_is_refused_before_scoring(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not be written"):
        processbench(StandIn(judge=lambda _: 1 / 0), files, tmp_path / "file")


def test_an_empty_step_keeps_its_index(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.json", [row("x", 0, ["", " ", "bad"], 2), row("x", 1, [""], NO_ERROR)])
    report = processbench(StandIn(judge=lambda step: -1.0 if step == "bad" else 1.0), [file])
    assert [(each.name, each.score.f1) for each in report.subsets] == [("mine", 100.0)]


def test_subsets_are_told_by_their_ids_or_else_by_the_file(tmp_path: Path) -> None:
    both = [row("omnimath", 0, ["1"], 0), row("gsm8k", 1, ["1"], 0), {**row("", 0, ["1"], 0), "id": "../evil"}]
    assert [case.subset for case in read_cases([write(tmp_path / "all cases.json", both)])] == ["gsm8k", "omnimath", "all_cases"]
    nameless = [{name: value for name, value in row("", 0, ["1"], 0).items() if name != "id"}]
    assert [case.subset for case in read_cases([write(tmp_path / "processbench_math.json", nameless)])] == ["math"]


def test_the_hub_has_a_split_for_each_subset(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(path: str, name: str | None = None, *, split: str, **_: Any) -> Any:
        assert path == "Qwen/ProcessBench"
        return iter([row(split, 0, ["1"], 0)])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert [(case.subset, case.steps) for case in read_cases(["Qwen/ProcessBench"])] == [(name, ("1",)) for name in SIZES]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"label": 1}, "`label` is 1, and there are 1 steps"),
        ({"label": "0"}, "`label` must be a number"),
        ({"steps": [1]}, "every step must be text"),
        ({"steps": []}, "`label` is 0, and there are 0 steps"),
        ({"problem": None}, "`problem` must be text"),
    ],
)
def test_a_benchmark_is_read_whole_or_not_at_all(tmp_path: Path, change: Mapping[str, Any], told: str) -> None:
    rows = [row("math", 0, ["1"], 0), {**row("math", 1, ["1"], 0), **change}]
    with pytest.raises(InputError, match=f"math.json, line 1 is no case of ProcessBench: {told}"):
        processbench(StandIn(), [write(tmp_path / "math.json", rows)])


def test_no_case_counts_twice(files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the case math-0 of math comes twice"):
        read_cases([files[0], files[0]])
    twice = write(tmp_path / "twice.json", [row("math", 0, ["1"], 0), row("math", 0, ["2"], 0)])
    with pytest.raises(InputError, match="the case math-0 of math comes twice"):
        read_cases([twice])
    with pytest.raises(InputError, match="no case"):
        read_cases([])


def test_another_revision_has_another_digest(files: list[Path]) -> None:
    cases = read_cases(files)
    changed = [replace(each, label=0) if each.id == "math-0" else each for each in cases]
    before, after = digests(cases), digests(changed)
    assert (before["gsm8k"] == after["gsm8k"], before["math"] == after["math"]) == (True, False)


def test_progress_ends_with_every_case(files: list[Path]) -> None:
    told: list[Snapshot] = []
    processbench(StandIn(), files, on_progress=told.append)
    assert [(each.done, each.total, each.final) for each in told] == [(0, 7, False), (7, 7, False), (7, 7, True)]


def test_a_report_is_read_as_it_was_written(files: list[Path], tmp_path: Path) -> None:
    report = processbench(StandIn(), files, tmp_path / "out", threshold="gsm8k", name="mine")
    assert read_report(tmp_path / "out") == report == read_report(tmp_path / "out" / RESULT)
    found = json.loads((tmp_path / "out" / RESULT).read_text())
    assert (found["judge"], found["average_f1"], found["subsets"][0]["f1"]) == (
        "mine",
        report.average,
        report.subsets[0].score.f1,
    )
    (tmp_path / "out" / RESULT).write_text("{}")
    with pytest.raises(InputError, match="is no processbench"):
        read_report(tmp_path / "out")


def test_the_tables_say_what_the_numbers_are(files: list[Path]) -> None:
    sections = {each.title: each for each in processbench(StandIn(), files).sections()}
    head = sections["ProcessBench: stand-in"]
    assert [" ".join(line[:5]) for line in head.rows] == ["gsm8k 4 50.0 50.0 50.0", "math 3 50.0 100.0 66.7", "average 7   58.3"]
    assert "A step is wrong below p(+) = 0.5 (margin 0), set beforehand." in head.note
    assert "Not of the published size, so not comparable with published numbers: gsm8k, math." in head.note
    assert "missing here: olympiadbench, omnimath." in head.note
    assert sections["Found, by the place of the first error"].rows[0] == ("step 0", "1 of 1 (100.0%)", "0 of 1 (0.0%)")
    assert sections["Right answer, wrong step"].rows == (("math", "1 of 1 (100.0%)"), ("average", "100.0"))
    assert sections["No answer"].rows[1] == ("math", "1", "it has 1 tokens, and the model's context is 1")
    assert "Not a result" in sections["Upper bound"].note
    assert all(len(line) == len(each.head or ("", "")) for each in sections.values() for line in each.rows)


def test_late_errors_stand_together(tmp_path: Path) -> None:
    steps = ["1"] * 13 + ["-1"]
    rows = [row("math", 0, [*steps, "1"], 13), row("math", 1, ["1"] * 11, 10), row("math", 2, ["1"], NO_ERROR)]
    sections = {each.title: each for each in processbench(StandIn(), [write(tmp_path / "math.json", rows)]).sections()}
    assert sections["Found, by the place of the first error"].rows == (("step 10 and later", "1 of 2 (50.0%)"),)


def test_several_reports_side_by_side(files: list[Path]) -> None:
    one, best = processbench(StandIn(), files, name="one"), processbench(StandIn(), files[1:], threshold="gsm8k", name="best")
    table = side_by_side([one, best])
    assert table.head == ("judge", "kind", "threshold", "gsm8k", "math", "average")
    assert table.rows == (("best", "prm", "gsm8k", "66.7", "-", "-"), ("one", "prm", "fixed", "50.0", "66.7", "58.3"))


def test_reasons_are_grouped_by_their_words() -> None:
    assert alike([]) == {}
    assert alike(["b 1", "a", "b 22"]) == {"b 1": 2, "a": 1}


class Oracle(StandIn):
    """Knows the labels."""

    def score(self, requests: Sequence[ScoreRequest], /, on_done: Callable[[int], None] = lambda _: None) -> list[StepScores]:
        labels = {(case.problem, case.steps): case.label for case in read_cases(REAL)}
        found = [(labels[request], len(request[1])) for request in requests]
        return [StepScores(tuple(-1.0 if index == label else 1.0 for index in range(steps))) for label, steps in found]


@real_data
def test_the_real_files_end_to_end(tmp_path: Path) -> None:
    """Who knows the labels has F1 100; who calls everything right has 0; steps and counts are those of the paper."""
    report = processbench(Oracle(), REAL, tmp_path / "out")
    assert [(each.name, each.whole, each.score.f1) for each in report.subsets] == [("gsm8k", True, 100.0), ("math", True, 100.0)]
    assert [each.score.hidden.cases for each in report.subsets] == [7, 94]  # paper, Table 2: 3.5 % of 200, 18.8 % of 500
    assert report.interval == (100.0, 100.0)
    lines = [read_lines(tmp_path / "out" / f"{name}_{kind}.jsonl") for name in ("gsm8k", "math") for kind in ("error", "correct")]
    assert [len(each) for each in lines] == [207, 193, 594, 406]
    assert sorted(map(json.dumps, [{k: each[k] for k in row("", 0, [], 0)} for each in lines[0] + lines[1]])) == sorted(
        map(json.dumps, json.loads(REAL[0].read_text(encoding="utf-8")))
    )


@real_data
def test_always_right_finds_no_error() -> None:
    report = processbench(StandIn(judge=lambda _: 1.0), REAL, threshold="gsm8k")
    assert [(each.score.f1, each.score.correct.share) for each in report.subsets] == [(0.0, 1.0), (0.0, 1.0)]
