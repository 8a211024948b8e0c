"""Rows of Hub data sets, streamed by the `datasets` library. Code that comes with a data set is never run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeVar

from openr_data.errors import InputError
from openr_data.problems.rows import Row
from openr_data.problems.source import ProblemSource

T = TypeVar("T")


def hub_rows(source: ProblemSource) -> Iterator[Row]:
    """Rows of one split. Raises `InputError` for a name, split or revision that cannot be had, and when the network fails."""
    import datasets

    split = source.split or _only_split(source)
    stream = _ask(
        source,
        lambda: datasets.load_dataset(
            source.location, source.config or None, split=split, revision=source.revision or None, streaming=True
        ),
    )
    rows = iter(stream)
    name = f"{source.location}/{split}"
    row = 0
    while (value := _ask(source, lambda: next(rows, None))) is not None:
        yield Row(name, row + 1, row, value, value)
        row += 1


def hub_revision(source: ProblemSource) -> str:
    """The commit that the revision stands for now; the revision itself where the Hub cannot tell."""
    import datasets

    builder = _ask(
        source,
        lambda: datasets.load_dataset_builder(source.location, source.config or None, revision=source.revision or None),
    )
    return str(builder.hash or source.revision)


def _only_split(source: ProblemSource) -> str:
    import datasets

    names = _ask(
        source,
        lambda: datasets.get_dataset_split_names(source.location, source.config or None, revision=source.revision or None),
    )
    if len(names) != 1:
        raise InputError(f"the data set {source.location} has the splits {', '.join(map(str, names))}; choose one with --split")
    return str(names[0])


def _ask(source: ProblemSource, question: Callable[[], T]) -> T:
    try:
        return question()
    except Exception as error:  # only third-party code runs here, and it raises what its HTTP and file libraries raise
        what = re.sub(r"\?\S+", "", str(error).strip().split("\n", 1)[0])[:300]  # signed addresses carry secrets after the ?
        raise InputError(
            f"the data set {source.location} cannot be read from the Hub ({type(error).__name__}: {what});"
            " check its name, --config-name, --split and --data-revision, and the network"
        ) from None
