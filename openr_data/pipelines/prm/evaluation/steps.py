"""Step scores against the labels of a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from openr_data.errors import InputError
from openr_data.labelers.readings import HALF, first_error
from openr_data.pipelines.prm.config import SourceSpec, parse_source
from openr_data.pipelines.prm.evaluation.config import EVERYTHING, VALIDATION, EvaluationConfig
from openr_data.pipelines.prm.evaluation.quality import Quality, quality
from openr_data.pipelines.prm.evaluation.scored import Known, Scored, Truth, score_known
from openr_data.pipelines.prm.sources import Labelled, open_source
from openr_data.pipelines.progress import Report
from openr_data.prm.config import LabelReading
from openr_data.prm.processbench_threshold import best_threshold
from openr_data.prm.score.base import Scorer
from openr_data.prm.targets import NoTargets, probabilities, targets
from openr_data.problems import Reject
from openr_data.problems.digests import normal_question
from openr_data.types import NO_ERROR, LabeledSolution

_RAW: Mapping[str, float] = {"raw MC > 0": 0.0, "raw MC > 0.5": HALF}


@dataclass(frozen=True, slots=True)
class Data:
    """`known` are the solutions of the wanted questions and `validation` those of the validation split; `left_out` counts
    solutions of wanted questions without a label that can be used, by reason; `elsewhere` are
    questions that are not looked at: of other splits, or beyond the limit.
    """

    source: str
    labels: str
    known: tuple[Known, ...]
    validation: tuple[Known, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    elsewhere: int = 0


@dataclass(frozen=True, slots=True)
class StepsReport:
    """`labels` says what the scores are compared with, `told` which questions were looked at; `elsewhere` counts the others."""

    source: str
    labels: str
    told: str
    left_out: Mapping[str, int]
    elsewhere: int
    quality: Quality


def read_steps(config: EvaluationConfig) -> Data:
    """The labelled solutions of `config.steps`. Raises `InputError` where none is left."""
    spec: SourceSpec = parse_source(config.steps)
    source = open_source(spec)
    reading = LabelReading(after_error=config.after_error)
    known: list[Known] = []
    validation: list[Known] = []
    left_out: Counter[str] = Counter()
    wanted, other = Wanted(config), set[str]()
    for found in source.read():
        if isinstance(found, Reject):
            left_out[found.reason] += 1
            continue
        question = normal_question(found.question)
        into = wanted.place(question, known, validation)
        if into is None:
            other.add(question)
            continue
        try:
            into.append(_known(found, question, reading))
        except NoTargets as fault:
            left_out[fault.reason] += 1
    return checked(Data(spec.shown, source.layout, tuple(known), tuple(validation), dict(left_out), len(other)), config)


class Wanted:
    """Which questions are looked at, up to the limit, and which choose the threshold."""

    def __init__(self, config: EvaluationConfig) -> None:
        self._config, self._seen = config, set[str]()

    def takes(self, question: str) -> bool:
        """`question` is a normal one; the first ones are taken, up to the limit."""
        config = self._config
        if not config.takes(question) or (config.limit and len(self._seen) >= config.limit and question not in self._seen):
            return False
        self._seen.add(question)
        return True

    def place(self, question: str, known: list[Known], validation: list[Known]) -> list[Known] | None:
        """The list that solutions of the question go into."""
        if self.takes(question):
            return known
        config = self._config
        return validation if config.threshold == "tuned" and config.splits.of(question) == VALIDATION else None


def checked(data: Data, config: EvaluationConfig) -> Data:
    """Raises `InputError` in one sentence where there is nothing to judge, or nothing to choose the threshold on."""
    if not data.known:
        hint = ""
        if config.split != EVERYTHING:
            hint = f" among {config.told}; --split {EVERYTHING} takes every question, also those that were trained on"
        raise InputError(f"{data.source} has no labelled solution{hint}")
    if config.threshold == "tuned" and not _has_both(data.validation):
        raise InputError(
            f"the validation questions of {data.source} hold no solutions with and without an error, so they cannot choose a "
            "threshold; use --threshold fixed, or other --splits"
        )
    return data


def judged(
    scorer: Scorer, data: Data, config: EvaluationConfig, report: Report, stage: str
) -> tuple[StepsReport, tuple[Scored, ...]]:
    """Scored, and compared with what is known. Raises `InputError` where nothing could be scored."""
    threshold, rule = _threshold(scorer, data, config, report, stage)
    scoring = score_known(scorer, data.known, stage, report)
    if not scoring.scored:
        reason = next(iter(scoring.unscored), "")
        raise InputError(f"no solution of {data.source} could be scored: {reason}")
    found = quality(scoring, threshold, rule, draws=config.draws, seed=config.seed)
    return StepsReport(data.source, data.labels, config.told, data.left_out, data.elsewhere, found), scoring.scored


def _threshold(scorer: Scorer, data: Data, config: EvaluationConfig, report: Report, stage: str) -> tuple[float, str]:
    """A margin, and how it came about."""
    if config.threshold != "tuned":
        return config.margin, "set beforehand"
    chosen = score_known(scorer, data.validation, f"{stage}, {VALIDATION}", report).scored
    if not _has_both([one.known for one in chosen]):
        raise InputError(f"too few {VALIDATION} solutions of {data.source} could be scored to choose a threshold on them")
    cases = [(one.margins, one.known.first_error) for one in chosen if one.known.first_error is not None]
    return best_threshold(cases).value, f"the best F1 on {len(cases):,} solutions of {VALIDATION} questions"


def _has_both(known: Sequence[Known]) -> bool:
    kinds = {each.first_error == NO_ERROR for each in known if each.first_error is not None}
    return len(kinds) == 2


def _known(found: Labelled, question: str, reading: LabelReading) -> Known:
    one = found.solution
    read = targets(one, reading)
    good = tuple(None if target is None else target > HALF for target in read)
    return Known(
        problem=one.solution.problem_id,
        solution=one.solution.id,
        question=found.question,
        steps=one.solution.steps,
        good=good,
        first_error=_first_error(one, good),
        values=probabilities(one) if _measured(one) else (),
        rivals=raw_counts(one),
    )


def raw_counts(one: LabeledSolution) -> dict[str, int | None]:
    """The first errors that thresholds of the counts name, each prefix by itself; none without counts of proper prefixes."""
    if not any(one.labels[:-1]):
        return {}
    return {name: first_error(one.labels, threshold, "first_failure") for name, threshold in _RAW.items()}


def _measured(one: LabeledSolution) -> bool:
    """Is any value more than a label of 0 or 1 spelt as a number?"""
    return any(one.labels[:-1]) or any(each and each.estimator not in {"label", "rating", "verdict"} for each in one.estimates)


def _first_error(one: LabeledSolution, good: Truth) -> int | None:
    """As it is labelled, else by the labels of the steps where those before it are all known."""
    if one.first_error is not None:
        return one.first_error
    first = next((step for step, label in enumerate(good) if label is not True), len(good))
    if first == len(good):
        return NO_ERROR
    return first if good[first] is False else None
