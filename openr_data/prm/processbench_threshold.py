"""Which threshold suits a set of ProcessBench cases best, exactly, and how far F1 is by chance. Knows numbers only."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

from openr_data.prm.processbench import Score, f1
from openr_data.types import NO_ERROR

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVEL = 0.95
"""Coverage of an interval."""
DRAWS = 10_000
SUBSET = "gsm8k"
"""The subset on which the authors choose the threshold of a model that gives scores (paper, section 4.1)."""

Scored = tuple[Sequence[float], int]
"""The scores of a solution's steps (none: it could not be scored) and the index of its first wrong step."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Steps that score below `value` are called wrong; `f1` (percent) is what that gives where it was chosen."""

    value: float
    f1: float


def best_threshold(cases: Sequence[Scored]) -> Threshold:
    """The threshold with the highest F1 of all there are. Of several that are equally good, the lowest stretch counts: it calls
    the fewest steps wrong.

    The prediction for a case is right for one stretch of thresholds (`right_between`), so F1 changes only at the ends of
    stretches. One threshold between each two neighbouring ends is tried, in the middle: all others give one of these F1s.
    `ValueError`: nothing was scored, or there are no cases with, or none without an error.
    """
    errors = _Stretches([case for case in cases if case[1] != NO_ERROR])
    correct = _Stretches([case for case in cases if case[1] == NO_ERROR])
    if not errors.cases or not correct.cases:
        raise ValueError("a threshold needs cases with and without an error")
    tried = [
        Threshold(value, f1(errors.share(value), correct.share(value)) or 0.0)
        for value in _candidates(cases, sorted({*errors.ends, *correct.ends}))
    ]
    return max(tried, key=lambda each: (each.f1, -each.value))


def right_between(scores: Sequence[float], label: int) -> tuple[float, float]:
    """`low < t <= high` are the thresholds t for which the first score below t is that of the labelled step.

    >>> right_between([0.9, 0.2, 0.8], 1), right_between([0.9, 0.2], NO_ERROR), right_between([0.3], 0)
    ((0.2, 0.9), (-inf, 0.2), (0.3, inf))
    """
    if label == NO_ERROR:
        return -inf, min(scores)
    return scores[label], min(scores[:label], default=inf)


def _candidates(cases: Sequence[Scored], ends: Sequence[float]) -> list[float]:
    """Above the highest end every solution is called wrong, and F1 is 0: that is tried nowhere."""
    if ends:
        return [ends[0], *(_between(low, high) for low, high in pairwise(ends))]
    scores = [score for scores, _ in cases for score in scores]
    if not scores:
        raise ValueError("a threshold needs scores")
    return [min(scores)]


def _between(low: float, high: float) -> float:
    """In the middle, and the upper one where no number lies between."""
    middle = low + (high - low) / 2
    return middle if low < middle else high


class _Stretches:
    """The stretches of the cases of one kind. An empty one holds no threshold; neither does that of a case without scores."""

    def __init__(self, cases: Sequence[Scored]) -> None:
        stretches = [right_between(*case) for case in cases if case[0]]
        held = [(low, high) for low, high in stretches if low < high]
        self.cases = len(cases)
        self.ends = {end for stretch in held for end in stretch if abs(end) < inf}
        self._lows = sorted(low for low, _ in held)
        self._highs = sorted(high for _, high in held)

    def share(self, threshold: float) -> float:
        """Of the cases for which this threshold gives the right prediction."""
        return (bisect_left(self._lows, threshold) - bisect_left(self._highs, threshold)) / self.cases


def f1_interval(scores: Sequence[Score], draws: int = DRAWS, seed: int = 0) -> tuple[float, float] | None:
    """The central 95 % of the mean F1 of these subsets when their cases are drawn anew (percentile bootstrap, Efron 1979).

    Cases are drawn with replacement, those with and those without an error apart, as the benchmark was made; the number of hits
    among so drawn cases is binomial, and is drawn at once. The threshold stays as it is. `None` where F1 is not known.
    """
    import numpy as np

    if any(each.f1 is None for each in scores) or not scores:
        return None
    random = np.random.default_rng(seed)
    drawn = np.mean([_drawn(each, draws, random) for each in scores], axis=0)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _drawn(found: Score, draws: int, random: np.random.Generator) -> NDArray[np.float64]:
    import numpy as np

    errors, correct = (
        random.binomial(kind.cases, kind.found / kind.cases, draws) / kind.cases for kind in (found.errors, found.correct)
    )
    total = errors + correct
    return 200 * errors * correct / np.where(total > 0, total, 1.0)
