"""Which solutions of a run somebody wants to see: conditions that all hold, found by scans of columns. Reads no record."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from math import isnan
from typing import TYPE_CHECKING

from openr_data.errors import UsageError
from openr_data.pipelines.statistics.frames import collect, tally
from openr_data.store.read import RunReader

if TYPE_CHECKING:
    import polars as pl

VERDICTS = ("right", "wrong", "unknown")
ORIGINS = ("given", "rollout")
_FEW = 3
_FIRST_ERRORS = ("none", "undecided", "any")
_OF_LABELS = {
    "first_error": "--first-error",
    "min_value": "--min-value",
    "max_value": "--max-value",
    "method": "--method",
    "origin": "--origin",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Conditions on solutions; an empty one holds always, and of several all must hold.

    `first_error` is `none`, `undecided`, `any`, or the number of the first wrong step, counted from 1. `min_value` and
    `max_value` bound the value of some step (both that of the same one), or that of step number `step`. `contains` is a piece
    of the question or of a step, case and all. Of what is found the first `show` are taken (`None`: a few; without a
    condition one, with a wrong step if there is such a one), or `sample` at random by `seed`.
    """

    problem: str = ""
    solution: str = ""
    first_error: str = ""
    min_value: float | None = None
    max_value: float | None = None
    step: int = 0
    method: str = ""
    verdict: str = ""
    origin: str = ""
    source: str = ""
    contains: str = ""
    show: int | None = None
    sample: int | None = None
    seed: int | None = None

    def checked(self) -> Choice:
        """Raises `UsageError` on a value that does not exist, or on two that contradict each other."""
        _check_names(self)
        low, high = self.min_value, self.max_value
        for name, value in (("--min-value", low), ("--max-value", high)):
            if value is not None and isnan(value):
                raise UsageError(f"{name} is a number, and nan is none")
        if low is not None and high is not None and low > high:
            raise UsageError(f"no value is at least {low:g} (--min-value) and at most {high:g} (--max-value)")
        if self.step < 0 or (self.step and low is None and high is None):
            raise UsageError("--step says whose value is meant: give its number, from 1, with --min-value or --max-value")
        if self.show is not None and self.sample is not None:
            raise UsageError("--show takes the first solutions and --sample random ones: give one of them")
        if self.seed is not None and self.sample is None:
            raise UsageError("--seed says which random solutions --sample takes: give --sample as well")
        return self

    @property
    def conditions(self) -> int:
        """How many there are; a value of `step` counts with its bounds."""
        amounts = {"step", "show", "sample", "seed"}
        return sum(getattr(self, each.name) not in {"", None} for each in fields(self) if each.name not in amounts)

    @property
    def shown(self) -> int:
        """How many of the first to take."""
        return self.show if self.show is not None else _FEW if self.conditions else 1


@dataclass(frozen=True, slots=True)
class Selection:
    """How many of the `total` solutions meet the conditions; and those `taken` of them: by item, the ids of its solutions, those
    with a wrong step first, as they are what labels are about. `hint`: where nothing was found by a name, the names there are.
    """

    matched: int
    total: int
    taken: dict[int, tuple[str, ...]]
    hint: str = ""


def select(reader: RunReader, choice: Choice) -> Selection:
    """Raises `UsageError` where the run has no such problem or solution, or nothing that a condition speaks of."""
    main = reader.manifest.tables[0]
    _check_labels(reader, choice, main)
    total = reader.size(main).rows
    if not reader.manifest.shards:
        _need_some(reader, choice)
        return Selection(0, 0, {})
    found = collect(reader, _matching(reader, choice, main))
    if not found.height:
        _need_named(reader, choice, main)
        return Selection(0, total, {}, _names(reader, choice))
    return Selection(found.height, total, _take(found, choice))


def named_items(reader: RunReader, problem: str) -> list[int]:
    """The items with this problem id, none in a run without a finished shard."""
    import polars as pl

    if not reader.manifest.shards:
        return []
    found = reader.scan("problems").filter(pl.col("problem_id") == problem).select("item")
    return [int(item) for item in collect(reader, found)["item"]]


def _matching(reader: RunReader, choice: Choice, main: str) -> pl.LazyFrame:
    """Item, id, and whether it has no (known) error, in the order of the table."""
    import polars as pl

    labeled = main == "labeled"
    frame = reader.scan(main).with_row_index("place")
    conditions = [*_on_problems(reader, choice), *_on_solutions(choice)]
    if labeled:
        conditions += list(_on_labels(choice))
    if conditions:
        frame = frame.filter(pl.all_horizontal(conditions))
    dull = pl.col("first_error").fill_null(-1) == -1 if labeled else pl.col("verdict") == "right"
    return frame.select("item", "place", "solution_id", dull.alias("dull")).sort("item", "dull", "place")


