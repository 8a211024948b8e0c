"""What ProcessBench says of a process reward model or a critic: one frozen value for both, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from openr_data.aggregate import sigmoid
from openr_data.data_cards.report import Row, Section
from openr_data.prm.processbench import SIZES, Hits, Score, macro
from openr_data.prm.processbench_threshold import SUBSET, Threshold, f1_interval

Kind = Literal["prm", "critic"]
Interval = tuple[float, float] | None

_LATE = 10
_MUCH = 0.1
"""Share of cases without an answer that is worth a sentence."""

_HEADLINE = (
    "Percent. `error`: the first wrong step is named exactly; `correct`: a solution without one is called right; F1: their "
    "harmonic mean; the average counts each subset once. One without an answer counts as not found; F1 of the rest leaves such "
    "cases out. Ranges: 95 %, bootstrap over cases."
)
_UPPER = (
    "Not a result: the threshold that suits each subset best, found by looking at its labels. It bounds what a threshold can do."
)
_HIDDEN = "Solutions that reach the right answer over a wrong step: how many of them have that step found."


@dataclass(frozen=True, slots=True)
class SubsetResult:
    """One subset. `interval` is that of F1; `reasons` say why cases have no prediction, and how many. `best` is the threshold
    chosen on this subset itself, an upper bound (`None`: there are no scores). `digest` is that of the cases.
    """

    name: str
    score: Score
    interval: Interval = None
    reasons: Mapping[str, int] = field(default_factory=dict)
    best: Threshold | None = None
    digest: str = ""

    @property
    def whole(self) -> bool:
        """Does it have as many cases of either kind as the published subset?"""
        return SIZES.get(self.name) == (self.score.errors.cases, self.score.correct.cases)


@dataclass(frozen=True, slots=True)
class ProcessBenchReport:
    """`judge` names who was judged. `rule` says how the `threshold` (of margins) came about: `fixed` or `gsm8k`; a critic has
    neither. `interval` is that of the average. `settings` is what else the numbers depend on, by name.
    """

    judge: str
    kind: Kind
    subsets: tuple[SubsetResult, ...]
    rule: str = ""
    threshold: float | None = None
    interval: Interval = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_subsets(cls, judge: str, kind: Kind, subsets: Sequence[SubsetResult], **more: Any) -> ProcessBenchReport:
        return cls(judge, kind, tuple(subsets), interval=f1_interval([each.score for each in subsets]), **more)

    @property
    def average(self) -> float | None:
        """The mean F1 of the subsets that are there; `None` where one has none."""
        return macro(each.score.f1 for each in self.subsets)

    @property
    def probability(self) -> float | None:
        """The threshold as p(+)."""
        return None if self.threshold is None else sigmoid(self.threshold)

    def as_json(self) -> dict[str, Any]:
        """All that was counted, and what follows from it; `of_json` reads it again."""
        derived = {"average_f1": self.average, "threshold_probability": self.probability}
        return {**asdict(self), **derived, "subsets": [_subset_json(each) for each in self.subsets]}

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> ProcessBenchReport:
        """Raises `KeyError`, `TypeError` or `ValueError` for what `as_json` did not write."""
        return cls(
            judge=str(found["judge"]),
            kind="critic" if found["kind"] == "critic" else "prm",
            subsets=tuple(_subset_of(each) for each in found["subsets"]),
            rule=str(found["rule"]),
            threshold=found["threshold"],
            interval=_interval(found["interval"]),
            settings=dict(found["settings"]),
        )

    def sections(self) -> list[Section]:
        """What there is something to say about, the headline first."""
        parts = [_headline(self), _recall(self), _places(self), _hidden(self), _upper(self), _silent(self), _made(self)]
        return [part for part in parts if part.rows]


def side_by_side(reports: Sequence[ProcessBenchReport]) -> Section:
    """F1 of several, a row each, the best average first; a subset that one of them lacks stays empty there."""
    names = list(dict.fromkeys(each.name for report in reports for each in report.subsets))
    rows = []
    for report in sorted(reports, key=lambda each: -(each.average or 0.0)):
        scores = {each.name: each.score.f1 for each in report.subsets}
        average = report.average if set(scores) == set(names) else None
        rows.append((report.judge, report.kind, report.rule or "-", *map(_percent, map(scores.get, names)), _percent(average)))
    note = "F1 in percent. An average is given where every subset is there."
    return Section("ProcessBench", tuple(rows), ("judge", "kind", "threshold", *names, "average"), note)


def _subset_json(result: SubsetResult) -> dict[str, Any]:
    found = result.score
    derived = {"f1": found.f1, "f1_of_judged": found.f1_of_judged, "whole": result.whole}
    positions = {str(at): asdict(hits) for at, hits in found.positions.items()}
    return {**asdict(result), "score": {**asdict(found), "positions": positions}, **derived}


def _subset_of(found: Mapping[str, Any]) -> SubsetResult:
    counted = found["score"]
    score = Score(
        **{name: Hits(**counted[name]) for name in ("errors", "correct", "hidden")},
        silent_errors=int(counted["silent_errors"]),
        silent_correct=int(counted["silent_correct"]),
        places=dict(counted["places"]),
        positions={int(at): Hits(**hits) for at, hits in counted["positions"].items()},
    )
    best = found["best"]
    return SubsetResult(
        name=str(found["name"]),
        score=score,
        interval=_interval(found["interval"]),
        reasons=dict(found["reasons"]),
        best=None if best is None else Threshold(**best),
        digest=str(found["digest"]),
    )


def _interval(found: Sequence[float] | None) -> Interval:
    return None if found is None else (float(found[0]), float(found[1]))


def _headline(report: ProcessBenchReport) -> Section:
    head = ("", "cases", "error", "correct", "F1", "95 %", "no answer", "F1 of the rest")
    rows = [_subset_row(each) for each in report.subsets]
    judged = macro(each.score.f1_of_judged for each in report.subsets)
    silent = sum(each.score.silent for each in report.subsets)
    cases = sum(each.score.cases for each in report.subsets)
    average = (_percent(report.average), _range(report.interval), f"{silent:,}", _percent(judged))
    rows.append(("average", f"{cases:,}", "", "", *average))
    return Section(f"ProcessBench: {report.judge}", tuple(rows), head, " ".join((_HEADLINE, *_remarks(report))))


def _remarks(report: ProcessBenchReport) -> Iterator[str]:
    if report.probability is not None:
        chosen = f"the one with the best F1 on {SUBSET}, used on all subsets" if report.rule == SUBSET else "set beforehand"
        yield f"A step is wrong below p(+) = {report.probability:.4g} (margin {report.threshold:.4g}), {chosen}."
    cases, silent = (sum(getattr(each.score, name) for each in report.subsets) for name in ("cases", "silent"))
    if silent > _MUCH * cases:
        yield f"{silent:,} of {cases:,} cases have no answer, so F1 says little of how well the others are judged."
    if cut := [each.name for each in report.subsets if not each.whole]:
        yield f"Not of the published size, so not comparable with published numbers: {', '.join(cut)}."
    if missing := [name for name in SIZES if name not in {each.name for each in report.subsets}]:
        yield f"The published average is that of four subsets; missing here: {', '.join(missing)}."


def _subset_row(each: SubsetResult) -> Row:
    found = each.score
    accuracies = (_share(found.errors), _share(found.correct))
    judged = _percent(found.f1_of_judged)
    return (each.name, f"{found.cases:,}", *accuracies, _percent(found.f1), _range(each.interval), f"{found.silent:,}", judged)


def _recall(report: ProcessBenchReport) -> Section:
    positions = sorted({min(at, _LATE) for each in report.subsets for at in each.score.positions})
    rows = tuple((_step(at), *(_of(_at(each.score, at)) for each in report.subsets)) for at in positions)
    head = ("", *(each.name for each in report.subsets))
    return Section("Found, by the place of the first error", rows, head, "Steps are counted from 0.")


def _at(found: Score, position: int) -> Hits:
    """Of the cases whose first error is there; the last position stands for all later ones, too."""
    there = [hits for at, hits in found.positions.items() if min(at, _LATE) == position]
    return Hits(sum(hits.found for hits in there), sum(hits.cases for hits in there))


def _step(position: int) -> str:
    return f"step {position}" + (" and later" if position == _LATE else "")


def _places(report: ProcessBenchReport) -> Section:
    rows = []
    for each in report.subsets:
        found, errors = each.score.places, each.score.errors.cases
        placed = (f"{found.get(place, 0):,}" for place in ("exact", "early", "late", "missed", "none"))
        rows.append((each.name, f"{errors:,}", *placed))
    head = ("", "errors", "exact", "too early", "too late", "called right", "no answer")
    return Section("Where the error was seen", tuple(rows), head)


def _hidden(report: ProcessBenchReport) -> Section:
    there = [each for each in report.subsets if each.score.hidden.cases]
    rows = [(each.name, _of(each.score.hidden)) for each in there]
    if there:
        rows.append(("average", _percent(macro(100 * (each.score.hidden.share or 0.0) for each in there))))
    return Section("Right answer, wrong step", tuple(rows), ("", "found"), _HIDDEN)


def _upper(report: ProcessBenchReport) -> Section:
    there = [each for each in report.subsets if each.best is not None]
    rows = [(each.name, f"{sigmoid(each.best.value):.4g}", _percent(each.best.f1)) for each in there if each.best is not None]
    if there:
        rows.append(("average", "", _percent(macro(each.best.f1 if each.best else None for each in there))))
    return Section("Upper bound", tuple(rows), ("", "p(+)", "F1"), _UPPER)


def _silent(report: ProcessBenchReport) -> Section:
    rows = tuple((each.name, f"{count:,}", reason) for each in report.subsets for reason, count in each.reasons.items())
    return Section("No answer", rows, ("", "cases", "why"), "Of reasons that differ in numbers alone, the first.")


def _made(report: ProcessBenchReport) -> Section:
    return Section("Settings", tuple(report.settings.items()))


def _of(hits: Hits) -> str:
    return "-" if hits.share is None else f"{hits.found:,} of {hits.cases:,} ({100 * hits.share:.1f}%)"


def _share(hits: Hits) -> str:
    return _percent(None if hits.share is None else 100 * hits.share)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _range(interval: Interval) -> str:
    return "-" if interval is None else f"{interval[0]:.1f}-{interval[1]:.1f}"
