"""Evaluations of process reward models for the tests of cards, with numbers that are known beforehand."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from openr_data.pipelines.prm.evaluation.best_of_n import BestOfNReport, Point
from openr_data.pipelines.prm.evaluation.processbench_report import ProcessBenchReport, SubsetResult
from openr_data.pipelines.prm.evaluation.quality import quality
from openr_data.pipelines.prm.evaluation.report import EvaluationReport
from openr_data.pipelines.prm.evaluation.scored import Known, Scored, Scoring
from openr_data.pipelines.prm.evaluation.steps import StepsReport
from openr_data.prm.config import PRMConfig
from openr_data.prm.intervals import Interval
from openr_data.prm.processbench import Hits, Score
from openr_data.prm.processbench_threshold import Threshold
from openr_data.prm.score.base import ScorerSpec
from openr_data.prm.score.open import open_scorer

PNG = b"\x89PNG\r\n\x1a\nfigure of the tests"


def subset(name: str, errors: int, correct: int, interval: tuple[float, float], **more: Any) -> SubsetResult:
    """A hundred cases of each kind, of which so many are found."""
    places = {"exact": errors, "early": 5, "missed": 90 - errors, "none": 5}
    positions = {0: Hits(errors // 2, 40), 1: Hits(errors - errors // 2, 60)}
    score = Score(Hits(errors, 100), Hits(correct, 100), 5, 1, places, positions, Hits(2, 30))
    return SubsetResult(name, score, interval, {"it has 600 tokens, and the model's context is 512": 6}, **more)


BENCHMARK = ProcessBenchReport.of_subsets(
    "prm",
    "prm",
    [
        subset("gsm8k", 60, 90, (66.0, 78.0), best=Threshold(0.1, 73.0)),
        subset("math", 20, 95, (25.0, 41.0), best=Threshold(0.7, 51.5)),
    ],
    rule="fixed",
    threshold=0.0,
)


@cache
def steps_report(source: str = "/home/ann/runs/test-labels") -> StepsReport:
    """Thirty questions with a good and a wrong step each; the good one scores higher in all but ten."""
    scored = [
        Scored(
            Known(f"p{n}", f"s{n}", f"question {n}", ("a", "b"), (True, False), 1, rivals={"raw MC > 0": 1 if n % 2 else 0}),
            (2.0, 3.0) if n < 10 else (2.0, -1.0),
        )
        for n in range(30)
    ]
    found = quality(Scoring(tuple(scored), {"it has 600 tokens": 4}), 0.0, "set beforehand", draws=50, seed=0)
    return StepsReport(source, "omegaprm", "all questions", left_out={}, elsewhere=0, quality=found)


def choices() -> BestOfNReport:
    """Choosing by the lowest step is 2 points ahead of the majority, within chance; by the last one it is behind."""

    def points(accuracy: float, lift: float, low: float, high: float) -> tuple[Point, ...]:
        return (Point(8, Interval(accuracy, accuracy - 0.05, accuracy + 0.05), Interval(lift, low, high)),)

    curves = {
        "pass@n": points(0.9, 0.3, 0.2, 0.4),
        "majority": points(0.6, 0.0, 0.0, 0.0),
        "min": points(0.62, 0.02, -0.01, 0.05),
        "last": points(0.5, -0.1, -0.15, -0.05),
    }
    return BestOfNReport(
        source="/home/ann/runs/pool",
        told="all questions",
        questions=50,
        elsewhere=0,
        without=0,
        smaller=0,
        candidates=400,
        excluded={},
        sizes=(8,),
        subsets=16,
        curves=curves,
        last_step=180,
        several=400,
    )


def write_evaluation(out: Path, model: Path, *, backend: str = "transformers", identity: str = "") -> Path:
    """As `prm evaluate` leaves it."""
    config = PRMConfig.load(model)
    report = EvaluationReport(
        str(model),
        identity or open_scorer(ScorerSpec(str(model), device="cpu")).identity,
        config.template.name,
        config.head,
        {"scorer": {"model": str(model), "backend": backend, "base_url": ""}, "split": "all"},
        steps=steps_report(),
        processbench=BENCHMARK,
        best_of_n=choices(),
        oracle=steps_report("/home/ann/runs/oracle"),
    )
    (out / "figures").mkdir(parents=True)
    (out / "report.json").write_text(json.dumps(report.as_json()))
    (out / "report.md").write_text("# Evaluation\n")
    (out / "figures" / "steps-reliability.png").write_bytes(PNG)
    (out / "figures" / "not-a-figure.png").write_bytes(b"<script>")
    (out / "steps.parquet").write_bytes(b"PAR1")
    return out
