"""What an evaluation has found, as one value and as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from openr_data.errors import InputError, UsageError
from openr_data.pipelines.evaluating.measured import INDEPENDENT, MAJORITY, PASS, Measured, measure
from openr_data.pipelines.evaluating.optimum import Optimum, optima
from openr_data.pipelines.evaluating.points import Comparison, Point, comparisons, groups, points
from openr_data.prm.intervals import DRAWS, Interval, resampled
from openr_data.search.select import SELECTORS
from openr_data.store.read import RunReader

SUBSETS = 200


@dataclass(frozen=True, slots=True)
class ReportConfig:
    """How numbers are made of the records; none of it costs a token. `selectors` are those that are shown, the first one of
    guided searches first. `draws` are of the bootstrap and `subsets` of weighted votes.
    """

    selectors: tuple[str, ...] = ("prm_mean_vote",)
    draws: int = DRAWS
    subsets: int = SUBSETS
    seed: int = 0

    def checked(self) -> ReportConfig:
        """Raises `UsageError`."""
        for each in self.selectors:
            if each not in SELECTORS:
                raise UsageError(f"--selector is one of {', '.join(SELECTORS)}, not '{each}'")
        return self


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """`levels` are points of the shown selectors by kind (level, subject), name and way."""

    out: str
    engine: str
    prm: str
    questions: int
    points: tuple[Point, ...]
    comparisons: tuple[Comparison, ...]
    optima: tuple[Optimum, ...]
    levels: Mapping[str, Mapping[str, tuple[int, tuple[Point, ...]]]]
    reasons: Mapping[str, int]
    starved: Mapping[str, int]
    costs: Mapping[str, Mapping[str, int]]
    selectors: tuple[str, ...]

    def shown(self, found: Sequence[Point]) -> list[Point]:
        """Points of the selectors that are shown, with pass@n of independent samples."""
        return [point for point in found if self._is_shown(point)]

    def _is_shown(self, point: Point) -> bool:
        if point.way.strategy == INDEPENDENT:
            return point.way.selector in {PASS, MAJORITY, *self.selectors}
        return point.way.selector in self.selectors

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "run": self.out,
            "engine": self.engine,
            "prm": self.prm,
            "questions": self.questions,
            "selectors": list(self.selectors),
            "points": [_plain_point(each) for each in self.points],
            "at_equal_tokens": [
                {**each.way._asdict(), "against": INDEPENDENT, "tokens": each.tokens, "difference": asdict(each.difference)}
                for each in self.comparisons
            ],
            "compute_optimal": [
                {
                    "difficulty": each.difficulty,
                    "budget": each.budget,
                    **_plain_point(each.point),
                    "choices": list(map(asdict, each.choices)),
                }
                for each in self.optima
            ],
            **{
                f"by_{kind}": {
                    name: {"questions": count, "points": [_plain_point(each) for each in found]}
                    for name, (count, found) in masks.items()
                }
                for kind, masks in self.levels.items()
            },
            "not_counted": dict(self.reasons),
            "no_answer_within_the_cap": dict(self.starved),
            "costs": {name: dict(each) for name, each in self.costs.items()},
        }


def evaluation_report(run: RunReader, config: ReportConfig) -> EvaluationReport:
    """Raises `InputError` where the run holds no question."""
    measured = measure(run, subsets=config.subsets, seed=config.seed)
    if not measured.problems:
        raise InputError(f"{run.path} holds no question that was searched")
    selectors = _known(measured, config.selectors)
    weights = resampled(len(measured.problems), config.draws, config.seed)
    found = tuple(points(measured, weights))
    report = EvaluationReport(
        out=str(run.path),
        engine=str(run.record.identity["engine"]),
        prm=str(run.record.identity["config"].get("engines", {}).get("prm", "")),
        questions=len(measured.problems),
        points=found,
        comparisons=tuple(comparisons(measured, weights)),
        optima=tuple(optima(measured, selectors, weights, config.seed)),
        levels={},
        reasons=measured.reasons,
        starved=measured.starved,
        costs=measured.costs,
        selectors=selectors,
    )
    return _with_levels(report, measured, weights)


def _with_levels(report: EvaluationReport, measured: Measured, weights: Any) -> EvaluationReport:
    levels = {
        kind: {name: (int(mask.sum()), tuple(report.shown(points(measured, weights, only=mask)))) for name, mask in masks.items()}
        for kind, masks in groups(measured).items()
    }
    return replace(report, levels=levels)


def _known(measured: Measured, wanted: Sequence[str]) -> tuple[str, ...]:
    """Without scores all that can be shown is the majority."""
    scored = any(cost["prm_tokens"] for cost in measured.costs.values())
    return tuple(each for each in wanted if each in SELECTORS) if scored else (MAJORITY,)


def _plain_point(point: Point) -> dict[str, Any]:
    return {
        **point.way._asdict(),
        "accuracy": asdict(point.accuracy),
        "tokens": asdict(point.tokens),
        "above_majority": _plain(point.lift),
    }


def _plain(found: Interval | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)
