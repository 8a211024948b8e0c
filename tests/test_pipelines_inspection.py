"""What `inspect` counts of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from test_pipelines_stage import config, labels, write_problems

from openr_data.pipelines.config import RunOptions
from openr_data.pipelines.generate import generate
from openr_data.pipelines.inspection import overview
from openr_data.pipelines.label import label
from openr_data.store.read import RunReader


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
