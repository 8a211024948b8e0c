"""What `inspect` counts of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from test_pipelines_stage import config, labels, write_problems

from openr_data.cli.inspect import show_overview
from openr_data.cli.show import show_labeled
from openr_data.labelers import build_labeler
from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.generate import generate
from openr_data.pipelines.inspection import overview
from openr_data.pipelines.label import label
from openr_data.store.read import RunReader
from openr_data.types import Cost, Estimate, LabeledSolution, Labeler, Labeling, Problem, Solution, StepLabel, Verdict


def test_undecided_solutions_and_rollouts_are_counted_by_reason(tmp_path: Path) -> None:
    script = "error=0.1,recovery=0,truncate=0.3,garbage=0.2"
    generate(config(write_problems(tmp_path / "problems.jsonl", 8), script), RunOptions(tmp_path / "run"))
    how = labels(tmp_path / "run", method="math-shepherd")
    label(replace(how, engine=replace(how.engine, script=script)), RunOptions(tmp_path / "labels"))
    solutions = Counter(
        s.verdict.reason for i in RunReader.open(tmp_path / "run").items() for s in i.solutions if s.verdict.outcome == "unknown"
    )
    rollouts = Counter(
        r.verdict.reason
        for item in RunReader.open(tmp_path / "labels").items()
        for node in item.nodes
        for r in node.rollouts
        if r.verdict.outcome == "unknown"
    )
    assert overview(tmp_path / "run").undecided == solutions
    assert overview(tmp_path / "labels").undecided == rollouts
    assert min(solutions["truncated"], rollouts["truncated"]) > 0


def test_estimators_confidence_and_the_judge_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of labels that claim all of it, whatever method they come from."""
    told = [("agreement:binary_search", 0.95), ("disagreement:judge=1,mc=2", None), ("disagreement:judge=0,mc=3", 0.3)]
    told = [*told, ("uncertain", 0.6)]

    def claiming(*arguments: Any, **options: Any) -> Labeler:
        inner = build_labeler(*arguments, **options)

        async def labeler(problem: Problem, solutions: Any, /) -> Labeling:
            labeling = await inner(problem, solutions)
            pairs = zip(labeling.solutions, told, strict=True)
            return replace(labeling, solutions=tuple(replace(one, reason=r, confidence=c) for one, (r, c) in pairs))

        return labeler

    monkeypatch.setattr("openr_data.pipelines.label.build_labeler", claiming)
    generate(config(write_problems(tmp_path / "problems.jsonl", 5)), RunOptions(tmp_path / "run"))
    label(labels(tmp_path / "run", method="math-shepherd"), RunOptions(tmp_path / "labels"))
    seen = overview(tmp_path / "labels")
    assert seen.judge == {"disagreement": 10, "agreement": 5}
    assert seen.reasons == {"disagreement": 10, "agreement:binary_search": 5, "uncertain": 5}
    assert seen.confidence == pytest.approx(
        {"solutions": 15, "mean": 1.85 / 3, "uncertain": 1 / 3, "below_0.5": 1 / 3, "below_0.9": 2 / 3}
    )
    values = Counter(
        e.estimator for i in RunReader.open(tmp_path / "labels").items() for one in i.labeled for e in one.estimates if e
    )
    assert seen.estimators == values
    assert len(values) > 1
    console = Console(width=60, record=True)
    monkeypatch.setattr("openr_data.cli.inspect.console", console)
    show_overview(seen)
    shown = " ".join(console.export_text().split())
    assert "agreed on 5 of 15 solutions (33%), came to nothing on 0" in shown
    assert "0.62 on average over 15 solutions; 33% below 0.5, 67% below 0.9; 33% uncertain" in shown


def test_a_solution_is_shown_with_its_readings_and_the_judge(capsys: pytest.CaptureFixture[str]) -> None:
    solution = Solution("p/0", "p", ("one", "two"), Verdict("wrong", "exact"))
    labels = (StepLabel(1, 3), StepLabel(0, 1))
    estimates = (Estimate(0.375, "posterior", 0.81), Estimate(0.0, "verdict", 0.0))
    notes = {"judge": "-1", "judge_votes": "-1 ? -1", "mc": "1"}
    labeled = LabeledSolution(
        solution, labels, 1, "adaptive", Cost(4, 40), "posterior", estimates=estimates, confidence=0.81, notes=notes
    )
    show_labeled(Console(width=100), labeled)
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert shown[1:4] == ["value hits good step", "1 0.38 1/3 0.81 one", "x 2 0.00 0/1 0.00 two"]
    assert shown[4].startswith("first wrong step: 2 (posterior, probability 0.81)")
    assert shown[5] == "judge: no wrong step (votes, from 0: -1 ? -1); rollouts: step 2"