def _on_solutions(choice: Choice) -> Iterator[pl.Expr]:
    import polars as pl

    if choice.problem:
        yield pl.col("problem_id") == choice.problem
    if choice.solution:
        yield pl.col("solution_id") == choice.solution
    if choice.verdict:
        yield pl.col("verdict") == choice.verdict


def _on_problems(reader: RunReader, choice: Choice) -> Iterator[pl.Expr]:
    """What a problem or its question must be, as a condition on items."""
    import polars as pl

    def items(condition: pl.Expr) -> pl.Expr:
        return pl.col("item").is_in(collect(reader, reader.scan("problems").filter(condition).select("item"))["item"].to_list())

    if choice.source:
        yield items(pl.col("source") == choice.source)
    if choice.contains:
        piece = pl.element().str.contains(choice.contains, literal=True)
        in_question = items(pl.col("question").str.contains(choice.contains, literal=True))
        yield in_question | pl.col("steps").list.eval(piece).list.any()


def _on_labels(choice: Choice) -> Iterator[pl.Expr]:
    import polars as pl

    first = pl.col("first_error")
    if choice.first_error:
        named = {"none": first == -1, "undecided": first.is_null(), "any": first >= 0}
        yield named[choice.first_error] if choice.first_error in named else first == int(choice.first_error) - 1
    if choice.method:
        yield pl.col("method") == choice.method
    if choice.origin:
        yield pl.col("origin") == choice.origin
    if choice.min_value is not None or choice.max_value is not None:
        if choice.step:
            yield _within(pl.col("mc").list.get(choice.step - 1, null_on_oob=True), choice)
        else:
            yield pl.col("mc").list.eval(_within(pl.element(), choice)).list.any()


def _within(value: pl.Expr, choice: Choice) -> pl.Expr:
    import polars as pl

    bounds = []
    if choice.min_value is not None:
        bounds.append(value >= choice.min_value)
    if choice.max_value is not None:
        bounds.append(value <= choice.max_value)
    return pl.all_horizontal(bounds)


def _take(found: pl.DataFrame, choice: Choice) -> dict[int, tuple[str, ...]]:
    if choice.sample is None:
        liveliest = choice.show is None and not choice.conditions
        rows = (found.sort("dull", maintain_order=True) if liveliest else found).head(choice.shown)
    else:
        count = min(choice.sample, found.height)
        rows = found[sorted(random.Random(choice.seed or 0).sample(range(found.height), count))]
    taken: dict[int, list[str]] = {}
    for item, solution in rows.select("item", "solution_id").iter_rows():
        taken.setdefault(item, []).append(solution)
    return {item: tuple(ids) for item, ids in taken.items()}


def _names(reader: RunReader, choice: Choice) -> str:
    asked = (("methods", choice.method, "labeled", "method"), ("sources", choice.source, "problems", "source"))
    found = [(what, tally(reader, reader.scan(table), column)) for what, value, table, column in asked if value]
    return "; ".join(f"{what} here: {', '.join(name or '(no name)' for name in names)}" for what, names in found)


def _check_names(choice: Choice) -> None:
    for name, value, known in (("--verdict", choice.verdict, VERDICTS), ("--origin", choice.origin, ORIGINS)):
        if value and value not in known:
            raise UsageError(f"{name} is one of {', '.join(known)}, not '{value}'")
    first = choice.first_error
    if first and first not in _FIRST_ERRORS and not (first.isascii() and first.isdigit() and len(first) < 10 and int(first)):
        raise UsageError(f"--first-error is none, undecided, any, or the number of a step from 1, not '{first}'")


def _check_labels(reader: RunReader, choice: Choice, main: str) -> None:
    used = [option for name, option in _OF_LABELS.items() if getattr(choice, name) not in {"", None}]
    if used and main != "labeled":
        raise UsageError(
            f"{reader.path} holds solutions without labels, which {' and '.join(used)} cannot look at; label it first"
        )


def _need_some(reader: RunReader, choice: Choice) -> None:
    if choice.problem or choice.solution:
        raise UsageError(f"{reader.path} has no finished shard yet, so no problem or solution can be looked up")


def _need_named(reader: RunReader, choice: Choice, main: str) -> None:
    """Nothing was found: because of a name that does not exist?"""
    import polars as pl

    if choice.problem and not named_items(reader, choice.problem):
        raise UsageError(f"{reader.path} has no problem '{choice.problem}' in its finished shards")
    if choice.solution:
        named = reader.scan(main).filter(pl.col("solution_id") == choice.solution).select("problem_id")
        belongs = collect(reader, named)["problem_id"].to_list()
        if not belongs:
            raise UsageError(f"{reader.path} has no solution '{choice.solution}' in its finished shards")
        if choice.problem and choice.problem not in belongs:
            raise UsageError(f"solution '{choice.solution}' belongs to problem '{belongs[0]}', not to '{choice.problem}'")
