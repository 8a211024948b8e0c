"""A process reward model on ProcessBench: steps are scored, and the first one below a threshold is the error that it finds."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path

from openr_data.errors import InputError, UsageError
from openr_data.pipelines.prm.evaluation.processbench_files import (
    Case,
    digests,
    ordered,
    prepare_folder,
    read_cases,
    write_predictions,
)
from openr_data.pipelines.prm.evaluation.processbench_report import ProcessBenchReport, SubsetResult
from openr_data.pipelines.progress import Report, Snapshot, silent
from openr_data.prm.processbench import Judged, first_below, score
from openr_data.prm.processbench_threshold import SUBSET, best_threshold, f1_interval
from openr_data.prm.score.base import Scorer
from openr_data.prm.scores import StepScores
from openr_data.store.atomic import write_text
from openr_data.types import NO_ERROR

RESULT = "processbench.json"
STAGE = "processbench"

_DIGITS = re.compile(r"\d+")


def processbench(
    scorer: Scorer,
    files: Sequence[str | Path],
    out: Path | None = None,
    *,
    threshold: str | float = "fixed",
    on_progress: Report = silent,
    name: str = "",
) -> ProcessBenchReport:
    """Scores every case of the files and judges the predictions as the benchmark's authors do.

    `threshold` is `fixed` (p(+) = 0.5, what a classifier itself says; the authors' choice for models that give a verdict),
    `gsm8k` (the one with the highest F1 on that subset, on all of them; their choice for models that give a score) or a p(+).
    `out` gets `processbench.json` and the authors' files with each case's prediction, margins and scores.
    Raises `UsageError`, `InputError` (see `read_cases`), `StorageError`, and what the scorer raises. No file is written before
    all is scored.
    """
    cases = read_cases(files)
    _check_threshold(threshold, cases)
    if out is not None:
        prepare_folder(out)
    scores = _scored(scorer, cases, on_progress)
    margin = _margin(threshold, cases, scores)
    predictions = [first_below(each.margins, margin) if each.margins else None for each in scores]
    subsets = results(cases, predictions, [each.reason for each in scores], [each.margins for each in scores])
    rule = threshold if threshold in {"fixed", SUBSET} else "given"
    more = {"rule": rule, "threshold": margin, "settings": {"template": scorer.config.template.name, "model": scorer.identity}}
    report = ProcessBenchReport.of_subsets(name or scorer.config.base_model or "PRM", "prm", subsets, **more)
    if out is not None:
        said = [_said(*each) for each in zip(cases, predictions, scores, strict=True)]
        write_predictions(out, list(zip(cases, said, strict=True)))
        write_report(out, report)
    return report


def results(
    cases: Sequence[Case],
    predictions: Sequence[int | None],
    reasons: Sequence[str],
    margins: Sequence[Sequence[float]] | None = None,
) -> list[SubsetResult]:
    """Counted by subset. `reasons` say why a case has no prediction; `margins`, where there are any, give the upper bound."""
    judged = [Judged(case.label, predicted, bool(case.answer_right)) for case, predicted in zip(cases, predictions, strict=True)]
    marks = digests(cases)
    found = []
    for name in ordered(case.subset for case in cases):
        at = [place for place, case in enumerate(cases) if case.subset == name]
        counted = score([judged[place] for place in at])
        scored = [] if margins is None else [(margins[place], cases[place].label) for place in at]
        found.append(
            SubsetResult(
                name=name,
                score=counted,
                interval=f1_interval([counted]),
                reasons=alike([reasons[place] for place in at if predictions[place] is None]),
                best=best_threshold(scored) if counted.f1 is not None and any(each for each, _ in scored) else None,
                digest=marks[name],
            )
        )
    return found


def alike(reasons: Sequence[str]) -> dict[str, int]:
    """How many of each, most first. Those that differ in numbers alone are one, told as the first of them.

    >>> alike(["it has 600 tokens", "no steps", "it has 700 tokens"])
    {'it has 600 tokens': 2, 'no steps': 1}
    """
    first: dict[str, str] = {}
    for reason in reasons:
        first.setdefault(_DIGITS.sub("0", reason), reason)
    return {first[kind]: count for kind, count in Counter(_DIGITS.sub("0", reason) for reason in reasons).most_common()}


def write_report(out: Path, report: ProcessBenchReport) -> None:
    """`processbench.json`. Raises `StorageError`."""
    write_text(out / RESULT, json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n")


def read_report(path: Path) -> ProcessBenchReport:
    """Of a file that `write_report` wrote, or of its folder. Raises `InputError`."""
    file = path / RESULT if path.is_dir() else path
    try:
        return ProcessBenchReport.of_json(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise InputError(f"{file} is no {RESULT} of openr-data ({type(fault).__name__}: {fault})") from fault


def _check_threshold(threshold: str | float, cases: Sequence[Case]) -> None:
    """Before an hour of scoring."""
    if isinstance(threshold, str):
        if threshold not in {"fixed", SUBSET}:
            raise UsageError(f"--threshold is fixed, {SUBSET} or a probability, not '{threshold}'")
        kinds = {case.label == NO_ERROR for case in cases if case.subset == SUBSET}
        if threshold == SUBSET and len(kinds) < 2:
            raise UsageError(
                f"the threshold is to be chosen on {SUBSET}, and there are not both cases with and without an error of it; "
                "name its file, too, or use the threshold 'fixed'"
            )
    elif not 0 < threshold < 1:
        raise UsageError(f"a threshold is a probability between 0 and 1, not {threshold}")


def _margin(threshold: str | float, cases: Sequence[Case], scores: Sequence[StepScores]) -> float:
    if isinstance(threshold, float | int):
        return log(threshold / (1 - threshold))
    if threshold == "fixed":
        return 0.0
    there = [(each.margins, case.label) for case, each in zip(cases, scores, strict=True) if case.subset == SUBSET]
    if not any(margins for margins, _ in there):
        raise InputError(f"no solution of {SUBSET} could be scored, so it cannot choose a threshold; use the threshold 'fixed'")
    return best_threshold(there).value


def _scored(scorer: Scorer, cases: Sequence[Case], on_progress: Report) -> list[StepScores]:
    tell = _Teller(len(cases), on_progress)
    tell(0)
    found = scorer.score([(case.problem, case.steps) for case in cases], tell)
    tell.end()
    return found


def _said(case: Case, prediction: int | None, found: StepScores) -> Mapping[str, object]:
    said = {"prediction": prediction, "match": prediction == case.label}
    return {**said, "scores": list(found.probabilities), "margins": list(found.margins), "reason": found.reason}


class _Teller:
    """Counts finished cases and tells them."""

    def __init__(self, total: int, report: Report) -> None:
        self._total, self._report = total, report
        self._done = 0
        self._began = time.monotonic()

    def __call__(self, more: int) -> None:
        self._done += more
        self._tell(final=False)

    def end(self) -> None:
        self._done = self._total
        self._tell(final=True)

    def _tell(self, *, final: bool) -> None:
        seconds = time.monotonic() - self._began
        self._report(Snapshot(STAGE, self._done, self._total, 0, 0, 0, 0, 0, seconds, final=final))
