"""Where a process reward model is weak, in sentences that are made from numbers. Says nothing that was not measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from openr_data.data_cards.markup import number
from openr_data.data_cards.model_card_data import ROLLOUTS
from openr_data.data_cards.model_card_evidence import BestOfN, Evidence, Hits, StepEvidence, SubsetEvidence

FEW = 20
"""A share of fewer cases is told as nothing."""
_GAP = 0.05
_SKEW = 0.1
_LATE = 10
_SCARCE = 0.25


def weaknesses(found: Evidence) -> list[str]:
    """The headline ones first."""
    told = (
        *(["That its evaluation is of these very weights could not be checked."] * found.unproven),
        *_subsets(found.subsets),
        *_kinds(found.subsets),
        *_positions(found.subsets),
        *_hidden(found.subsets),
        *_unseparated(found),
        *(sentence for each in found.steps for sentence in _steps(each)),
        *_choosing(found.best_of_n),
        *_unscored(found),
        *_learned(found),
    )
    return list(told)


def _subsets(subsets: Sequence[SubsetEvidence]) -> Iterator[str]:
    known = [each for each in subsets if each.f1 is not None]
    if not known:
        return
    lowest = min(known, key=lambda each: each.f1 or 0.0)
    range_ = "" if lowest.low is None or lowest.high is None else f" (95 %: {lowest.low:.1f} to {lowest.high:.1f})"
    best = max(known, key=lambda each: each.f1 or 0.0)
    than = f", where {best.name} has {best.f1:.1f}" if best is not lowest else ""
    yield f"Its lowest subset of ProcessBench is {lowest.name}: F1 {lowest.f1:.1f}{range_}{than}."
    gains = [(each.best_f1 - each.f1, each) for each in known if each.best_f1 is not None and each.f1 is not None]
    gain, widest = max(gains, key=lambda pair: pair[0], default=(0.0, lowest))
    if gain >= 100 * _GAP:
        yield (
            f"One threshold does not suit all problems: on {widest.name} another one would give F1 {widest.best_f1:.1f} instead "
            f"of {widest.f1:.1f}. Choose a threshold on problems like yours."
        )


def _kinds(subsets: Sequence[SubsetEvidence]) -> Iterator[str]:
    """Does it let errors pass, or see them where there are none?"""
    errors, correct = (sum((getattr(each, name) for each in subsets), Hits()) for name in ("errors", "correct"))
    if min(errors.cases, correct.cases) < FEW:
        return
    missed = Hits(sum(each.places.get("missed", 0) for each in subsets), errors.cases)
    alarms = Hits(correct.cases - correct.found - _silent_correct(subsets), correct.cases)
    early, late = (Hits(sum(each.places.get(place, 0) for each in subsets), errors.cases) for place in ("early", "late"))
    if missed.share >= max(_SKEW, alarms.share):
        yield f"It lets errors pass: of solutions with a wrong step, {missed.told} are called right."
    if alarms.share >= max(_SKEW, missed.share):
        yield f"It sees errors where there are none: of solutions without a wrong step, {alarms.told} are called wrong."
    if max(early.share, late.share) >= _SKEW:
        side, hits = ("before", early) if early.share >= late.share else ("after", late)
        yield f"Where it names a wrong first error, it is mostly {side} the true one: {hits.told} of the solutions with an error."


def _silent_correct(subsets: Sequence[SubsetEvidence]) -> int:
    """Of the cases without an error: those without a score, which are not called wrong."""
    return sum(each.silent - each.places.get("none", 0) for each in subsets)


def _positions(subsets: Sequence[SubsetEvidence]) -> Iterator[str]:
    places: dict[int, Hits] = {}
    for each in subsets:
        for at, hits in each.positions.items():
            places[min(at, _LATE)] = places.get(min(at, _LATE), Hits()) + hits
    known = {at: hits for at, hits in places.items() if hits.cases >= FEW}
    if len(known) < 2:
        return
    worst = min(known, key=lambda at: known[at].share)
    whole = sum(known.values(), Hits())
    if known[worst].share < whole.share:
        where = f"step {worst + 1}{' or later' if worst == _LATE else ''} (the first is 1)"
        yield f"First errors at {where} are found least often: {known[worst].told}, of all {whole.told}."


def _hidden(subsets: Sequence[SubsetEvidence]) -> Iterator[str]:
    hidden = sum((each.hidden for each in subsets), Hits())
    errors = sum((each.errors for each in subsets), Hits())
    if hidden.cases >= FEW:
        yield (
            f"Where the answer is right and a step is wrong, it finds that step in {hidden.told}; over all solutions with a "
            f"wrong step it is {errors.told}."
        )


def _unseparated(found: Evidence) -> Iterator[str]:
    parts: list[StepEvidence | BestOfN] = [*found.steps, *([found.best_of_n] if found.best_of_n else [])]
    sources = dict.fromkeys(each.source for each in parts if each.everything)
    if sources:
        yield f"The numbers on {', '.join(sources)} are of all questions, also of those that it may have been trained on."


def _steps(found: StepEvidence) -> Iterator[str]:
    if found.auroc is not None and found.low is not None and found.low <= 0.5:
        yield (
            f"On {found.source} it does not tell good steps from wrong ones: AUROC {found.auroc:.3f}, with an interval that "
            "reaches 0.5."
        )
    if found.ece is not None and found.ece >= _GAP and found.score is not None:
        gap = found.score - found.good / found.steps
        far = f"too {'high' if gap > 0 else 'low'} by {100 * abs(gap):.1f} points on average"
        yield (
            f"Its probabilities cannot be taken at their word on {found.source}: they are "
            f"{far if abs(gap) >= _GAP / 5 else 'off in both directions'} (expected calibration error {found.ece:.3f})."
        )
    bad = 1 - found.good / found.steps if found.steps else 0.0
    if found.ap_wrong is not None and found.ap_wrong < 0.5:
        yield (
            f"Of the steps that it ranks as the most doubtful on {found.source}, fewer than half are wrong: average precision "
            f"{found.ap_wrong:.3f}, by chance {bad:.3f}."
        )
    for rival in found.rivals:
        if rival.low is None or rival.low <= 0:
            yield (
                f"On {found.source} it is not shown to name first errors better than {rival.name} does: it is "
                f"{100 * rival.ahead:+.1f} points ahead{_range(rival.low, rival.high)}."
            )


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" (95 %: {100 * low:+.1f} to {100 * high:+.1f})"


def _choosing(found: BestOfN | None) -> Iterator[str]:
    if found is None or not found.ways:
        return
    best = max(found.ways, key=lambda each: each.lift)
    if best.low is None or best.low <= 0:
        yield (
            f"Choosing among {best.n} candidates by its scores is not shown to beat a majority vote: the best way, {best.name}, "
            f"is {100 * best.lift:+.1f} points ahead{_range(best.low, best.high)}."
        )
    worst = min(found.ways, key=lambda each: each.lift)
    if worst.high is not None and worst.high < 0:
        yield (
            f"The way to choose matters: {worst.name} among {worst.n} is {100 * worst.lift:+.1f} points against the majority"
            f"{_range(worst.low, worst.high)}."
        )
    last = Hits(found.last_step, found.several)
    if last.cases >= FEW and last.share > 0.4:
        yield (f"It judges answers more than steps: the lowest score stands at the last step in {last.told} of the candidates.")


def _unscored(found: Evidence) -> Iterator[str]:
    silent = sum(each.silent for each in found.subsets)
    cases = sum(each.errors.cases + each.correct.cases for each in found.subsets)
    if silent:
        yield f"{Hits(silent, cases).told} solutions of ProcessBench have no score, and count as not found."
    for each in found.steps:
        if each.unscored:
            yield f"{number(each.unscored)} solutions of {each.source} have no score, and are in none of its numbers."
    data = found.data
    if data is not None and data.context:
        dropped = f" {number(data.too_long)} longer ones were left out of training." if data.too_long else ""
        yield (
            f"A question with its solution has at most {number(data.context)} tokens; a longer one gets no score at all, never a "
            f"part of one.{dropped}"
        )
        if data.longest and data.longest < data.context / 2:
            yield f"It has seen no row longer than {number(data.longest)} tokens in training."


def _learned(found: Evidence) -> Iterator[str]:
    data = found.data
    if data is None:
        return
    drawn = [method for method in data.methods if method in ROLLOUTS]
    if drawn:
        yield (
            f"Its labels ({', '.join(drawn)}) are read off where rollouts end: they cannot see a wrong step from which the right "
            "answer is reached all the same, and a good step from which the rollouts fail counts as wrong. So it leans towards "
            "predicting answers."
        )
    scarce, name = min((data.bad, "wrong"), (data.good, "good"))
    steps = data.good + data.bad
    if steps and scarce / steps < _SCARCE:
        yield (
            f"Only {Hits(scarce, steps).told} of the labelled training steps are {name}: its scores lean towards the other kind."
        )
    if found.masked:
        yield "Steps after the first wrong one carried no loss in training, so its scores there mean nothing."
    if not data.compared:
        yield "The training data were not compared with any evaluation set, so numbers on one may be too good."
    if found.chosen_auroc is not None and not (found.subsets or found.steps):
        yield (
            f"The AUROC of {found.chosen_auroc:.3f} in training is of the rows that chose the checkpoint, and so too good; it is "
            "measured against the same kind of labels, not against the truth."
        )
