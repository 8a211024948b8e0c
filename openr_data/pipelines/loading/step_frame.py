"""One row per step, out of a table with one row per solution: lazily, with intervals. Knows columns, not where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

COLUMNS = (
    "problem_id", "solution_id", "index", "text", "hits", "rollouts", "mc", "low", "high", "estimator", "good", "hard",
    "is_first_error", "method",
)  # fmt: skip
"""`index` counts from 0; `low` and `high` are the Wilson interval of `hits` of `rollouts`, null where nothing was counted."""

_LABELS = ("hits", "rollouts", "mc", "estimator", "good", "hard")
_Z = 1.96


def step_frame(solutions: pl.LazyFrame, *, labeled: bool) -> pl.LazyFrame:
    """The steps of a `labeled` table, or of a `solutions` table, whose columns about labels are null."""
    import polars as pl

    if not labeled:
        solutions = solutions.with_columns(*_unlabelled(), method=pl.lit(None, pl.String), first_error=pl.lit(None, pl.Int32))
    kept = solutions.select("problem_id", "solution_id", "steps", *_LABELS, "method", "first_error")
    numbered = kept.with_columns(index=pl.int_ranges(0, pl.col("steps").list.len()))
    steps = numbered.explode("index", "steps", *_LABELS).filter(pl.col("index").is_not_null())  # a solution without steps
    low, high = wilson(pl.col("hits"), pl.col("rollouts"))
    first = pl.col("index") == pl.col("first_error")
    return steps.rename({"steps": "text"}).with_columns(low=low, high=high, is_first_error=first).select(COLUMNS)


def wilson(hits: pl.Expr, rollouts: pl.Expr, z: float = _Z) -> tuple[pl.Expr, pl.Expr]:
    """`StepLabel.interval` on columns."""
    hits, rollouts = hits.cast(float), rollouts.cast(float)
    share = hits / rollouts
    centre = share + z * z / (2 * rollouts)
    spread = z * (share * (1 - share) / rollouts + z * z / (4 * rollouts * rollouts)).sqrt()
    scale = 1 + z * z / rollouts
    return ((centre - spread) / scale).clip(lower_bound=0.0), ((centre + spread) / scale).clip(upper_bound=1.0)


def _unlabelled() -> list[pl.Expr]:
    """Lists of nulls, as long as the steps."""
    import polars as pl

    types = {
        "hits": pl.Int32,
        "rollouts": pl.Int32,
        "mc": pl.Float64,
        "estimator": pl.String,
        "good": pl.Float64,
        "hard": pl.Boolean,
    }
    length = pl.col("steps").list.len()
    return [pl.lit(None, types[name]).repeat_by(length).alias(name) for name in _LABELS]
