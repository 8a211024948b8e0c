"""The files of an evaluation, beside its tables: the summary, the points as Arrow, and the figure. All are made anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from openr_data.data_cards.scaling_figure import ScalingCurve, ScalingPoint, save_scaling
from openr_data.pipelines.evaluating.measured import INDEPENDENT, MAJORITY, PASS
from openr_data.pipelines.evaluating.points import Point
from openr_data.pipelines.evaluating.report import EvaluationReport
from openr_data.store.atomic import write_text

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "report"
SUMMARY, POINTS, FIGURE = "summary.json", "points.arrow", "scaling"
_NAMES = {"mcts": "MCTS", "dvts": "DVTS", "beam": "beam search", "revision": "revision", "forcing": "budget forcing"}


def write_outputs(report: EvaluationReport, run: Path, *, title: str) -> dict[str, Path]:
    """The paths of what was written, by kind; a figure only where something has more than one budget."""
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    written = {"summary": folder / SUMMARY, "points": folder / POINTS}
    write_text(written["summary"], json.dumps(report.plain(), indent=1) + "\n")
    _write_points(report, written["points"])
    curves = scaling_curves(report, report.points)
    if any(len(curve.points) > 1 for curve in curves):
        panels = {f"level {name}": scaling_curves(report, found) for name, (_, found) in report.levels.get("level", {}).items()}
        png, svg = save_scaling(folder / FIGURE, curves, title=title, questions=report.questions, panels=panels or None)
        written |= {"png": png, "svg": svg}
    return written


def scaling_curves(report: EvaluationReport, found: Sequence[Point]) -> list[ScalingCurve]:
    """The shown selectors of every strategy; majority and pass@n of independent samples always."""
    lines: dict[tuple[str, str], list[Point]] = {}
    for point in report.shown(found):
        lines.setdefault((point.way.strategy, point.way.selector), []).append(point)
    curves = [_curve(strategy, selector, line, report) for (strategy, selector), line in lines.items()]
    return curves + _optimal(report) if found is report.points else curves


def _curve(strategy: str, selector: str, line: Sequence[Point], report: EvaluationReport) -> ScalingCurve:
    if strategy == INDEPENDENT and selector == PASS:
        return ScalingCurve(PASS, _points(line), "bound")
    if strategy == INDEPENDENT and selector == MAJORITY:
        return ScalingCurve("majority", _points(line), "baseline")
    if strategy == INDEPENDENT:
        return ScalingCurve(f"best of n, {selector}", _points(line))
    name = _NAMES.get(strategy, strategy)
    alone = strategy == "greedy" or len(report.selectors) == 1
    return ScalingCurve(name if alone else f"{name}, {selector}", _points(line))


def _optimal(report: EvaluationReport) -> list[ScalingCurve]:
    kinds = dict.fromkeys(each.difficulty for each in report.optima)
    return [
        ScalingCurve(f"compute-optimal ({kind})", _points([each.point for each in report.optima if each.difficulty == kind]))
        for kind in kinds
    ]


def _points(line: Sequence[Point]) -> tuple[ScalingPoint, ...]:
    return tuple(
        ScalingPoint(
            each.way.n,
            each.tokens.value,
            each.tokens.low,
            each.tokens.high,
            each.accuracy.value,
            each.accuracy.low,
            each.accuracy.high,
        )
        for each in sorted(line, key=lambda point: point.way.n)
    )


def _write_points(report: EvaluationReport, path: Path) -> None:
    from pyarrow import feather

    feather.write_feather(_table(report), path, compression="uncompressed")


def _table(report: EvaluationReport) -> pa.Table:
    import pyarrow as pa

    rows = [
        {
            "strategy": each.way.strategy,
            "n": each.way.n,
            "selector": each.way.selector,
            "accuracy": each.accuracy.value,
            "accuracy_low": each.accuracy.low,
            "accuracy_high": each.accuracy.high,
            "tokens": each.tokens.value,
            "tokens_low": each.tokens.low,
            "tokens_high": each.tokens.high,
            "above_majority": each.lift and each.lift.value,
            "above_majority_low": each.lift and each.lift.low,
            "above_majority_high": each.lift and each.lift.high,
        }
        for each in (*report.points, *(optimum.point for optimum in report.optima))
    ]
    names = [name for name in rows[0] if name not in {"strategy", "n", "selector"}]
    fields = [("strategy", pa.string()), ("n", pa.int32()), ("selector", pa.string()), *((name, pa.float64()) for name in names)]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))
