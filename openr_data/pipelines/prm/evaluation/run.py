"""`openr-data prm evaluate`: opens the models, does every part that was asked for, and writes one folder, whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from openr_data.errors import UsageError
from openr_data.pipelines.prm.evaluation.best_of_n import evaluate_best_of_n
from openr_data.pipelines.prm.evaluation.candidates import Pools, read_pools
from openr_data.pipelines.prm.evaluation.config import EvaluationConfig
from openr_data.pipelines.prm.evaluation.oracle import read_oracle
from openr_data.pipelines.prm.evaluation.processbench import processbench
from openr_data.pipelines.prm.evaluation.processbench_files import read_cases
from openr_data.pipelines.prm.evaluation.report import EvaluationReport, comparison_markdown, markdown
from openr_data.pipelines.prm.evaluation.steps import Data, judged, read_steps
from openr_data.pipelines.prm.evaluation.tables import write_accuracies, write_candidates, write_steps
from openr_data.pipelines.progress import Report, silent
from openr_data.prm.processbench_threshold import SUBSET
from openr_data.prm.score.base import Scorer, ScorerSpec
from openr_data.prm.score.open import open_scorer
from openr_data.store.atomic import storage_errors, write_text
from openr_data.store.codecs import plain_config

REPORT, JSON = "report.md", "report.json"


def evaluate(
    models: Sequence[ScorerSpec], config: EvaluationConfig, out: Path | None = None, report: Report = silent
) -> list[EvaluationReport]:
    """One report per model, in order. With `out`, `report.md` with its figures, `report.json` and Parquet tables of single items
    lie there in the end; of several models, each in a folder of its own beside a page that compares them. A folder with an
    earlier evaluation is replaced.

    Raises `UsageError` for what cannot be evaluated or is no model, `InputError` for data without anything to judge,
    `EngineError` where the model cannot answer, `StorageError` where `out` cannot be written. Nothing is left half-written.
    """
    config = config.checked()
    if not models or len({each.model for each in models}) < len(models):
        raise UsageError("name each process reward model once, and at least one")
    if out is None:
        inputs = Inputs.read(config)
        return [evaluate_one(spec, config, inputs, None, report) for spec in models]
    with _staged(out) as folder:
        inputs = Inputs.read(config)
        if len(models) == 1:
            return [evaluate_one(models[0], config, inputs, folder, report)]
        names = [f"{number}-{_plain(spec.model)}" for number, spec in enumerate(models, 1)]
        found = []
        for name, spec in zip(names, models, strict=True):
            (folder / name).mkdir()
            found.append(evaluate_one(spec, config, inputs, folder / name, report))
        write_text(folder / REPORT, comparison_markdown(found, names))
        _write_json(folder, {"models": [each.as_json() for each in found]})
    return found


@dataclass(frozen=True, slots=True)
class Inputs:
    """What every model is judged on. All of it is read before a model is opened: what cannot be used is told at once."""

    steps: Data | None
    oracle: Data | None
    pools: Pools | None

    @classmethod
    def read(cls, config: EvaluationConfig) -> Inputs:
        if config.processbench:
            read_cases(config.processbench)
        return cls(
            steps=read_steps(config) if config.steps else None,
            oracle=read_oracle(config) if config.oracle else None,
            pools=read_pools(config.best_of_n, config) if config.best_of_n else None,
        )


def evaluate_one(
    spec: ScorerSpec, config: EvaluationConfig, inputs: Inputs, out: Path | None, report: Report
) -> EvaluationReport:
    """`out` is an empty folder."""
    scorer = open_scorer(spec)
    settings = {**plain_config(config), "scorer": plain_config(spec), "looked_at": config.told}
    found = EvaluationReport(spec.model, scorer.identity, scorer.config.template.name, scorer.config.head, settings)
    found = _judged(scorer, config, inputs, found, out, report)
    if out is not None:
        figures = found.figures()
        for figure in figures:
            with storage_errors(out / figure.path, "run again"):
                (out / figure.path).parent.mkdir(exist_ok=True)
                (out / figure.path).write_bytes(figure.png)
        write_text(out / REPORT, markdown(found, figures))
        _write_json(out, found.as_json())
    return found


def _judged(
    scorer: Scorer, config: EvaluationConfig, inputs: Inputs, found: EvaluationReport, out: Path | None, report: Report
) -> EvaluationReport:
    """Part by part."""
    for name, data in (("steps", inputs.steps), ("oracle", inputs.oracle)):
        if data is not None:
            part, scored = judged(scorer, data, config, report, name)
            found = replace(found, steps=part) if name == "steps" else replace(found, oracle=part)
            if out is not None:
                write_steps(out / f"{name}.parquet", scored)
    if inputs.pools is not None:
        best, choices, table = evaluate_best_of_n(scorer, inputs.pools, config, report)
        found = replace(found, best_of_n=best)
        if out is not None:
            write_candidates(out / "candidates.parquet", choices)
            write_accuracies(out / "best_of_n.parquet", choices, table, best.sizes)
    if config.processbench:
        threshold = SUBSET if config.threshold == "tuned" else config.threshold
        folder = None if out is None else out / "processbench"
        benchmark = processbench(scorer, config.processbench, folder, threshold=threshold, on_progress=report, name=found.model)
        found = replace(found, processbench=benchmark)
    return found


@contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """An empty folder beside `out` that takes its place at the end. Raises `UsageError` where `out` is something else's."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / JSON).is_file())):
        raise UsageError(f"{out} holds something else than an evaluation; choose another --out")
    with storage_errors(out, "run again"):
        out.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        folder = place / "new"
        folder.mkdir()
        yield folder
        with storage_errors(out, "run again"):
            if out.exists():
                out.rename(place / "old")
            folder.rename(out)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _write_json(folder: Path, value: dict[str, Any]) -> None:
    write_text(folder / JSON, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _plain(model: str) -> str:
    """A name of a folder."""
    return re.sub(r"[^\w.-]+", "_", Path(model).name).strip("._") or "model"
