"""A loaded data set as a notebook uses it: typed records, frames and numbers of one thing. Does not know how it was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from openr_data.errors import RunDirError, UsageError
from openr_data.pipelines.loading.step_frame import step_frame
from openr_data.pipelines.loading.tables import Tables, scan
from openr_data.pipelines.loading.text import as_html, as_text
from openr_data.store.read import ItemRecords
from openr_data.types import LabeledSolution, Node, Problem, Solution

if TYPE_CHECKING:
    import datasets
    import polars as pl
    import pyarrow as pa

    from openr_data.data_cards.statistics import Statistics


_LOOKED_AT = 32
"""Problems among which a notebook's example is chosen: one with a wrong step says more."""


@dataclass(frozen=True, slots=True)
class Info:
    """`kind` is `run`, `published`, `export`, `file` or `folder`. `complete` is false for a run that is still going, or was
    stopped: what it has finished can be read. `rows` counts those of each table, `rejected` the rows of files that are not of
    their layout, by reason. `revision` is the commit of what came from the Hub.
    """

    location: str
    kind: str
    rows: Mapping[str, int]
    command: str = ""
    method: str = ""
    engine: str = ""
    layout: str = ""
    complete: bool = True
    splits: tuple[str, ...] = ()
    revision: str = ""
    rejected: Mapping[str, int] = field(default_factory=dict)


class Corpus:
    """Problems with their solutions, and where they were labelled, a label for every step. Made by `openr_data.load`.

    Records stream in the order of the input, so that a data set of any size fits; frames hold what is asked for. Iterating gives
    `ItemRecords`, one for each problem; `len` is the number of problems.

    >>> import json, pathlib, tempfile, openr_data
    >>> row = {"id": "p1", "generator": "some-model", "problem": "2 + 3 * 4?", "steps": ["3 * 4 = 12", "12 + 2 = 15"],
    ...        "final_answer_correct": False, "label": 1}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "errors.jsonl")
    ...     _ = file.write_text(json.dumps(row))
    ...     data = openr_data.load(file)  # the layout of ProcessBench, which is recognised
    >>> [(one.solution.steps[one.first_error], one.method) for one in data.labeled() if one.first_error]
    [('12 + 2 = 15', 'processbench')]
    >>> data.steps().select("index", "text", "hard", "is_first_error").rows()
    [(0, '3 * 4 = 12', True, False), (1, '12 + 2 = 15', False, True)]
    >>> data.frame("problems")["question"].to_list()
    ['2 + 3 * 4?']
    """

    def __init__(self, tables: Tables, info: Info, count: Callable[[], Statistics]) -> None:
        self._tables, self.info, self._count = tables, info, count

    @property
    def tables(self) -> tuple[str, ...]:
        """Names, the main table first: `labeled`, or `solutions` where nothing is labelled yet."""
        return self._tables.names

    @property
    def complete(self) -> bool:
        """False for a run that is not finished: what is here is what it has finished so far."""
        return self.info.complete

    def __len__(self) -> int:
        return self._tables.rows("problems")

    def __iter__(self) -> Iterator[ItemRecords]:
        return self.records()

    def records(self, *, rollouts: bool = True) -> Iterator[ItemRecords]:
        """Everything about one problem after the other; without `rollouts` no measured prefixes, which is faster."""
        kept = None if rollouts else tuple(name for name in self.tables if name not in {"nodes", "rollouts"})
        return self._tables.items(kept)

    def problems(self) -> Iterator[Problem]:
        return (item.problem for item in self._tables.items(()))

    def solutions(self) -> Iterator[Solution]:
        """All solutions, labelled or not."""
        for item in self.records(rollouts=False):
            yield from item.solutions
            yield from (one.solution for one in item.labeled)

    def labeled(self) -> Iterator[LabeledSolution]:
        """Raises `UsageError` where nothing is labelled."""
        self._need("labeled")
        return (one for item in self._tables.items(("labeled",)) for one in item.labeled)

    def nodes(self) -> Iterator[Node]:
        """The measured prefixes with their rollouts. Raises `UsageError` where none were kept."""
        self._need("nodes")
        return (node for item in self._tables.items(("nodes", "rollouts")) for node in item.nodes)

    def steps(self) -> pl.DataFrame:
        """One row per step: problem_id, solution_id, index (from 0), text, hits, rollouts, mc (the value, as `estimator` says),
        low and high (Wilson interval of the counts, 95 %), estimator, good, hard, is_first_error, method. Null: not known.
        """
        return self._collected(self.scan_steps())

    def scan_steps(self) -> pl.LazyFrame:
        """`steps`, not computed yet: for data that does not fit into memory."""
        main = self.tables[0]
        return step_frame(self.scan(main), labeled=main == "labeled")

    def frame(self, table: str | None = None) -> pl.DataFrame:
        """A table (default: the main one) as a polars frame."""
        return self._collected(self.scan(table))

    def scan(self, table: str | None = None) -> pl.LazyFrame:
        """A table (default: the main one) as a lazy polars frame, which reads only the columns and rows that are used."""
        return scan(self._tables, self._need(table))

    def table(self, table: str | None = None) -> pa.Table:
        """A table (default: the main one) as a pyarrow table."""
        return self._tables.arrow(self._need(table))

    def dataset(self, table: str | None = None, **options: Any) -> datasets.Dataset:
        """A table (default: the main one) for the `datasets` library; `options` are those of its `Dataset.from_parquet`."""
        import datasets

        name = self._need(table)
        files = self._tables.files(name)
        if files and self._tables.rows(name):
            return datasets.Dataset.from_parquet([str(file) for file in files], **options)
        return datasets.Dataset(self._tables.arrow(name))

    def statistics(self) -> Statistics:
        """Everything that a report of a run counts. Raises `UsageError` for what is no run."""
        return self._count()

    def _need(self, table: str | None) -> str:
        if table is None:
            return self.tables[0]
        if table not in self.tables:
            raise UsageError(f"{self.info.location} has no table '{table}'; it has {', '.join(self.tables)}")
        return table

    def _collected(self, frame: pl.LazyFrame) -> pl.DataFrame:
        import polars as pl

        try:
            return frame.collect()
        except (pl.exceptions.PolarsError, OSError) as fault:
            raise RunDirError(f"{self.info.location} has a damaged or missing file ({type(fault).__name__})") from fault

    def __repr__(self) -> str:
        return as_text(self.info)

    def _repr_html_(self) -> str:
        looked_at = list(islice(self.records(rollouts=False), _LOOKED_AT))
        wrong = (item for item in looked_at if any((one.first_error or 0) > 0 for one in item.labeled))
        return as_html(self.info, next(wrong, looked_at[0] if looked_at else None))
