"""The texts of a run as a few numbers for each solution and one digest for each question and solution. Keeps no text."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openr_data.data_cards.statistics import Duplicates
from openr_data.pipelines.statistics.frames import batches, collect
from openr_data.problems.digests import digest, normal_question
from openr_data.store.read import RunReader

if TYPE_CHECKING:
    import polars as pl

STEP_BREAK = "\x1e"
"""Stands between two steps where they are hashed: no text of a model is likely to hold a record separator."""


@dataclass(frozen=True, slots=True)
class Texts:
    """`questions`: item and `question` (a digest, the same for questions that differ only in white space).

    `solutions`: item, `question`, `text` (see `text_digest`), `steps`, `characters` (of the steps, without what joins them),
    `tokens` (null where unknown).
    """

    questions: pl.DataFrame
    solutions: pl.DataFrame


def read_texts(reader: RunReader) -> Texts:
    """About 50 bytes a solution and 16 a problem stay in memory."""
    import polars as pl

    questions, steps = question_digests(reader), pl.col("steps")
    wanted = (
        "item",
        text_digest(),
        steps.list.len().cast(pl.Int64).alias("steps"),
        steps.list.eval(pl.element().str.len_chars()).list.sum().cast(pl.Int64).alias("characters"),
        pl.when(pl.col("tokens") > 0).then(pl.col("tokens")).alias("tokens"),
    )
    rows = collect(reader, reader.scan(reader.manifest.tables[0]).select(wanted))
    return Texts(questions, rows.join(questions, on="item", how="left"))


def text_digest() -> pl.Expr:
    """64 bits for the steps of a solution, whatever white space stands around each. It holds within one process."""
    import polars as pl

    return pl.col("steps").list.eval(pl.element().str.strip_chars()).list.join(STEP_BREAK).hash().alias("text")


def question_digests(reader: RunReader) -> pl.DataFrame:
    import polars as pl

    items, digests = array("q"), array("Q")
    for batch in batches(reader, "problems", ("item", "question")):
        items.extend(batch.column("item").to_pylist())
        digests.extend(digest(normal_question(question)) for question in batch.column("question").to_pylist())
    columns = {"item": pl.Series(items, dtype=pl.Int64), "question": pl.Series(digests, dtype=pl.UInt64)}
    return pl.DataFrame(columns)


def duplicates(texts: Texts) -> Duplicates:
    """Rows beyond the first with the same digest."""
    problems, solutions = texts.questions, texts.solutions
    return Duplicates(
        problems=problems.height - problems["question"].n_unique(),
        solutions=solutions.height - solutions.select("question", "text").n_unique(),
    )
