"""Labels of the built-in task against its exact oracle. Reads the solutions whose answer is wrong, some at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from openr_data.data_cards.statistics import OracleQuality
from openr_data.errors import InputError
from openr_data.labelers.agreement import Agreement, compare
from openr_data.pipelines.statistics.frames import batches
from openr_data.problems.oracle import judge
from openr_data.store.read import RunReader

BUILTIN = "builtin:arithmetic"
"""`Problem.source` of the built-in task."""
_COLUMNS = ("question", "steps", "first_error", "origin", "verdict")


def oracle_quality(reader: RunReader, sources: Mapping[str, int]) -> OracleQuality | None:
    """Of given solutions with a wrong answer; the truth is the first wrong state, which is what rollouts can see.

    `None` where a problem is of another source, or says that it is of the built-in task and is not.
    """
    if set(sources) != {BUILTIN}:
        return None
    try:
        found = sum(_compared(reader), Agreement())
    except InputError:
        return None
    return OracleQuality(
        solutions=found.solutions,
        decided=found.decided,
        exact=found.exact_match,
        early=found.too_early,
        late=found.too_late,
        precision=found.wrong_precision,
        recall=found.wrong_recall,
    )


def _compared(reader: RunReader) -> Iterator[Agreement]:
    for batch in batches(reader, "labeled", _COLUMNS):
        for row in batch.to_pylist():
            if row["origin"] == "given" and row["verdict"] == "wrong":
                truth = judge(row["question"], row["steps"]).first_wrong_state
                yield compare(row["first_error"], truth, len(row["steps"]))
