"""What a run holds, counted: the values of `data_cards.statistics`, computed over the shards in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openr_data.data_cards.statistics import Statistics
    from openr_data.problems import ProblemSource

NGRAM = 8
THRESHOLD = 0.5
"""Chosen by looking at what they find: 57 of MATH's training questions share half of the 8-grams of a question of MATH-500, and
46 of them are the same problem with other numbers, or another question about the same figure; with 13-grams it is 34 and 25. From
a share of 0.7 on (PaLM's) all 27 are, but rephrased questions are missed. GSM8K: 2 and 2, at 0.7 none.
"""


def statistics(
    run: Path,
    *,
    benchmarks: Sequence[Path | ProblemSource] = (),
    others: Sequence[Path] = (),
    ngram: int = NGRAM,
    threshold: float = THRESHOLD,
) -> Statistics:
    """Count what a run of `label`, `generate` or `import` holds: its sealed shards, where it is not finished.

    `benchmarks` are sources of questions that the run's problems are compared with (`problems.ngrams` says how), `others` are
    runs that labelled the same solutions. Raises `RunDirError` for what is no run or a damaged one, `InputError` for a benchmark
    that cannot be read and `UsageError` for a comparison that cannot be made.
    """
    from openr_data.data_cards.statistics import Statistics, StepBalance
    from openr_data.pipelines.statistics.between import agreements
    from openr_data.pipelines.statistics.contamination import overlaps
    from openr_data.pipelines.statistics.counting import count, run_cost
    from openr_data.pipelines.statistics.texts import read_texts
    from openr_data.store.read import RunReader

    reader = RunReader.open(run)
    readers = [reader, *(RunReader.open(other) for other in others)]
    shared = overlaps(reader, benchmarks, ngram, threshold)
    empty = not reader.manifest.shards
    counted = Statistics(cost=run_cost(reader, StepBalance())) if empty else count(reader, read_texts(reader))
    return replace(counted, overlaps=shared, agreements=agreements(readers) if others else ())
