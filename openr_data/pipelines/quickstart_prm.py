"""The end of the quickstart: a process reward model trained on adaptive labels, and what it is good for, on new problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from openr_data.engines import EngineSpec
from openr_data.labelers import LabelConfig
from openr_data.pipelines.config import GenerateConfig, LabelRunConfig, RunOptions
from openr_data.pipelines.generate import generate
from openr_data.pipelines.label import label
from openr_data.pipelines.progress import Snapshot
from openr_data.pipelines.splits import Splits
from openr_data.pipelines.stage import Summary
from openr_data.problems import ProblemSource
from openr_data.types import Sampling

if TYPE_CHECKING:
    from openr_data.pipelines.prm.config import PRMRunConfig
    from openr_data.pipelines.prm.evaluation.best_of_n import BestOfNReport
    from openr_data.pipelines.prm.evaluation.quality import Quality
    from openr_data.prm.progress import Progress

MODEL, EVALUATION = "prm", "prm-evaluation"
_SOLUTIONS, _LABELS, _CANDIDATES = "prm-solutions", "prm-labels", "prm-candidates"
_OF_PROBLEMS, _OF_CANDIDATES = 1, 2
"""Added to the seed: its problems are not those of the comparison, and the candidates' problems are neither."""


@dataclass(frozen=True, slots=True)
class PRMStage:
    """It is trained on labels of `solutions` of each of so many `problems`, and judged on `candidates` of each of the `held_out`
    ones. No problems: no model.
    """

    problems: int = 120
    solutions: int = 8
    rollouts: int = 8
    pilot: int = 40
    held_out: int = 50
    candidates: int = 16
    epochs: float = 2.0


@dataclass(frozen=True, slots=True)
class PRMReport:
    """The model's folder; the rows and seconds of its training; steps and first errors against the exact oracle, and the
    candidates chosen by it, on problems that it never saw.
    """

    out: str
    evaluation: str
    rows: int
    seconds: float
    steps: Quality
    best_of_n: BestOfNReport


def prm_stage(
    stage: PRMStage, engine: EngineSpec, sampling: Sampling, options: RunOptions, on_stage: Callable[[Summary], None]
) -> PRMReport:
    """Everything lies below `options.out`; what is there is continued. Raises what its parts do."""
    from openr_data.pipelines.prm.record import NAME as RECORD
    from openr_data.pipelines.prm.record import PRMRunRecord
    from openr_data.pipelines.prm.training import Listeners, train_prm

    make = _Make(engine, sampling, options, on_stage)
    make.solutions(_SOLUTIONS, stage.problems, stage.solutions, _OF_PROBLEMS)
    make.labels(_LABELS, _SOLUTIONS, stage)
    config, folder = _training(stage, options), options.out / MODEL
    listeners = Listeners(on_progress=lambda progress: options.report(_snapshot(progress)))
    trained = train_prm(config, folder, resume=(folder / RECORD).is_file(), listeners=listeners)
    make.solutions(_CANDIDATES, stage.held_out, stage.candidates, _OF_CANDIDATES)
    steps, best_of_n = _judged(options)
    rows = PRMRunRecord.load(folder).data["lengths"]["rows"]
    return PRMReport(str(folder), str(options.out / EVALUATION), rows, trained.seconds, steps, best_of_n)


@dataclass(frozen=True, slots=True)
class _Make:
    """Runs below one directory, by one engine."""

    engine: EngineSpec
    sampling: Sampling
    options: RunOptions
    on_stage: Callable[[Summary], None]

    def solutions(self, name: str, problems: int, solutions: int, of: int) -> None:
        source = ProblemSource("builtin", count=problems, seed=self.sampling.seed + of)
        config = GenerateConfig(source, self.engine, self.sampling, solutions)
        self.on_stage(generate(config, replace(self.options, out=self.options.out / name)))

    def labels(self, name: str, solutions: str, stage: PRMStage) -> None:
        k = stage.rollouts
        asked = LabelConfig(method="adaptive", rollouts=k, filter_rollouts=k, searches=0, pilot=stage.pilot)
        config = LabelRunConfig(ProblemSource(str(self.options.out / solutions)), self.engine, self.sampling, asked)
        self.on_stage(label(config, replace(self.options, out=self.options.out / name)))


def _training(stage: PRMStage, options: RunOptions) -> PRMRunConfig:
    """A tenth of the questions says which weights are the best; no test split, since other problems are the test."""
    from openr_data.pipelines.prm.config import PRMRunConfig, SourceSpec
    from openr_data.prm.train_config import ModelChoice, TrainConfig

    train = TrainConfig(
        model=ModelChoice(head="likelihood"),
        epochs=stage.epochs,
        batch=32,
        rate=3e-4,
        positive_weight=0.0,
        device=options.limits.device,
    )
    return PRMRunConfig((SourceSpec(str(options.out / _LABELS)),), train, Splits(0.9, 0.1, 0.0))


def _judged(options: RunOptions) -> tuple[Quality, BestOfNReport]:
    from openr_data.pipelines.prm.evaluation.config import EvaluationConfig
    from openr_data.pipelines.prm.evaluation.run import evaluate
    from openr_data.prm.score.base import ScorerSpec

    candidates = options.out / _CANDIDATES
    config = EvaluationConfig(oracle=candidates, best_of_n=candidates, split="all")
    spec = ScorerSpec(str(options.out / MODEL), device=options.limits.device)
    (report,) = evaluate([spec], config, options.out / EVALUATION, options.report)
    if report.oracle is None or report.best_of_n is None:
        raise ValueError("an evaluation left out what it was asked for")
    return report.oracle.quality, report.best_of_n


def _snapshot(progress: Progress) -> Snapshot:
    """A training as any other stage: its items are optimiser steps."""
    final = progress.step == progress.steps
    done = (progress.step, progress.steps, progress.tokens)
    return Snapshot("train", *done, completions=0, reused=0, rejected=0, failed=0, seconds=progress.seconds, final=final)
