"""Measured prefixes as OpenR's generator publishes them, and the solutions that they are prefixes of. Knows no rows.

An entry is a prefix of a solution with its Monte Carlo value. The entries of a row nest; each that no other one continues is a
solution, its steps are the texts between one entry and the next, and every step has the value of the prefix that it ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from openr_data.layouts.base import VALUE, ExportSolution, LayoutFault, ReadOptions
from openr_data.layouts.published import above, published
from openr_data.types import LabeledSolution

PLACES = "places"
"""Note: which entries of the row each step is, by number; one that came several times has several numbers, joined by `+`."""

GLUE = "glue"
"""Note: white space before and after each step, where there is any, as JSON."""

ROOT_VALUE = "root_value"
ROOT_PLACES = "root_places"
"""Metadata of a problem: the value of the question alone, and the numbers of its entries."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The text that an entry adds to the one before it, its value, and its numbers in the row."""

    text: str
    value: float
    places: tuple[int, ...]


def solution(layout: str, chain: Sequence[Entry], options: ReadOptions) -> LabeledSolution:
    """A step is right where its value is above 0, as OmegaPRM reads it (arXiv 2406.06592, section 3.2)."""
    values = [entry.value for entry in chain]
    cut = [_cut(entry.text) for entry in chain]
    notes = {PLACES: " ".join("+".join(map(str, entry.places)) for entry in chain)}
    glue = [[before, after] for before, _, after in cut]
    if any(before or after for before, after in glue):
        notes[GLUE] = json.dumps(glue)
    hard = [above(value, options.threshold, 0.0) for value in values]
    return published(layout, [text for _, text, _ in cut], hard=hard, values=values, estimator=VALUE, notes=notes)


def chains(solution: ExportSolution) -> Iterator[tuple[tuple[int, ...], str, float | None]]:
    """The numbers, the text and the value of each step, as they stood in the row."""
    glue = json.loads(solution.notes[GLUE]) if GLUE in solution.notes else [["", ""]] * len(solution.steps)
    places = solution.notes[PLACES].split()
    values = solution.published or (None,) * len(solution.steps)
    for (before, after), place, text, value in zip(glue, places, solution.steps, values, strict=True):
        yield tuple(map(int, place.split("+"))), f"{before}{text}{after}", value


def root_notes(value: float | None, places: Sequence[int]) -> Mapping[str, str]:
    return {} if value is None else {ROOT_VALUE: repr(value), ROOT_PLACES: " ".join(map(str, places))}


def value_of(entry: Mapping[str, object]) -> float:
    value = entry.get("mc_value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise LayoutFault("wrong_type", "every `mc_value` must be a number from 0 to 1")
    return float(value)


def _cut(text: str) -> tuple[str, str, str]:
    """White space before, the step, white space after; a text of white space alone is a step as it is."""
    step = text.strip()
    if not step:
        return "", text, ""
    start = text.index(step)
    return text[:start], step, text[start + len(step) :]
