"""From scored solutions to the numbers of a report: steps, calibration, first errors, and who names them better."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from openr_data.pipelines.prm.evaluation.scored import Scored, Scoring, Values
from openr_data.prm.calibration import Calibration, calibration
from openr_data.prm.intervals import Interval, Statistic, auroc, difference, interval, resampled, share
from openr_data.prm.metrics import SoftMetrics, StepMetrics, error_points, probabilities, roc_points, soft_metrics, step_metrics
from openr_data.prm.processbench import Judged, Score, first_below, score
from openr_data.types import NO_ERROR

if TYPE_CHECKING:
    from openr_data.prm.metrics import Bools, Floats, Ints

ONE_ROLLOUT = "one MC rollout"
"""The baseline that calls the first prefix wrong whose only rollout misses the answer."""
Points = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Detection:
    """Steps with a margin below the threshold are called wrong. `called` and `bad` steps, `hits` of them both."""

    called: int
    bad: int
    hits: int

    @property
    def precision(self) -> float | None:
        return self.hits / self.called if self.called else None

    @property
    def recall(self) -> float | None:
        return self.hits / self.bad if self.bad else None


@dataclass(frozen=True, slots=True)
class Rival:
    """Another way to name first errors, on the `errors` solutions with an error for which it has an answer: the share that it and
    the model name exactly. The areas under the ROC curve are over the `steps` steps that it has a score for (`None`: not two
    classes). Differences are the model's minus the rival's, over the same resampled questions.
    """

    name: str
    errors: int
    model: Interval
    rival: Interval
    ahead: Interval
    steps: int = 0
    model_auroc: Interval | None = None
    rival_auroc: Interval | None = None
    ahead_auroc: Interval | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """`threshold` is a margin and `rule` how it came about. `found` judges first errors as ProcessBench does, `exact` is
    the share of solutions with an error whose first one is named exactly. `roc` are false and true positive rates of good
    steps, `detecting` recall and precision of bad ones, `None` where there is one class only.
    """

    questions: int
    solutions: int
    unscored: Mapping[str, int]
    steps: StepMetrics
    auroc: Interval | None
    calibration: Calibration
    soft: SoftMetrics | None
    threshold: float
    rule: str
    detection: Detection
    found: Score
    exact: Interval | None
    rivals: tuple[Rival, ...]
    roc: Points | None
    detecting: Points | None


def quality(scoring: Scoring, threshold: float, rule: str, *, draws: int, seed: int) -> Quality:
    """Raises `ValueError` where no step was scored whose label is known."""
    scored = scoring.scored
    margins, good, owners = _steps(scored, lambda one: one.known.good)
    metrics = step_metrics(margins, good, owners)
    weights = resampled(len(_questions(scored)), draws, seed)
    both = metrics.pooled is not None
    return Quality(
        questions=weights.shape[1],
        solutions=len(scored),
        unscored=scoring.unscored,
        steps=metrics,
        auroc=interval(auroc(margins, good, owners), weights) if both else None,
        calibration=calibration(probabilities(margins), good),
        soft=_soft(scored),
        threshold=threshold,
        rule=rule,
        detection=_detection(margins < threshold, ~good),
        found=score([_judged(one, threshold) for one in scored if one.known.first_error is not None]),
        exact=_exact(scored, threshold, weights),
        rivals=tuple(_rivals(scored, threshold, weights)),
        roc=roc_points(margins, good) if both else None,
        detecting=error_points(margins, good) if both else None,
    )


def _steps(scored: Sequence[Scored], labels: Callable[[Scored], Sequence[bool | None]]) -> tuple[Floats, Bools, Ints]:
    """Margin, label and question of every step that has a label."""
    number = _questions(scored)
    margins, good, owners = array("d"), array("b"), array("q")
    for one in scored:
        for margin, label in zip(one.margins, labels(one), strict=True):
            if label is not None:
                margins.append(margin)
                good.append(label)
                owners.append(number[one.known.cluster])
    return np.array(margins), np.array(good, dtype=np.bool_), np.array(owners, dtype=np.int64)


def _questions(scored: Iterable[Scored]) -> dict[str, int]:
    return {cluster: number for number, cluster in enumerate(dict.fromkeys(one.known.cluster for one in scored))}


def _soft(scored: Sequence[Scored]) -> SoftMetrics | None:
    pairs = [
        (margin, value)
        for one in scored
        if one.known.values
        for margin, label, value in zip(one.margins, one.known.good, one.known.values, strict=True)
        if label is not None and value is not None
    ]
    return soft_metrics(*np.array(pairs, dtype=np.float64).T) if pairs else None


def _detection(called: Bools, bad: Bools) -> Detection:
    return Detection(int(called.sum()), int(bad.sum()), int((called & bad).sum()))


def _judged(one: Scored, threshold: float) -> Judged:
    if one.known.first_error is None:
        raise ValueError("the first error is not known")
    return Judged(one.known.first_error, first_below(one.margins, threshold))


def _exact(scored: Sequence[Scored], threshold: float, weights: Floats) -> Interval | None:
    wrong = [one for one in scored if one.known.first_error not in {None, NO_ERROR}]
    if not wrong:
        return None
    return interval(_share(scored, wrong, [_judged(one, threshold).match for one in wrong]), weights)


def _share(scored: Sequence[Scored], of: Sequence[Scored], hits: Sequence[bool]) -> Statistic:
    """Of the solutions `of`, by question."""
    number = _questions(scored)
    parts, wholes = np.zeros(len(number)), np.zeros(len(number))
    for one, hit in zip(of, hits, strict=True):
        parts[number[one.known.cluster]] += hit
        wholes[number[one.known.cluster]] += 1
    return share(parts, wholes)


def _rivals(scored: Sequence[Scored], threshold: float, weights: Floats) -> Iterator[Rival]:
    wrong = [one for one in scored if one.known.first_error not in {None, NO_ERROR}]
    for name in dict.fromkeys(name for one in scored for name in one.known.rivals):
        there = [one for one in wrong if one.known.rivals.get(name) is not None]
        if there:
            model = _share(scored, there, [_judged(one, threshold).match for one in there])
            rival = _share(scored, there, [one.known.rivals[name] == one.known.first_error for one in there])
            yield Rival(
                name,
                len(there),
                model=interval(model, weights),
                rival=interval(rival, weights),
                ahead=interval(difference(model, rival), weights),
                **_areas(scored, name, weights),
            )


def _areas(scored: Sequence[Scored], name: str, weights: Floats) -> dict[str, Any]:
    """On the steps that both have scored."""

    def both(one: Scored) -> list[bool | None]:
        return [label if value is not None else None for label, value in zip(one.known.good, _values(one, name), strict=True)]

    margins, good, owners = _steps(scored, both)
    if good.all() or not good.any():
        return {}
    theirs = np.array(
        [value for one in scored for label, value in zip(both(one), _values(one, name), strict=True) if label is not None],
        dtype=np.float64,
    )
    model, rival = auroc(margins, good, owners), auroc(theirs, good, owners)
    areas = [interval(each, weights) for each in (model, rival, difference(model, rival))]
    return {"steps": len(good), **dict(zip(("model_auroc", "rival_auroc", "ahead_auroc"), areas, strict=True))}


def _values(one: Scored, name: str) -> Values:
    return one.known.rival_values.get(name) or (None,) * len(one.margins)
