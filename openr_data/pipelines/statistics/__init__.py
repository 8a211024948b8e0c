"""What a run holds, counted: the values of `data_cards.statistics`, computed over the shards in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openr_data.data_cards.statistics import Statistics

NGRAM = 13
THRESHOLD = 0.5


def statistics(
    run: Path,
    *,
    benchmarks: Sequence[Path] = (),
    others: Sequence[Path] = (),
    ngram: int = NGRAM,
    threshold: float = THRESHOLD,
) -> Statistics:
    """Count what a run of `label`, `generate` or `import` holds: its sealed shards, where it is not finished.

    `benchmarks` are files of questions to look for contamination with, `others` runs that labelled the same solutions.
    Raises `RunDirError` for what is no run or a damaged one, and `InputError` for a benchmark that cannot be read.
    """
    from openr_data.data_cards.statistics import Statistics, StepBalance
    from openr_data.pipelines.statistics.counting import count, run_cost
    from openr_data.pipelines.statistics.texts import read_texts
    from openr_data.store.read import RunReader

    reader = RunReader.open(run)
    if not reader.manifest.shards:
        return Statistics(cost=run_cost(reader, StepBalance()))
    texts = read_texts(reader)
    return count(reader, texts)
