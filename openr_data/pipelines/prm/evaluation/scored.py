"""Solutions with what is known of their steps, and what a process reward model says of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from openr_data.pipelines.progress import Report, Snapshot
from openr_data.prm.score.base import Scorer
from openr_data.prm.scores import StepScores
from openr_data.problems.digests import normal_question
from openr_data.types import Steps

_BATCH = 4096
"""Solutions handed to the scorer at once: enough to sort by length and to share prompts."""

Truth = tuple[bool | None, ...]
Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """One solution. `good[i]`: is step i good, as far as it counts (`None`: it does not); `values[i]`: a soft label in 0 .. 1.

    `first_error` is the true one, `NO_ERROR` or `None` where it is not decided. `rivals` are the first errors that others name
    (`None`: that rival has no answer), and `rival_values` their scores of the steps, by name.
    """

    problem: str
    solution: str
    question: str
    steps: Steps
    good: Truth
    first_error: int | None
    values: Values = ()
    rivals: Mapping[str, int | None] = field(default_factory=dict)
    rival_values: Mapping[str, Values] = field(default_factory=dict)

    @property
    def cluster(self) -> str:
        """The same of all solutions of a question, however it is spaced."""
        return normal_question(self.question)


@dataclass(frozen=True, slots=True)
class Scored:
    known: Known
    margins: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Scoring:
    """`unscored` counts, by reason, what could not be scored: it is in no number."""

    scored: tuple[Scored, ...]
    unscored: Mapping[str, int]


def score_known(scorer: Scorer, known: Sequence[Known], stage: str, report: Report) -> Scoring:
    """In the order of the solutions."""
    found = score_steps(scorer, [(each.question, each.steps) for each in known], stage, report)
    pairs = list(zip(known, found, strict=True))
    failed = Counter(scores.reason for _, scores in pairs if not scores.margins)
    return Scoring(tuple(Scored(each, scores.margins) for each, scores in pairs if scores.margins), dict(failed.most_common()))


def score_steps(scorer: Scorer, requests: Sequence[tuple[str, Steps]], stage: str, report: Report) -> list[StepScores]:
    meter = Meter(stage, len(requests), report)
    found = [each for batch in batches(requests, _BATCH) for each in scorer.score(batch, meter)]
    meter.end()
    return found


def batches(values: Iterable[tuple[str, Steps]], size: int) -> Iterator[list[tuple[str, Steps]]]:
    left = iter(values)
    while batch := list(islice(left, size)):
        yield batch


class Meter:
    """Counts what is done and tells it."""

    def __init__(self, stage: str, total: int, report: Callable[[Snapshot], None]) -> None:
        self._stage, self._total, self._report = stage, total, report
        self._done, self._began = 0, time.monotonic()
        self(0)

    def __call__(self, more: int) -> None:
        self._done += more
        self._tell(final=False)

    def end(self) -> None:
        self._done = self._total
        self._tell(final=True)

    def _tell(self, *, final: bool) -> None:
        seconds = time.monotonic() - self._began
        self._report(Snapshot(self._stage, self._done, self._total, 0, 0, 0, 0, 0, seconds, final=final))
