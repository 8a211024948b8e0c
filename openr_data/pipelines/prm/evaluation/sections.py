"""What an evaluation says, as plain tables. Counts nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from openr_data.aggregate import sigmoid
from openr_data.data_cards.report import Row, Section, counts
from openr_data.pipelines.prm.evaluation.best_of_n import MAJORITY, PASS, BestOfNReport
from openr_data.pipelines.prm.evaluation.quality import ONE_ROLLOUT, Quality, Rival
from openr_data.pipelines.prm.evaluation.steps import StepsReport
from openr_data.prm.calibration import Bin
from openr_data.prm.intervals import Interval
from openr_data.prm.metrics import Ranking
from openr_data.prm.processbench import Hits

_RANGES = "Ranges: 95 %, bootstrap over questions."
_PROBABILITY = (
    "NLL in nats; the base rate is what a model has that says the share of good steps of every step. Expected calibration error: "
    "the mean distance of score and share over bins."
)
_RIVALS = (
    "Solutions with an error for which the other has an answer; exact: the first error is named exactly. Raw MC calls the first "
    "prefix wrong whose share of right rollouts is not above the threshold; like the labels, it knows the verdict on the "
    "answer, which the model does not see. Labels of a run are made of these very counts. Ranges: 95 %, paired bootstrap over "
    "questions."
)
_ONE = f"Areas under the ROC curve on the steps that {ONE_ROLLOUT} has a score for."
_MANY = 12


def step_sections(found: StepsReport, title: str) -> list[Section]:
    """`title` names the part, and stands before the name of each table."""
    quality = found.quality
    parts = [
        _data(found, title),
        _ranking(quality),
        _likelihood(quality),
        _first_errors(quality),
        _by_place(quality),
        *_rivals(quality),
    ]
    named = [parts[0], *(replace(part, title=f"{title}: {part.title}") for part in parts[1:])]
    return [part for part in named if part.rows]


def reliability_table(bins: Sequence[Bin], title: str) -> Section:
    rows = tuple(
        (f"{each.low:.3f} to {each.high:.3f}", f"{each.count:,}", f"{each.score:.3f}", f"{each.good:.3f}") for each in bins
    )
    return Section(f"{title}: reliability", rows, ("score p(+)", "steps", "mean score", "share of good steps"))


def best_of_n_sections(found: BestOfNReport) -> list[Section]:
    sizes = [str(n) for n in found.sizes]
    accuracy = tuple((name, *(_percent(point.accuracy.value) for point in points)) for name, points in found.curves.items())
    last = (len(found.sizes) - 1) // 2  # the middle and the largest n
    shown = sorted({last, len(found.sizes) - 1} - {0})
    lifts = tuple(
        (name, *(_points(points[place].lift) for place in shown))
        for name, points in found.curves.items()
        if name not in {PASS, MAJORITY}
    )
    head = ("", *(f"n = {found.sizes[place]}" for place in shown))
    note = (
        "Percent of questions, averaged exactly over all subsets of n candidates (weighted votes: over "
        f"{found.subsets} random ones). {PASS}: one of them is right; a name alone: the best by that aggregation of step scores; "
        "vote: the answer with the largest sum of them."
    )
    lift_note = f"Points of accuracy above the {MAJORITY} of the same candidates. Ranges: 95 %, paired bootstrap over questions."
    return [
        _candidates(found),
        Section("Accuracy of best of n", accuracy, ("", *sizes), note),
        *([Section("Lift over the majority", lifts, head, lift_note)] if shown else []),
    ]


def headline(found: Mapping[str, Sequence[tuple[str, str]]]) -> Section:
    """Several models side by side: by model, the names of numbers and the numbers."""
    names = list(dict.fromkeys(name for numbers in found.values() for name, _ in numbers))
    rows = tuple((model, *(dict(numbers).get(name, "-") for name in names)) for model, numbers in found.items())
    return Section("Side by side", rows, ("model", *names))


def step_numbers(found: StepsReport, title: str) -> Iterator[tuple[str, str]]:
    """The few that are compared between models."""
    quality = found.quality
    yield f"{title}: AUROC", _number(quality.auroc.value if quality.auroc else None)
    yield f"{title}: AP wrong", _number(quality.steps.pooled.ap_bad if quality.steps.pooled else None)
    yield f"{title}: ECE", _number(quality.calibration.ece_width)
    yield f"{title}: exact", _percent(quality.exact.value if quality.exact else None)


def best_of_n_numbers(found: BestOfNReport) -> Iterator[tuple[str, str]]:
    for name in (MAJORITY, "min", "last", "product"):
        yield f"best of {found.sizes[-1]}: {name}", _percent(found.curves[name][-1].accuracy.value)


def _data(found: StepsReport, title: str) -> Section:
    quality = found.quality
    rows = [
        ("data", found.source),
        ("truth", found.labels),
        ("looked at", found.told),
        ("questions", f"{quality.questions:,}{_others(found.elsewhere)}"),
        ("solutions", f"{quality.solutions:,}"),
        ("steps that count", f"{quality.steps.steps:,}, {100 * quality.steps.base_rate:.1f}% of them good"),
        *([("without a usable label", counts(found.left_out))] if found.left_out else []),
        *([("not scored", counts(quality.unscored))] if quality.unscored else []),
    ]
    return Section(title, tuple(rows))


def _ranking(quality: Quality) -> Section:
    steps = quality.steps
    pooled, each = _ranks(steps.pooled), _ranks(steps.by_problem)
    chance = ("0.500", _number(steps.base_rate), _number(1 - steps.base_rate))
    names = ("AUROC", "average precision of good steps", "average precision of wrong steps")
    ranges = (_range(quality.auroc), "", "")
    rows = tuple(zip(names, pooled, ranges, each, chance, strict=True))
    note = f"The mean is over the {steps.mixed:,} of {steps.problems:,} questions with good and wrong steps. {_RANGES}"
    return Section("good and wrong steps apart", rows, ("", "all steps", "95 %", "mean over questions", "chance"), note)


def _ranks(found: Ranking | None) -> tuple[str, str, str]:
    return ("-", "-", "-") if found is None else (_number(found.auroc), _number(found.ap_good), _number(found.ap_bad))


def _likelihood(quality: Quality) -> Section:
    steps, bins, soft = quality.steps, quality.calibration, quality.soft
    rows: list[Row] = [
        ("NLL", _number(steps.nll), _number(steps.prior_nll)),
        ("Brier score", _number(steps.brier), _number(steps.prior_brier)),
        (f"ECE, {len(bins.width)} bins of equal width", _number(bins.ece_width), ""),
        (f"ECE, {len(bins.mass)} bins of equal mass", _number(bins.ece_mass), ""),
    ]
    if soft:
        rows += [
            ("cross-entropy with soft labels", _number(soft.cross_entropy), f"floor {soft.floor:.3f}"),
            ("Brier score of soft labels", _number(soft.brier), ""),
            ("Spearman with soft labels", _number(soft.spearman), f"{soft.steps:,} steps"),
        ]
    return Section("likelihood and calibration", tuple(rows), ("", "model", "base rate"), _PROBABILITY)


def _first_errors(quality: Quality) -> Section:
    found, spotted = quality.found, quality.detection
    places = found.places
    if not found.cases:
        return Section("first errors", ())
    rows = [
        ("a step is wrong below", f"p(+) = {sigmoid(quality.threshold):.4g} ({quality.rule})"),
        ("first error named exactly", f"{_hits(found.errors)}{_around(quality.exact)}"),
        ("named too early", _of(places.get("early", 0), found.errors.cases)),
        ("named too late", _of(places.get("late", 0), found.errors.cases)),
        ("called right, though wrong", _of(places.get("missed", 0), found.errors.cases)),
        ("called right of those without an error", _hits(found.correct)),
        ("F1 of the two, as ProcessBench", "-" if found.f1 is None else f"{found.f1:.1f}"),
        ("precision of wrong steps", _number(spotted.precision)),
        ("recall of wrong steps", _number(spotted.recall)),
    ]
    return Section("first errors", tuple(rows))


def _by_place(quality: Quality) -> Section:
    found = quality.found.positions
    shown = {f"step {at + 1}": hits for at, hits in found.items() if at < _MANY}
    if later := [hits for at, hits in found.items() if at >= _MANY]:
        shown["later"] = Hits(sum(each.found for each in later), sum(each.cases for each in later))
    rows = tuple((name, f"{hits.cases:,}", _percent(hits.share)) for name, hits in shown.items())
    return Section("found, by the step of the first error", rows, ("", "solutions", "named exactly (%)"))


def _rivals(quality: Quality) -> Iterator[Section]:
    head = ("", "solutions", "exact (%)", "the model's", "the model is ahead by")
    rows = tuple(
        (each.name, f"{each.errors:,}", _percent(each.rival.value), _percent(each.model.value), _points(each.ahead))
        for each in quality.rivals
    )
    yield Section("against other ways to name the first error", rows, head, _RIVALS)
    areas = tuple(row for each in quality.rivals for row in _areas(each))
    yield Section("against other scores of steps", areas, ("", "steps", "AUROC", "the model's", "the model is ahead by"), _ONE)


def _areas(each: Rival) -> Iterator[Row]:
    if each.rival_auroc and each.model_auroc and each.ahead_auroc:
        values = (_number(each.rival_auroc.value), _number(each.model_auroc.value))
        yield (each.name, f"{each.steps:,}", *values, f"{each.ahead_auroc.value:+.3f}{_around(each.ahead_auroc, '.3f', 1)}")


def _candidates(found: BestOfNReport) -> Section:
    drift = _of(found.last_step, found.several)
    rows = [
        ("data", found.source),
        ("looked at", found.told),
        ("questions", f"{found.questions:,}{_others(found.elsewhere)}"),
        ("candidates", f"{found.candidates:,}"),
        *([("questions without a candidate, left out", f"{found.without:,}")] if found.without else []),
        *([(f"questions with fewer than {found.sizes[-1]}", f"{found.smaller:,}, all of theirs taken")] if found.smaller else []),
        *([("solutions that are no candidates", counts(found.excluded))] if found.excluded else []),
        ("candidates whose lowest score is at the last step", drift),
    ]
    return Section("Best of n", tuple(rows), note="A solution without an answer, a verdict or a score is in no number.")


def _others(count: int) -> str:
    return f", and {count:,} others" if count else ""


def _hits(hits: Hits) -> str:
    return _of(hits.found, hits.cases)


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({100 * part / whole:.1f}%)" if whole else "-"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _points(found: Interval) -> str:
    return f"{100 * found.value:+.1f}{_around(found, '+.1f')}"


def _around(found: Interval | None, shape: str = ".1f", scale: float = 100) -> str:
    if found is None or found.low is None or found.high is None:
        return ""
    return f" [{scale * found.low:{shape}}, {scale * found.high:{shape}}]"


def _range(found: Interval | None) -> str:
    return "-" if found is None or found.low is None or found.high is None else f"{found.low:.3f} to {found.high:.3f}"
