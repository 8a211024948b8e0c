"""A whole evaluation: its folder, its words and figures, several models, and a calibration written beside a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from prm_evaluations import StandIn, builtin_solutions, candidates, number, solution
from prm_folders import tiny_prm
from statistics_runs import write_labels

from openr_data.errors import InputError, StorageError, UsageError
from openr_data.pipelines.prm.evaluation import calibrating, run
from openr_data.pipelines.prm.evaluation.calibrating import calibrate
from openr_data.pipelines.prm.evaluation.config import EvaluationConfig
from openr_data.pipelines.prm.evaluation.run import evaluate
from openr_data.prm.config import PRMConfig
from openr_data.prm.score.base import ScorerSpec
from openr_data.types import Cost, LabeledSolution, Labeling, Problem

HOSTILE = "p<b>|`$x$`\n# pwned"
SPEC = ScorerSpec("my/prm")


@pytest.fixture
def config(tmp_path: Path) -> EvaluationConfig:
    """Every part, small."""
    rows: Any = [(("2 a", "1 b"), "right", "1"), (("1 a", "-1 b"), "wrong", "2"), (("0 a", "3 b"), "wrong", HOSTILE)]
    bench = tmp_path / "processbench_gsm8k.json"
    texts = {"generator": "g", "problem": "q", "final_answer_correct": False}
    cases = [{"id": f"gsm8k-{n}", **texts, "steps": ["1 a", f"{n - 1} b"], "label": 1 if n == 0 else -1} for n in range(3)]
    bench.write_text(json.dumps(cases))
    return EvaluationConfig(
        steps=str(labels(tmp_path / "labels")),
        processbench=(str(bench),),
        best_of_n=candidates(tmp_path / "candidates", [rows, rows]),
        oracle=builtin_solutions(tmp_path / "builtin"),
        split="all",
        draws=50,
        subsets=20,
    )


@pytest.fixture
def small(config: EvaluationConfig) -> EvaluationConfig:
    """One part, which has one figure."""
    return replace(config, steps="", processbench=(), oracle=None)


def labels(path: Path, *, good: int = 4) -> Path:
    items = []
    for place in range(good):
        problem = Problem(f"p{place}", f"question {place}", "1")
        one = replace(solution(problem.id, 0, ("2 a", "1 b", "-1 c"), "wrong"), id=HOSTILE)
        labelled = LabeledSolution(one, (None,) * 3, 2 - place % 2, "omegaprm", Cost(), "binary_search")
        items.append((problem, Labeling(problem.id, (labelled,), ())))
    return write_labels(path, items)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the oracle's solutions it reads the number of the step."""

    def judge(step: str) -> float:
        return 1.0 if step.startswith(("Step", "The")) else number(step)

    monkeypatch.setattr(run, "open_scorer", lambda _: StandIn(judge=judge))
    monkeypatch.setattr(calibrating, "open_scorer", lambda _: StandIn(judge=judge))


