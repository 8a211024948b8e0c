"""What a run holds, as plain numbers and a few records to look at. Draws nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openr_data.errors import RunDirError
from openr_data.store.read import ItemRecords, RunReader

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Overview:
    """`verdicts` counts solutions by the grade of their answer; `first_errors` labelled ones by what was found; `failed` the
    problems without records; `undecided` the rollouts (of `generate`: solutions) that are neither right nor wrong, by reason.

    Of labelled solutions: `reasons` is the evidence, `estimators` how the values of steps were read, `judge` how often a judge
    agreed, and `confidence` describes the probability of `first_error` over the `solutions` that have one (its `mean`, the shares
    `below_0.5` and `below_0.9`, and that of labels called `uncertain`). `pilot` is what the method's model was fitted to, with
    all rollouts looked at, whoever paid for them. The last three are empty where the method has none.
    """

    command: str
    status: str
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


def overview(path: Path) -> Overview:
    """Counts over the sealed shards, computed lazily in bounded memory."""
    reader = RunReader.open(path)
    main = reader.manifest.tables[0]
    empty = not reader.manifest.shards
    labels = main == "labeled" and not empty
    numbers = {} if empty else _numbers(reader, main)
    run = reader.record.identity["config"]["run"]
    return Overview(
        command=str(reader.record.identity["command"]),
        status=reader.record.status,
        engine=str(reader.record.identity["engine"]),
        method=str(run.get("label", {}).get("method", "")),
        rows={name: reader.size(name).rows for name in reader.manifest.tables},
        failed=sum(len(shard.failed) for shard in reader.manifest.shards.values()),
        totals=reader.record.totals,
        verdicts=_counts(reader, main, "verdict") if not empty else {},
        first_errors=_first_errors(reader) if labels else {},
        reasons=_reasons(reader) if labels else {},
        undecided=_undecided(reader, "rollouts" if main == "labeled" else main) if not empty else {},
        steps=numbers.get("steps", 0.0),
        cost_rollouts=numbers.get("cost_rollouts", 0.0),
        cost_tokens=numbers.get("cost_tokens", 0.0),
        estimators=_estimators(reader) if labels else {},
        judge=_judge(reader) if labels else {},
        confidence=_confidence(reader) if labels else {},
        pilot=_pilot(reader),
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
    return Found(_first_errors(reader), _judge(reader), _confidence(reader), _pilot(reader))


def records(path: Path, problem: str = "") -> Iterator[ItemRecords]:
    """The items of a run in order, or the one of that problem id."""
    for item in RunReader.open(path).items():
        if not problem or item.problem.id == problem:
            yield item


def _pilot(reader: RunReader) -> dict[str, int]:
    return dict(reader.record.settings.get("pilot", {}))


def _collect(reader: RunReader, frame: pl.LazyFrame) -> pl.DataFrame:
    import polars as pl

    try:
        return frame.collect()
    except (pl.exceptions.PolarsError, OSError) as fault:
        raise RunDirError(f"{reader.path} has a damaged or missing shard; run `openr-data verify {reader.path}`") from fault


def _numbers(reader: RunReader, table: str) -> dict[str, float]:
    import polars as pl

    wanted = [pl.col("steps").list.len().mean().alias("steps")]
    if table == "labeled":
        wanted += [pl.col("cost_rollouts").mean(), pl.col("cost_tokens").mean()]
    row: dict[str, Any] = _collect(reader, reader.scan(table).select(wanted)).row(0, named=True)
    return {name: float(value or 0.0) for name, value in row.items()}


def _counts(reader: RunReader, table: str, column: str) -> dict[str, int]:
    return _tally(reader, reader.scan(table), column)


def _tally(reader: RunReader, frame: pl.LazyFrame, column: str) -> dict[str, int]:
    import polars as pl

    # By name where counts are equal: the order of a grouping is not fixed.
    order = pl.col("count").neg(), pl.col(column)
    counted = _collect(reader, frame.group_by(column).agg(pl.len().cast(pl.Int64).alias("count")).sort(*order))
    return {str(value): int(count) for value, count in counted.iter_rows()}


def _reasons(reader: RunReader) -> dict[str, int]:
    """A disagreement names two steps; they are counted as one."""
    import polars as pl

    reason = pl.col("reason")
    short = pl.when(reason.str.starts_with("disagreement:")).then(pl.lit("disagreement")).otherwise(reason)
    return _tally(reader, reader.scan("labeled").select(short.alias("reason")), "reason")


def _estimators(reader: RunReader) -> dict[str, int]:
    import polars as pl

    return _tally(reader, reader.scan("labeled").select(pl.col("estimator").explode()).drop_nulls(), "estimator")


def _judge(reader: RunReader) -> dict[str, int]:
    import polars as pl

    word = pl.col("reason").str.split(":").list.first().alias("judge")
    said = reader.scan("labeled").select(word).filter(pl.col("judge").is_in(["agreement", "disagreement", "judge_undecided"]))
    return _tally(reader, said, "judge")


def _confidence(reader: RunReader) -> dict[str, float]:
    import polars as pl

    known = pl.col("confidence")
    wanted = [known.count().alias("solutions"), known.mean().alias("mean")]
    wanted.append((pl.col("reason") == "uncertain").filter(known.is_not_null()).mean().alias("uncertain"))
    wanted += [(known < bound).mean().alias(f"below_{bound}") for bound in (0.5, 0.9)]
    row: dict[str, Any] = _collect(reader, reader.scan("labeled").select(wanted)).row(0, named=True)
    return {name: float(value) for name, value in row.items()} if row["solutions"] else {}


def _undecided(reader: RunReader, table: str) -> dict[str, int]:
    import polars as pl

    unknown = reader.scan(table).filter(pl.col("verdict") == "unknown").group_by("verdict_reason")
    frame = _collect(reader, unknown.agg(pl.len().cast(pl.Int64).alias("count")).sort(pl.col("count").neg(), "verdict_reason"))
    return {str(reason): int(count) for reason, count in frame.iter_rows()}


def _first_errors(reader: RunReader) -> dict[str, int]:
    """`none`, `undecided`, and `step 1`, `step 2`, ... in order."""
    import polars as pl

    frame = _collect(reader, reader.scan("labeled").group_by("first_error").agg(pl.len().alias("count")).sort("first_error"))
    names = {None: "undecided", -1: "none"}
    return {names.get(value, f"step {(value or 0) + 1}"): int(count) for value, count in frame.iter_rows()}
