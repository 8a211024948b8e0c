"""ProcessBench as its authors score it (arXiv 2412.06559, section 4.1; QwenLM/ProcessBench). Knows numbers, no model and no file.

A case is a solution with the index of its first wrong step, `NO_ERROR` without one. Who is judged names such an index, too: a
process reward model that of the first step that scores below a threshold, a critic the one that it writes. The accuracy on cases
with an error is the share whose first wrong step is named exactly, that on the others the share that is called right, and F1 is
the harmonic mean of the two. The subsets count alike in the average, however many cases they have.

A case without a prediction (a solution that does not fit the model, an answer that cannot be read) is one that was not found, on
both sides: the authors' scripts compare `None` with the label. It is counted apart, and F1 is also given without such cases.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Literal

from openr_data.types import NO_ERROR

SIZES: Mapping[str, tuple[int, int]] = {
    "gsm8k": (207, 193),
    "math": (594, 406),
    "olympiadbench": (661, 339),
    "omnimath": (759, 241),
}
"""Cases with and without an error in each published subset, in the authors' order (paper, Table 2)."""

Place = Literal["exact", "early", "late", "missed", "none"]


@dataclass(frozen=True, slots=True)
class Judged:
    """One case: where its first error is (`label`) and where it was said to be (`predicted`; `None`: there is no answer that says
    so), and whether its final answer is right.
    """

    label: int
    predicted: int | None
    answer_right: bool = False

    @property
    def match(self) -> bool:
        return self.predicted == self.label

    @property
    def place(self) -> Place:
        """Of a case with an error: where the prediction lies. `missed`: it was called right; `none`: there is no prediction."""
        if self.predicted is None:
            return "none"
        if self.predicted == NO_ERROR:
            return "missed"
        return "exact" if self.match else "early" if self.predicted < self.label else "late"


@dataclass(frozen=True, slots=True)
class Hits:
    """`found` of `cases`."""

    found: int
    cases: int

    @property
    def share(self) -> float | None:
        """`None` without cases."""
        return self.found / self.cases if self.cases else None


@dataclass(frozen=True, slots=True)
class Score:
    """One subset. `errors` and `correct` are the cases with and without an error, `silent_errors` and `silent_correct` those of
    them without a prediction. `places` are all cases with an error, by `Place`; `positions` the recall by the index of the first
    error; `hidden` the cases whose answer is right though a step is wrong.
    """

    errors: Hits
    correct: Hits
    silent_errors: int
    silent_correct: int
    places: Mapping[str, int]
    positions: Mapping[int, Hits]
    hidden: Hits

    @property
    def cases(self) -> int:
        return self.errors.cases + self.correct.cases

    @property
    def silent(self) -> int:
        return self.silent_errors + self.silent_correct

    @property
    def f1(self) -> float | None:
        """In percent; `None` where one of the two kinds has no case."""
        return f1(self.errors.share, self.correct.share)

    @property
    def f1_of_judged(self) -> float | None:
        """F1 over the cases that have a prediction. Not the headline: what a model cannot read is easier to leave out."""
        errors = Hits(self.errors.found, self.errors.cases - self.silent_errors)
        return f1(errors.share, Hits(self.correct.found, self.correct.cases - self.silent_correct).share)


def first_below(scores: Sequence[float], threshold: float) -> int:
    """The index of the first score below the threshold, `NO_ERROR` without one.

    >>> first_below([0.9, 0.5, 0.1], 0.5), first_below([0.9], 0.5)
    (2, -1)
    """
    return next((index for index, score in enumerate(scores) if score < threshold), NO_ERROR)


def f1(acc_error: float | None, acc_correct: float | None) -> float | None:
    """The harmonic mean in percent, 0 where both are 0 (not nan, which would also be the average's).

    >>> round(f1(0.324, 0.917), 1), f1(0.0, 0.0), f1(None, 1.0)
    (47.9, 0.0, None)
    """
    if acc_error is None or acc_correct is None:
        return None
    total = acc_error + acc_correct
    return 200 * acc_error * acc_correct / total if total else 0.0


def macro(values: Iterable[float | None]) -> float | None:
    """The plain mean over the subsets; `None` where one of them has none.

    >>> round(macro([59.0, 48.0, 19.3, 19.2]), 1)
    36.4
    """
    known = list(values)
    there = [value for value in known if value is not None]
    return fsum(there) / len(there) if there and len(there) == len(known) else None


def score(cases: Sequence[Judged]) -> Score:
    """Counts one subset."""
    errors = [case for case in cases if case.label != NO_ERROR]
    correct = [case for case in cases if case.label == NO_ERROR]
    return Score(
        errors=_hits(errors),
        correct=_hits(correct),
        silent_errors=_silent(errors),
        silent_correct=_silent(correct),
        places=dict(sorted(Counter(case.place for case in errors).items())),
        positions={at: _hits([case for case in errors if case.label == at]) for at in sorted({case.label for case in errors})},
        hidden=_hits([case for case in errors if case.answer_right]),
    )


def _hits(cases: Sequence[Judged]) -> Hits:
    return Hits(sum(case.match for case in cases), len(cases))


def _silent(cases: Sequence[Judged]) -> int:
    return sum(case.predicted is None for case in cases)
