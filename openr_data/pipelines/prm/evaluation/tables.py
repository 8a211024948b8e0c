"""The single items behind an evaluation, as Parquet tables: steps with their scores, candidates, accuracies by problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openr_data.aggregate import AGGREGATES, sigmoid
from openr_data.pipelines.prm.evaluation.best_of_n import Choice, chosen_by
from openr_data.pipelines.prm.evaluation.scored import Scored
from openr_data.store.atomic import storage_errors

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_BATCH = 50_000


def write_steps(path: Path, scored: Sequence[Scored]) -> None:
    """One row per step. `good` is null where the step does not count, `value` where there is no soft label."""
    import pyarrow as pa

    texts = [pa.field(name, pa.string()) for name in ("problem_id", "solution_id")]
    numbers = [("index", pa.int32()), ("margin", pa.float64()), ("probability", pa.float64())]
    known = [("good", pa.bool_()), ("value", pa.float64()), ("first_error", pa.int32())]
    _write(path, pa.schema([*texts, *(pa.field(*pair) for pair in (*numbers, *known))]), _steps(scored))


def write_candidates(path: Path, choices: Sequence[Choice]) -> None:
    """One row per candidate: `answer` is the number of its answer in the problem, and each aggregation what it is ranked by."""
    import pyarrow as pa

    texts = [(name, pa.string()) for name in ("problem_id", "solution_id", "verdict", "extracted")]
    rest = [("answer", pa.int32()), ("margins", pa.list_(pa.float64())), *((name, pa.float64()) for name in AGGREGATES)]
    _write(path, pa.schema([pa.field(*pair) for pair in (*texts, *rest)]), _candidates(choices))


def write_accuracies(
    path: Path, choices: Sequence[Choice], table: Mapping[str, np.ndarray[Any, Any]], sizes: Sequence[int]
) -> None:
    """One row per problem, way to choose and n: the expected accuracy."""
    import pyarrow as pa

    columns = [("problem_id", pa.string()), ("way", pa.string()), ("n", pa.int32()), ("accuracy", pa.float64())]
    rows = (
        {"problem_id": choice.pool.problem, "way": way, "n": n, "accuracy": float(table[way][row, place])}
        for row, choice in enumerate(choices)
        for way in table
        for place, n in enumerate(sizes)
    )
    _write(path, pa.schema([pa.field(*pair) for pair in columns]), rows)


def _steps(scored: Sequence[Scored]) -> Iterator[dict[str, Any]]:
    for one in scored:
        known = one.known
        values = known.values or (None,) * len(one.margins)
        for index, (margin, good, value) in enumerate(zip(one.margins, known.good, values, strict=True)):
            yield {
                "problem_id": known.problem,
                "solution_id": known.solution,
                "index": index,
                "margin": margin,
                "probability": sigmoid(margin),
                "good": good,
                "value": value,
                "first_error": known.first_error,
            }


def _candidates(choices: Sequence[Choice]) -> Iterator[dict[str, Any]]:
    for choice in choices:
        ranked = {name: chosen_by(name, choice.margins) for name in AGGREGATES}
        for place, (one, answer) in enumerate(zip(choice.pool.candidates, choice.pool.answers, strict=True)):
            yield {
                "problem_id": choice.pool.problem,
                "solution_id": one.id,
                "verdict": one.verdict.outcome,
                "extracted": one.verdict.answer,
                "answer": answer,
                "margins": list(choice.margins[place]),
                **{name: scores[place] for name, scores in ranked.items()},
            }


def _write(path: Path, schema: pa.Schema, rows: Iterator[dict[str, Any]]) -> None:
    """Some rows at a time. Raises `StorageError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with storage_errors(path, "run again"), pq.ParquetWriter(path, schema, compression="zstd") as file:
        batch: list[dict[str, Any]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH:
                file.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
                batch = []
        file.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
