"""Preference pairs of many problems at once, as a polars frame: the same pairs as `pairs.pairs`, problem by problem."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from openr_data.layouts.arrow import Written
from openr_data.layouts.base import WriteOptions
from openr_data.layouts.pairs import MARK
from openr_data.types import NO_ERROR


@dataclass(frozen=True, slots=True)
class Found:
    """One row per pair: question, answer, source, `before` (the shared steps, open to the next), and of each side its step and
    its text from there. `used` of `solutions` stand in a pair; `left_out` pairs were more than the limit.
    """

    frame: pl.DataFrame
    used: int
    solutions: int
    left_out: int


def paired(readings: pa.Table, options: WriteOptions, *, whole: bool) -> Found:
    """Rows with a number in the column `extra`, where there is one, can be chosen at that step alone, and are not counted."""
    solutions = _solutions(readings)
    rejected = _rejected(solutions)
    pairs = rejected.join(_chosen(solutions, rejected, whole=whole), on=["item", "place", "key"])
    pairs = pairs.filter(pl.col("rejected_step") != pl.col("chosen_step")).sort("item", "rejected", "partial", "chosen")
    ranked = pairs.with_columns(rank=pl.int_range(pl.len()).over("item", "rejected")).sort("item", "rank", "rejected")
    limit = options.pairs_per_problem or len(pairs)
    kept = ranked.filter(pl.int_range(pl.len()).over("item") < limit).sort("item", "rejected", "rank")
    own = solutions.filter(pl.col("extra").is_null())["n"]
    used = pl.concat([kept["rejected"], kept["chosen"]]).unique().is_in(own.implode()).sum()
    return Found(_texts(kept, solutions, options.separator), int(used), len(own), len(pairs) - len(kept))


def written(found: Found, texts: pl.DataFrame, schema: pa.Schema) -> Written:
    """The rows of a layout, with what did not come to a pair counted."""
    unused = found.solutions - found.used
    return Written(texts.to_arrow().cast(schema), found.used, {"no_pair": unused} if unused else {}, found.left_out)


def MARK_OF(step: str) -> pl.Expr:  # noqa: N802 - beside the pattern of the same name
    """The number that a step begins with; null where there is none."""
    return pl.col(step).str.extract(f"^({MARK})")


def _solutions(readings: pa.Table) -> pl.DataFrame:
    frame = pl.DataFrame(pl.from_arrow(readings)).with_row_index("n")
    return frame if "extra" in frame.columns else frame.with_columns(extra=pl.lit(None, pl.Int32))


def _rejected(solutions: pl.DataFrame) -> pl.DataFrame:
    """The wrong solutions at their first error; of equal ones, the first."""
    wrong = solutions.filter(pl.col("first_error") > NO_ERROR)
    return _at_place(wrong.with_columns(place="first_error"), "rejected").unique(
        ["item", "place", "key", "rejected_step"], keep="first", maintain_order=True
    )


def _chosen(solutions: pl.DataFrame, rejected: pl.DataFrame, *, whole: bool) -> pl.DataFrame:
    """The solutions at every place where another one of their problem goes wrong and they do not; of equal steps, the first."""
    places = rejected.select("item", "place").unique(maintain_order=True)
    first = pl.col("first_error")
    right = (first == NO_ERROR) if whole else (first == NO_ERROR) | (first > pl.col("place"))
    here = pl.col("extra").is_null() | (pl.col("extra") == pl.col("place"))
    reaching = solutions.join(places, on="item").filter(here & right & (pl.col("steps").list.len() > pl.col("place")))
    ordered = _at_place(reaching.with_columns(partial=first != NO_ERROR), "chosen", "partial").sort("item", "partial", "chosen")
    return ordered.unique(["item", "place", "key", "chosen_step"], keep="first", maintain_order=True)


def _at_place(frame: pl.DataFrame, side: str, *further: str) -> pl.DataFrame:
    """Number, place and step of each solution there. `key` is equal where the steps before are: their lengths, and their text."""
    before = pl.col("steps").list.head(pl.col("place"))
    lengths = before.list.eval(pl.element().str.len_bytes().cast(pl.String)).list.join(",")
    return frame.select(
        "item",
        "place",
        *further,
        pl.concat_str(lengths, pl.lit(":"), before.list.join("")).alias("key"),
        pl.col("n").alias(side),
        pl.col("steps").list.get(pl.col("place")).alias(f"{side}_step"),
    )


def _texts(kept: pl.DataFrame, solutions: pl.DataFrame, separator: str) -> pl.DataFrame:
    """The pairs with their texts; only those that are kept are spelled out."""
    frame = kept.select("place", "rejected_step", "chosen_step")
    for side in ("rejected", "chosen"):
        steps = solutions["steps"].gather(kept[side])
        from_place = pl.DataFrame({"steps": steps, "place": kept["place"]}).select(
            pl.col("steps").list.slice(pl.col("place")).list.join(separator)
        )
        frame = frame.with_columns(from_place.to_series().alias(f"{side}_text"))
    shared = solutions.select("question", "answer", "source", "steps")[kept["rejected"]]
    before = pl.col("steps").list.head(pl.col("place")).list.join(separator)
    opened = pl.when(pl.col("place") > 0).then(before + pl.lit(separator)).otherwise(pl.lit(""))
    return pl.concat([frame, shared], how="horizontal").with_columns(before=opened).drop("steps")
