"""What a run holds, in a few numbers beside its statistics, and the records that somebody asks for. Draws nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from openr_data.data_cards.statistics import Statistics
from openr_data.pipelines.selection import Choice, named_items, select
from openr_data.pipelines.statistics import statistics
from openr_data.pipelines.statistics.frames import collect, short_reason, tally
from openr_data.pipelines.statistics.labels import FirstErrors, first_errors
from openr_data.store.read import ItemRecords, RunReader


@dataclass(frozen=True, slots=True)
class Overview:
    """`complete`: do the finished shards cover every problem? `verdicts` counts solutions by the grade of their answer;
    `first_errors` labelled ones by what was found; `failed` the problems without records; `undecided` the rollouts (of a run
    without: solutions) that are neither right nor wrong, by reason.

    Of labelled solutions: `reasons` is the evidence, `estimators` how the values of steps were read, `judge` how often a judge
    agreed, and `confidence` describes the probability of `first_error` over the `solutions` that have one (its `mean`, the shares
    `below_0.5` and `below_0.9`, and that of labels called `uncertain`). `pilot` is what the method's model was fitted to, with
    all rollouts looked at, whoever paid for them. The last three are empty where the method has none. `statistics` is everything
    that any report of a run counts.
    """

    command: str
    status: str
    complete: bool
    engine: str
    method: str
    rows: Mapping[str, int]
    failed: int
    totals: Mapping[str, float]
    verdicts: Mapping[str, int]
    first_errors: Mapping[str, int]
    reasons: Mapping[str, int]
    undecided: Mapping[str, int]
    steps: float
    cost_rollouts: float
    cost_tokens: float
    estimators: Mapping[str, int]
    judge: Mapping[str, int]
    confidence: Mapping[str, float]
    pilot: Mapping[str, int]
    statistics: Statistics


def overview(path: Path) -> Overview:
    """Over the sealed shards, in bounded memory."""
    reader = RunReader.open(path)
    labels = "labeled" in reader.manifest.tables and bool(reader.manifest.shards)
    counted = statistics(path)
    cost = _cost(reader) if labels else {}
    run = reader.record.identity["config"].get("run", {})
    return Overview(
        command=str(reader.record.identity["command"]),
        status=reader.record.status,
        complete=reader.complete,
        engine=str(reader.record.identity["engine"]),
        method=str(run.get("label", {}).get("method", "")),
        rows={name: reader.size(name).rows for name in reader.manifest.tables},
        failed=sum(len(shard.failed) for shard in reader.manifest.shards.values()),
        totals=reader.record.totals,
        verdicts=counted.verdicts,
        first_errors=_named(counted),
        reasons=tally(reader, reader.scan("labeled").select(short_reason()), "reason") if labels else {},
        undecided=counted.unknown,
        steps=counted.steps_per_solution.mean,
        cost_rollouts=cost.get("cost_rollouts", 0.0),
        cost_tokens=cost.get("cost_tokens", 0.0),
        estimators={name: values.total for name, values in counted.values.items()},
        judge=_judge(reader) if labels else {},
        confidence=_confidence(reader) if labels else {},
        pilot=_pilot(reader),
        statistics=counted,
    )


@dataclass(frozen=True, slots=True)
class Found:
    """What a labelling came to; fields as in `Overview`."""

    first_errors: Mapping[str, int]
    judge: Mapping[str, int]
    confidence: Mapping[str, float]
    pilot: Mapping[str, int]


def found(path: Path) -> Found:
    """The short form of `overview`, from a few columns."""
    reader = RunReader.open(path)
    return Found(_named(first_errors(reader)), _judge(reader), _confidence(reader), _pilot(reader))


def records(path: Path, problem: str = "") -> Iterator[ItemRecords]:
    """The items of a run in order, or those of that problem id."""
    reader = RunReader.open(path)
    yield from reader.items(only=named_items(reader, problem) if problem else None)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen: `matched` of the `total` solutions meet the conditions, and `items` hold those taken of them (read one
    at a time), the measured prefixes only where they were asked for. `hint` helps where none does.
    """

    matched: int
    total: int
    items: Iterator[ItemRecords]
    hint: str = ""


def chosen(path: Path, choice: Choice, *, rollouts: bool = False) -> Chosen:
    """Raises `UsageError` on a choice that cannot be, `RunDirError` on a run that cannot be read."""
    choice.checked()
    reader = RunReader.open(path)
    selection = select(reader, choice)
    taken: Mapping[int, Sequence[str]] = selection.taken
    if choice.problem and not selection.matched and choice.conditions == 1:
        taken = dict.fromkeys(named_items(reader, choice.problem), ())  # a problem without solutions: why was it skipped?
    tables = reader.manifest.tables if rollouts else reader.manifest.tables[:1]
    items = reader.items(tables=tables, only=taken) if taken else iter(())
    chosen_items = (_reduced(item, taken[item.item]) for item in items)
    return Chosen(selection.matched, selection.total, chosen_items, selection.hint)


def _reduced(item: ItemRecords, ids: Sequence[str]) -> ItemRecords:
    labeled = {one.solution.id: one for one in item.labeled}
    solutions = {one.id: one for one in item.solutions}
    return replace(
        item,
        labeled=tuple(labeled[each] for each in ids if each in labeled),
        solutions=tuple(solutions[each] for each in ids if each in solutions),
    )


def _named(counts: Statistics | FirstErrors) -> dict[str, int]:
    """`undecided`, `none`, and `step 1`, `step 2`, ... in order; what does not occur is left out."""
    steps = {f"step {index + 1}": count for index, count in counts.first_errors.items()}
    named = {"undecided": counts.undecided, "none": counts.without_error, **steps}
    return {name: count for name, count in named.items() if count}


def _pilot(reader: RunReader) -> dict[str, int]:
    return dict(reader.record.settings.get("pilot", {}))


def _cost(reader: RunReader) -> dict[str, float]:
    """Per labelled solution, on average."""
    import polars as pl

    wanted = pl.col("cost_rollouts", "cost_tokens").mean()
    row: dict[str, Any] = collect(reader, reader.scan("labeled").select(wanted)).row(0, named=True)
    return {name: float(value or 0.0) for name, value in row.items()}


def _judge(reader: RunReader) -> dict[str, int]:
    import polars as pl

    word = pl.col("reason").str.split(":").list.first().alias("judge")
    said = reader.scan("labeled").select(word).filter(pl.col("judge").is_in(["agreement", "disagreement", "judge_undecided"]))
    return tally(reader, said, "judge")


def _confidence(reader: RunReader) -> dict[str, float]:
    import polars as pl

    known = pl.col("confidence")
    wanted = [known.count().alias("solutions"), known.mean().alias("mean")]
    wanted.append((pl.col("reason") == "uncertain").filter(known.is_not_null()).mean().alias("uncertain"))
    wanted += [(known < bound).mean().alias(f"below_{bound}") for bound in (0.5, 0.9)]
    row: dict[str, Any] = collect(reader, reader.scan("labeled").select(wanted)).row(0, named=True)
    return {name: float(value) for name, value in row.items()} if row["solutions"] else {}
