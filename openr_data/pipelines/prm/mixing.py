"""From labelled data sets to examples: what is left out and why, which split a question is of, how often a row is seen.

Every solution becomes rows or is told with its reason; nothing depends on the order of the data sets but the order of the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from openr_data.pipelines.prm.config import PRMRunConfig, SourceSpec
from openr_data.pipelines.prm.contamination import Guard
from openr_data.pipelines.prm.sources import Labelled, LabelledSource
from openr_data.pipelines.splits import NAMES
from openr_data.prm.examples import Example
from openr_data.prm.targets import NoTargets, Targets, targets
from openr_data.problems import Reject
from openr_data.problems.digests import digest
from openr_data.types import LabeledSolution

UNCERTAIN = "uncertain"
TRAIN, VALIDATION, TEST = NAMES


@dataclass(frozen=True, slots=True)
class Dropped:
    """A solution, or a row of a file, that is not trained on. `row` is its id or its place; `detail` a phrase for people."""

    source: str
    row: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """An example of the split; in training it is seen `copies` times (0: the weight of its data set passes it over)."""

    split: str
    example: Example
    copies: int = 1


@dataclass(slots=True)
class SourceTally:
    """What became of one data set: every one of `solutions` is in `splits` or in `dropped`.

    `unreadable` are rows of a file that are not of its layout, by reason. `rows` are training rows as they are seen, copies
    included, and `good`, `bad`, `masked` the steps in them (good: a target above .5).
    """

    layout: str = ""
    weight: float = 1.0
    solutions: int = 0
    splits: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    dropped: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    good: int = 0
    bad: int = 0
    masked: int = 0

    def add(self, drawn: Drawn) -> None:
        self.splits[drawn.split] += 1
        self._add_rows(drawn, drawn.copies)

    def refuse(self, drawn: Drawn, reason: str) -> None:
        """Take back what was added: it could not be encoded."""
        self.splits[drawn.split] -= 1
        self.dropped[reason] += 1
        self._add_rows(drawn, -drawn.copies)

    def _add_rows(self, drawn: Drawn, count: int) -> None:
        if drawn.split != TRAIN:
            return
        good, bad, masked = balance(drawn.example.targets)
        self.rows += count
        self.good += count * good
        self.bad += count * bad
        self.masked += count * masked


def balance(row_targets: Targets) -> tuple[int, int, int]:
    """Good, bad and masked steps.

    >>> balance((1.0, 0.75, 0.0, None))
    (2, 1, 1)
    """
    known = [target for target in row_targets if target is not None]
    good = sum(target > 0.5 for target in known)
    return good, len(known) - good, len(row_targets) - len(known)


class Mixture:
    """Draws from the data sets, one after the other. `tallies` and `contaminated` (solutions by evaluation set) are complete when
    `draw` has ended.
    """

    def __init__(self, sources: Sequence[LabelledSource], config: PRMRunConfig, guard: Guard) -> None:
        self._sources, self._config, self._guard = sources, config, guard
        self.tallies = {source.spec.shown: SourceTally(layout=source.layout, weight=source.spec.weight) for source in sources}
        self.contaminated: Counter[str] = Counter()

    def draw(self) -> Iterator[Drawn | Dropped]:
        """Every solution of every data set, in order; of the test split too, which nobody but its counter may look at."""
        for source in self._sources:
            tally = self.tallies[source.spec.shown]
            for found in source.read():
                if self._config.limit and tally.solutions >= self._config.limit:
                    break
                yield self._unreadable(found, tally, source.spec) if isinstance(found, Reject) else self._one(found, source.spec)

    def _one(self, found: Labelled, spec: SourceSpec) -> Drawn | Dropped:
        tally, row = self.tallies[spec.shown], found.solution.solution.id
        tally.solutions += 1
        try:
            drawn = self._drawn(found, spec)
        except NoTargets as fault:
            tally.dropped[fault.reason] += 1
            return Dropped(spec.shown, row, fault.reason, str(fault))
        tally.add(drawn)
        return drawn

    def _drawn(self, found: Labelled, spec: SourceSpec) -> Drawn:
        solution = found.solution.solution
        self._check(found)
        read = targets(found.solution, self._config.train.labels)
        split = self._config.splits.of(found.question)
        example = Example(solution.id, found.question, solution.steps, read, spec.shown)
        return Drawn(split, example, copies(spec.weight, solution.id, self._config.train.seed) if split == TRAIN else 1)

    def _check(self, found: Labelled) -> None:
        config, solution = self._config, found.solution
        if solution.reason == UNCERTAIN and not config.keep_uncertain:
            raise NoTargets(UNCERTAIN, "its first error is only the likeliest one; --keep-uncertain takes it")
        if below(solution, config.min_confidence):
            raise NoTargets("low_confidence", f"its confidence is {solution.confidence}, below {config.min_confidence}")
        held = self._guard.found(found.question)
        if held:
            self.contaminated[held] += 1
            raise NoTargets("contaminated", f"its question stands in {held}")

    def _unreadable(self, reject: Reject, tally: SourceTally, spec: SourceSpec) -> Dropped:
        tally.unreadable[reject.reason] += 1
        return Dropped(spec.shown, f"{reject.file}, line {reject.line}", reject.reason, reject.detail)


def below(solution: LabeledSolution, confidence: float) -> bool:
    """Asked of solutions that have a confidence."""
    return solution.confidence is not None and solution.confidence < confidence


def copies(weight: float, row: str, seed: int) -> int:
    """How often a training row is seen: its data set's weight, the fraction drawn by a hash of the row.

    >>> copies(2.0, "r", 0), {copies(1.5, str(row), 0) for row in range(9)} == {1, 2}
    (2, True)
    """
    whole = int(weight)
    return whole + (digest("weight", str(seed), row) / 2**64 < weight - whole)
