"""The evaluation of one process reward model as a value: tables, figures, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any

from openr_data.aggregate import sigmoid
from openr_data.data_cards.markup import inline, prose, table
from openr_data.pipelines.prm.evaluation.best_of_n import MAJORITY, PASS, BestOfNReport
from openr_data.pipelines.prm.evaluation.processbench_report import ProcessBenchReport
from openr_data.pipelines.prm.evaluation.sections import (
    best_of_n_numbers,
    best_of_n_sections,
    headline,
    reliability_table,
    step_numbers,
    step_sections,
)
from openr_data.pipelines.prm.evaluation.steps import StepsReport
from openr_data.store.codecs import plain_config

if TYPE_CHECKING:
    from openr_data.data_cards.figures import Figure
    from openr_data.data_cards.report import Section

STEPS, ORACLE = "Steps", "Oracle"
_DRAWN = (PASS, MAJORITY, "min", "last", "product", "min-vote", "mean-vote")


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """`identity` changes whenever a score of the model may. A part that was not asked for is `None`."""

    model: str
    identity: str
    template: str
    head: str
    settings: Mapping[str, Any]
    steps: StepsReport | None = None
    processbench: ProcessBenchReport | None = None
    best_of_n: BestOfNReport | None = None
    oracle: StepsReport | None = None

    def as_json(self) -> dict[str, Any]:
        """All that was counted, and what follows from it."""
        return {
            "model": self.model,
            "identity": self.identity,
            "template": self.template,
            "head": self.head,
            "settings": dict(self.settings),
            "steps": _steps_json(self.steps),
            "processbench": self.processbench.as_json() if self.processbench else None,
            "best_of_n": plain_config(self.best_of_n) if self.best_of_n else None,
            "oracle": _steps_json(self.oracle),
        }

    def sections(self) -> list[Section]:
        """The tables, part by part."""
        return [
            *(step_sections(self.steps, STEPS) if self.steps else []),
            *(self.processbench.sections() if self.processbench else []),
            *(best_of_n_sections(self.best_of_n) if self.best_of_n else []),
            *(step_sections(self.oracle, ORACLE) if self.oracle else []),
        ]

    def figures(self) -> list[Figure]:
        """Every figure that these numbers can fill."""
        drawn = [*_step_figures(self.steps, STEPS), *_step_figures(self.oracle, ORACLE)]
        return [*drawn, *([_best_of_n_figure(self.best_of_n)] if self.best_of_n else [])]


def markdown(report: EvaluationReport, figures: Sequence[Figure]) -> str:
    """The whole report; `figures` lie beside it by their paths. Text of models and files is escaped."""
    from openr_data.data_cards.figures import show_figures

    facts = [("model", report.model), ("digest", report.identity), ("template", report.template), ("head", report.head)]
    named = ((STEPS, report.steps), (ORACLE, report.oracle))
    bins = [reliability_table(each.quality.calibration.width, title) for title, each in named if each]
    parts = [
        "# Evaluation of a process reward model\n",
        table(("", ""), facts),
        *(_shown(section) for section in (*report.sections(), *bins)),
        show_figures(figures),
    ]
    return "\n".join(part for part in parts if part)


def comparison(reports: Sequence[EvaluationReport]) -> list[Section]:
    """Several models side by side."""
    from openr_data.pipelines.prm.evaluation.processbench_report import side_by_side

    benchmarks = [each.processbench for each in reports if each.processbench]
    found = {each.model: list(_numbers(each)) for each in reports}
    return [
        *([headline(found)] if any(found.values()) else []),
        *([side_by_side(benchmarks)] if benchmarks else []),
    ]


def comparison_markdown(reports: Sequence[EvaluationReport], folders: Sequence[str]) -> str:
    links = [f"- [{inline(each.model)}]({folder}/report.md)\n" for each, folder in zip(reports, folders, strict=True)]
    return "\n".join(
        ["# Process reward models side by side\n", *(_shown(section) for section in comparison(reports)), "".join(links)]
    )


def _numbers(report: EvaluationReport) -> Iterator[tuple[str, str]]:
    for title, part in ((STEPS, report.steps), (ORACLE, report.oracle)):
        if part:
            yield from step_numbers(part, title.lower())
    if report.best_of_n:
        yield from best_of_n_numbers(report.best_of_n)


def _shown(section: Section) -> str:
    note = [f"{prose(section.note)}\n"] if section.note else []
    return "\n".join([f"## {inline(section.title)}\n", table([*map(inline, section.head or ("", ""))], section.rows), *note])


def _steps_json(found: StepsReport | None) -> dict[str, Any] | None:
    if found is None:
        return None
    quality = found.quality
    derived = {
        "base_rate": quality.steps.base_rate,
        "ece_width": quality.calibration.ece_width,
        "ece_mass": quality.calibration.ece_mass,
        "threshold_probability": sigmoid(quality.threshold),
        "exact_share": quality.found.errors.share,
        "right_share": quality.found.correct.share,
        "f1": quality.found.f1,
        "precision": quality.detection.precision,
        "recall": quality.detection.recall,
        "soft_excess": quality.soft.excess if quality.soft else None,
    }
    return {**plain_config(found), "derived": derived}


def _step_figures(found: StepsReport | None, title: str) -> Iterator[Figure]:
    from openr_data.data_cards.prm_figures import ReliabilityBin, discrimination, reliability

    if found is None:
        return
    quality = found.quality
    bins = quality.calibration
    width, mass = ([ReliabilityBin(*astuple(each)) for each in kind] for kind in (bins.width, bins.mass))
    drawn = [reliability(width, mass, (bins.ece_width, bins.ece_mass))]
    pooled = quality.steps.pooled
    if pooled and quality.roc and quality.detecting:
        areas = (pooled.auroc, pooled.ap_bad)
        drawn.append(discrimination(quality.roc, quality.detecting, areas, 1 - quality.steps.base_rate))
    for figure in drawn:
        yield replace(
            figure, name=f"{title.lower()}-{figure.name}", title=f"{title}: {figure.title[:1].lower()}{figure.title[1:]}"
        )


def _best_of_n_figure(found: BestOfNReport) -> Figure:
    from openr_data.data_cards.prm_figures import Curve, best_of_n

    return best_of_n(found.sizes, [Curve(name, *_bounds(found, name), plain=name in {PASS, MAJORITY}) for name in _DRAWN])


def _bounds(found: BestOfNReport, name: str) -> tuple[list[float], list[float], list[float]]:
    """Values, and their interval for what the figure compares: the majority and the best of the rest."""
    points = found.curves[name]
    values = [point.accuracy.value for point in points]
    rest = [each for each in _DRAWN if each not in {PASS, MAJORITY}]
    if name not in {MAJORITY, max(rest, key=lambda each: found.curves[each][-1].accuracy.value)}:
        return values, [], []
    low, high = [point.accuracy.low for point in points], [point.accuracy.high for point in points]
    if None in low or None in high:
        return values, [], []
    return values, [each or 0.0 for each in low], [each or 0.0 for each in high]
