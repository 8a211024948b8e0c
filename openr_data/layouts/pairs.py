"""Which two solutions of a problem make a preference pair, and how a published pair becomes two solutions. Knows no columns.

Two solutions pair where they share everything before step i, the step i of the one is right, and the step i of the other, not
the same text, is its first error. Equal pairs (the same prefix, the same two steps) count once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from openr_data.layouts.base import LABEL, ExportSolution, LayoutFault
from openr_data.layouts.published import NOT_GRADED, RIGHT, WRONG, published
from openr_data.types import NO_ERROR, LabeledSolution, Steps

PLACE = "pair_step"
"""Note of a published pair's solutions: the step in which they part."""

MARK = r"(?:[^\n]*\n)?Step \d+:"
_MARK = re.compile(MARK)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two solutions that part at step `place`, where the one is right and the other has its first error."""

    chosen: ExportSolution
    rejected: ExportSolution
    place: int

    @property
    def prefix(self) -> Steps:
        return self.rejected.steps[: self.place]


def pairs(solutions: Sequence[ExportSolution], limit: int, *, whole: bool) -> list[Pair]:
    """The pairs of one problem by rejected solution, then by chosen one, those that are right to their end first.

    `whole`: only those are chosen. With a `limit`, every rejected solution gets its first chosen one before any gets a second.
    """
    if solutions and solutions[0].published:
        return [_published_pair(solutions)]
    rejected: dict[tuple[Steps, str], ExportSolution] = {}
    for each in solutions:
        if each.first_error is not None and each.first_error != NO_ERROR:
            rejected.setdefault((each.steps[: each.first_error], each.steps[each.first_error]), each)
    found = [
        (rank, number, pair)
        for number, each in enumerate(rejected.values())
        for rank, pair in enumerate(_of_rejected(each, solutions, whole=whole))
    ]
    kept = sorted(found, key=lambda each: each[:2])[: limit or None]
    return [pair for _, _, pair in sorted(kept, key=lambda each: (each[1], each[0]))]


def _of_rejected(rejected: ExportSolution, solutions: Sequence[ExportSolution], *, whole: bool) -> Iterator[Pair]:
    """One pair for every other text that is right at the place of the error."""
    place = rejected.first_error or 0
    fitting = [each for each in solutions if _parts(each, rejected, place) and (each.first_error == NO_ERROR or not whole)]
    chosen: dict[str, ExportSolution] = {}
    for each in sorted(fitting, key=lambda each: each.first_error != NO_ERROR):  # stable: input order otherwise
        chosen.setdefault(each.steps[place], each)
    return (Pair(each, rejected, place) for each in chosen.values())


def _parts(chosen: ExportSolution, rejected: ExportSolution, place: int) -> bool:
    """Is the step right, is it another one, and does everything before agree?"""
    first = chosen.first_error
    right = first is not None and (first == NO_ERROR or first > place) and len(chosen.steps) > place
    return right and chosen.steps[:place] == rejected.steps[:place] and chosen.steps[place] != rejected.steps[place]


def _published_pair(solutions: Sequence[ExportSolution]) -> Pair:
    if len(solutions) != 2:
        raise LayoutFault("no_pair", "a published pair has two solutions")
    return Pair(solutions[0], solutions[1], int(solutions[0].notes.get(PLACE, "0")))


def published_solution(layout: str, prefix: Sequence[str], rest: Sequence[str], *, good: bool, whole: bool) -> LabeledSolution:
    """One side of a published pair. Its prefix is right and the step after it labelled; nothing is known of further steps.

    `whole`: the pair compares whole texts, so that only the last step has a label, and no first error follows from it.
    """
    steps = [*prefix, *rest]
    if not rest:
        raise LayoutFault("no_steps", "the chosen or the rejected text is empty")
    labels: list[bool | None] = [None] * len(steps)
    if whole:
        labels[-1] = good
    else:
        labels[: len(prefix) + 1] = [*([True] * len(prefix)), good]
    return published(
        layout,
        steps,
        hard=[None] * len(steps) if whole else labels,
        values=[None if label is None else float(label) for label in labels],
        estimator=LABEL,
        verdict=NOT_GRADED if whole else RIGHT if good else WRONG,
        notes={PLACE: str(len(prefix))},
    )


def common_mark(chosen: str, rejected: str) -> str:
    r"""The number that both steps begin with, with the line before it, if there is one: the prompt takes it.

    >>> common_mark("Step 3: a", "Step 3: b"), common_mark("Step 3: a", "b")
    ('Step 3:', '')
    """
    marks = [_MARK.match(text) for text in (chosen, rejected)]
    texts = [mark.group() if mark else "" for mark in marks]
    return texts[0] if texts[0] == texts[1] else ""