def test_the_folder_holds_the_report_its_figures_and_every_item(config: EvaluationConfig, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (report,) = evaluate([SPEC], config, out)
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    figures = {f"figures/{part}-{name}.png" for part in ("steps", "oracle") for name in ("reliability", "discrimination")}
    tables = {"steps.parquet", "oracle.parquet", "candidates.parquet", "best_of_n.parquet"}
    assert figures | tables | {"report.md", "report.json", "figures/best-of-n.png", "processbench/gsm8k_error.jsonl"} <= names
    assert json.loads((out / "report.json").read_text()) == json.loads(json.dumps(report.as_json()))
    text = (out / "report.md").read_text()
    assert all(f"]({name})" in text for name in figures)
    assert [path.name for path in tmp_path.glob(".out*")] == []
    steps = pl.read_parquet(out / "steps.parquet")
    assert steps.height == 12
    assert steps.filter(pl.col("good").is_null()).height == 2  # behind the first errors at step 1
    assert steps["probability"].to_list()[:2] == pytest.approx([0.8808, 0.7311], abs=1e-4)
    chosen = pl.read_parquet(out / "candidates.parquet")
    assert chosen["answer"].to_list() == [0, 1, 2] * 2
    assert chosen["min"].to_list() == [1.0, -1.0, 0.0] * 2
    ways = pl.read_parquet(out / "best_of_n.parquet").filter(pl.col("way") == "min", pl.col("n") == 3)
    assert ways["accuracy"].to_list() == [1.0, 1.0]


def test_text_of_models_and_files_stays_text(small: EvaluationConfig, tmp_path: Path) -> None:
    evaluate([replace(SPEC, model=HOSTILE)], small, tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert "<b>" not in text.replace(r"\<b\>", "")
    assert "\n# pwned" not in text
    assert r"p\<b\>\|\`\$x\$\` \# pwned" in text


def test_the_same_data_give_the_same_report(config: EvaluationConfig) -> None:
    first, second = (evaluate([SPEC], config)[0] for _ in range(2))
    assert first.as_json() == second.as_json()
    assert [each.png for each in first.figures()] == [each.png for each in second.figures()]


def test_sections_say_what_was_looked_at(config: EvaluationConfig) -> None:
    (report,) = evaluate([SPEC], config)
    shown = {section.title: section for section in report.sections()}
    assert ("looked at", "all questions, whether the model was trained on them or not") in shown["Steps"].rows
    assert ("truth", "the exact oracle of the built-in task") in shown["Oracle"].rows
    accuracy = {row[0]: row[1:] for row in shown["Accuracy of best of n"].rows}
    assert shown["Accuracy of best of n"].head == ("", "1", "2", "3")
    # The right one scores highest by the least step: it wins 2 of 3 pairs.
    assert (accuracy["pass@n"], accuracy["min"]) == (("33.3", "66.7", "100.0"), ("33.3", "66.7", "100.0"))
    lifts = {row[0]: row[1:] for row in shown["Lift over the majority"].rows}
    assert lifts["min"][-1] == "+66.7 [+66.7, +66.7]"


def test_several_models_stand_side_by_side(small: EvaluationConfig, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = evaluate([ScorerSpec("a/one"), ScorerSpec("b/one")], small, out)
    assert [each.model for each in found] == ["a/one", "b/one"]
    text = (out / "report.md").read_text()
    assert "[a/one](1-one/report.md)" in text
    assert (out / "2-one" / "figures" / "best-of-n.png").is_file()
    assert len(json.loads((out / "report.json").read_text())["models"]) == 2
    with pytest.raises(UsageError, match="name each process reward model once"):
        evaluate([SPEC, SPEC], small)


def test_an_earlier_evaluation_is_replaced_and_nothing_else(small: EvaluationConfig, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate([SPEC], small, out)
    (out / "figures" / "old.png").write_bytes(b"")
    evaluate([SPEC], small, out)
    assert not (out / "figures" / "old.png").exists()
    (out / "report.json").unlink()
    with pytest.raises(UsageError, match="holds something else than an evaluation"):
        evaluate([SPEC], small, out)


def test_a_fault_leaves_what_was_there(small: EvaluationConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    evaluate([SPEC], small, out)
    before = (out / "report.json").read_bytes()

    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(run, "write_candidates", full)
    with pytest.raises(StorageError):
        evaluate([SPEC], small, out)
    assert (out / "report.json").read_bytes() == before
    assert [path.name for path in tmp_path.glob(".out*")] == []


def test_data_are_read_before_a_model_is_opened(
    config: EvaluationConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "open_scorer", lambda _: pytest.fail("a model was opened"))
    with pytest.raises(InputError, match="not of the built-in task"):
        evaluate([SPEC], replace(config, oracle=config.best_of_n), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_calibration_is_put_on_top_of_the_one_that_is_there(tmp_path: Path) -> None:
    folder = tiny_prm(tmp_path / "prm", scale=2.0, shift=1.0)
    data = EvaluationConfig(steps=str(labels(tmp_path / "labels")), split="all")
    spec = ScorerSpec(str(folder))
    found = calibrate(spec, data, write=False)
    assert (found.before.scale, found.before.shift) == (2.0, 1.0)
    assert PRMConfig.load(folder).scale == 2.0
    # Ten steps count: margin 2 is good four times; 1 is good twice and wrong twice; -1 is wrong twice. The fit is s * m + t on
    # calibrated margins m = 2 d + 1, so that of the raw d is s * (2 d + 1) + t.
    assert found.steps == 10
    assert found.after.nll < found.before.nll
    again = calibrate(spec, data)
    kept = PRMConfig.load(folder)
    assert (kept.scale, kept.shift) == (again.after.scale, again.after.shift)
    assert replace(kept, scale=2.0, shift=1.0) == replace(PRMConfig.load(folder), scale=2.0, shift=1.0)
    slope, offset = kept.scale / 2, kept.shift - kept.scale / 2
    # Maximum likelihood: residuals sum to zero over the steps, against Platt's targets 7/8 and 1/6.
    from openr_data.aggregate import sigmoid

    steps = [(2.0, True)] * 4 + [(1.0, True)] * 2 + [(1.0, False)] * 2 + [(-1.0, False)] * 2
    assert sum((7 / 8 if good else 1 / 6) - sigmoid(slope * m + offset) for m, good in steps) == pytest.approx(0, abs=1e-5)
    assert sum(m * ((7 / 8 if good else 1 / 6) - sigmoid(slope * m + offset)) for m, good in steps) == pytest.approx(0, abs=1e-5)


def test_temperature_leaves_the_shift_where_it_was(tmp_path: Path) -> None:
    folder = tiny_prm(tmp_path / "prm")
    found = calibrate(
        ScorerSpec(str(folder)), EvaluationConfig(steps=str(labels(tmp_path / "labels")), split="all"), "temperature"
    )
    assert found.after.shift == 0.0
    assert PRMConfig.load(folder).scale == found.after.scale != 1.0


def test_what_no_fit_mends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_prm(tmp_path / "prm")
    before = (folder / "prm_config.json").read_bytes()
    data = EvaluationConfig(steps=str(labels(tmp_path / "labels")), split="all")
    monkeypatch.setattr(calibrating, "open_scorer", lambda _: StandIn(judge=lambda step: -number(step)))
    with pytest.raises(InputError, match=r"ranks wrong steps of .* above good ones"):
        calibrate(ScorerSpec(str(folder)), data)
    problem = Problem("p", "q", "1")
    right = LabeledSolution(solution("p", 0, ("1 a",), "right"), (None,), -1, "omegaprm", Cost(), "right_answer")
    good = write_labels(tmp_path / "good", [(problem, Labeling("p", (right,), ()))])
    with pytest.raises(InputError, match="no scored steps of both kinds"):
        calibrate(ScorerSpec(str(folder)), replace(data, steps=str(good)))
    with pytest.raises(UsageError, match="no folder with a prm_config"):
        calibrate(ScorerSpec("owner/name"), data)
    assert (folder / "prm_config.json").read_bytes() == before
