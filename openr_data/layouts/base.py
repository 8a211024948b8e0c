"""What a layout is: how one foreign row becomes our records, and our records become foreign rows. Knows no files and no runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from openr_data.types import LabeledSolution, Outcome, Problem

ForeignRow = Mapping[str, Any]
"""One row of a foreign file: plain JSON values (str, int, float, bool, None, list, dict)."""

LABEL = "label"
"""Estimator of a published hard label: 1.0 right, 0.0 wrong."""

RATING = "rating"
"""Estimator of a rating by a person: 1 good, 0 neutral, -1 bad (PRM800K, arXiv 2305.20050)."""

VALUE = "value"
"""Estimator of a published soft value in 0 .. 1, whose counts are not known."""

ROW = "row"
"""Note (of a solution, or metadata of a problem) that keeps what a published row says beyond our records: a patch as JSON."""

Neutral = Literal["good", "bad", "none"]
Labels = Literal["hard", "soft", "measured"]


class LayoutFault(Exception):
    """Why one row is not of its layout; becomes a reject where the row's place is known. `reason` is a short code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How published labels are read. `neutral`: what a neutral rating is as a hard label (`none`: no label).

    `threshold`: a soft value is good when it is at least this (0: when it is above 0); `None`: as the layout's authors read it.
    `keep_excluded`: also read rows that the layout's own rules set aside, such as PRM800K's quality control.
    """

    neutral: Neutral = "good"
    threshold: float | None = None
    keep_excluded: bool = False


@dataclass(frozen=True, slots=True)
class Parsed:
    """One foreign row in our records, its solutions in the order in which they stand in it. `problem.id` may be "" (none given).

    The `method` of each solution is the layout's name, its `reason` is `published`, and its estimates keep what was published.
    """

    problem: Problem
    solutions: tuple[LabeledSolution, ...]


@dataclass(frozen=True, slots=True)
class ExportSolution:
    """A labelled solution as an exporter sees it, one value per step. `hard` and `soft` are `None` where nothing is known;

    `first_error` is -1 without one and `None` where undecided. `published` holds the values as they were published, of an
    imported run (empty otherwise); `notes` those of the record.
    """

    id: str
    steps: tuple[str, ...]
    hard: tuple[bool | None, ...]
    soft: tuple[float | None, ...]
    first_error: int | None
    verdict: Outcome
    sampler: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    published: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportItem:
    """A problem with its exported solutions, in their order."""

    problem: Problem
    solutions: tuple[ExportSolution, ...]


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """`soft`: write soft values where the layout can hold them. `separator` joins steps where a layout holds them as one text.

    `pairs_per_problem` bounds the rows of layouts of preference pairs (0: all pairs).
    """

    soft: bool = False
    separator: str = "\n"
    pairs_per_problem: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """A published layout. `columns` are those that every row has; `matches` says whether a row looks like one of it.

    `read` raises `LayoutFault`. `write` gives the rows of one item, without what `ROW` patches add; a solution that the layout
    cannot hold raises `LayoutFault` (`write` is then called without it, and it is counted with its reason).
    `per_problem`: one row holds all solutions of a problem; else one row is one solution. `labels`: the readings of labels that
    the layout can hold, the usual one first; `measured`: values of measured steps only, and nothing of the others.
    `options`: which of the `ReadOptions` say something to its rows.
    """

    name: str
    doc: str
    columns: tuple[str, ...]
    read: Callable[[ForeignRow, ReadOptions], Parsed]
    write: Callable[[ExportItem, WriteOptions], Iterator[dict[str, Any]]]
    matches: Callable[[ForeignRow], bool]
    per_problem: bool = False
    labels: tuple[Labels, ...] = ("hard",)
    options: tuple[str, ...] = ()


def text_of(row: ForeignRow, name: str) -> str:
    """The text in a column. Raises `LayoutFault` where it is missing or no text."""
    value = row.get(name)
    if not isinstance(value, str):
        raise LayoutFault("wrong_type", f"`{name}` must be text, not {kind(value)}")
    return value


def list_of(row: ForeignRow, name: str) -> Sequence[Any]:
    value = row.get(name)
    if not isinstance(value, list):
        raise LayoutFault("wrong_type", f"`{name}` must be a list, not {kind(value)}")
    return value


def kind(value: object) -> str:
    """The type of a value in the words of JSON."""
    return {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}.get(
        type(value), "nothing" if value is None else f"a {type(value).__name__}"
    )
