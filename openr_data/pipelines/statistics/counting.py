"""The statistics of one run, measure by measure, over its sealed shards."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from openr_data.data_cards.statistics import CostPerStep, Statistics, StepBalance
from openr_data.pipelines.statistics.frames import spread, tally, whole_histogram
from openr_data.pipelines.statistics.labels import FirstErrors, Values, first_errors, step_balance, values
from openr_data.pipelines.statistics.oracle import oracle_quality
from openr_data.pipelines.statistics.passing import pass_rates
from openr_data.pipelines.statistics.texts import Texts, duplicates
from openr_data.store.read import RunReader

if TYPE_CHECKING:
    import polars as pl


def count(reader: RunReader, texts: Texts) -> Statistics:
    """Everything about one run alone: no other runs, no benchmarks."""
    tables = reader.manifest.tables
    labelled = "labeled" in tables
    sizes = texts.solutions
    sources = tally(reader, reader.scan("problems"), "source")
    steps = int(sizes["steps"].sum())
    balance = step_balance(reader) if labelled else StepBalance(unlabelled=steps)
    return Statistics(
        problems=reader.size("problems").rows,
        skipped=tally(reader, _skipped(reader), "skipped"),
        solutions=sizes.height,
        steps=steps,
        rollouts=reader.size("rollouts").rows if "rollouts" in tables else 0,
        sources=sources,
        methods=tally(reader, reader.scan("labeled"), "method") if labelled else {},
        verdicts=tally(reader, reader.scan(tables[0]), "verdict"),
        unknown=tally(reader, _unknown(reader), "verdict_reason"),
        balance=balance,
        **_named(first_errors(reader) if labelled else FirstErrors()),
        **_named(values(reader) if labelled else Values()),
        steps_per_solution=spread(sizes["steps"]),
        step_counts=whole_histogram(sizes["steps"]),
        tokens_per_solution=spread(sizes["tokens"]),
        characters_per_solution=spread(sizes["characters"]),
        character_counts=whole_histogram(sizes["characters"]),
        pass_rates=pass_rates(reader),
        duplicates=duplicates(texts),
        cost=run_cost(reader, balance),
        oracle=oracle_quality(reader, sources) if labelled else None,
    )


def run_cost(reader: RunReader, balance: StepBalance) -> CostPerStep:
    """Of all attempts at the run. The paid amounts stand in `run.json` once an attempt has ended; until then those drawn."""
    totals = reader.record.totals

    def paid(name: str) -> int:
        return int(max(totals.get(name, 0), totals.get(f"paid_{name}", 0)))

    return CostPerStep(paid("completions"), paid("tokens"), totals.get("seconds", 0.0) / 3600, balance.right + balance.wrong)


def _skipped(reader: RunReader) -> pl.LazyFrame:
    import polars as pl

    return reader.scan("problems").filter(pl.col("skipped") != "")


def _unknown(reader: RunReader) -> pl.LazyFrame:
    import polars as pl

    tables = reader.manifest.tables
    return reader.scan("rollouts" if "rollouts" in tables else tables[0]).filter(pl.col("verdict") == "unknown")


def _named(part: FirstErrors | Values) -> dict[str, Any]:
    return {each.name: getattr(part, each.name) for each in fields(part)}
